/** `root check-ignore`: whether paths are left out of their root, and by which rule. */
import { lstatSync, readFileSync, statSync } from 'node:fs';
import {
  createIgnoreRules,
  errnoOf,
  type FolderIgnore,
  IGNORE_FILE_BYTES_MAX,
  IGNORE_FILE_NAME,
  jsonPath,
  toEdgeError,
  unescapeName,
} from '@edgestore/engine';
import { z } from 'zod';
import type { LoadedConfig } from '../config/load-config.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import type { CheckIgnoreData } from './root-data.ts';
import { rootOfPath } from './root-of-path.ts';

const input = z.object({ paths: z.array(z.string()).min(1) });
const SLASH = 0x2f;

export const rootCheckIgnore = defineOperation<z.output<typeof input>, CheckIgnoreData>({
  name: 'root.check-ignore',
  input,
  mutates: false,
  run: async ({ paths }, context) => {
    const { loaded } = openedOf(context);
    return { data: { paths: paths.map((typed) => check(Buffer.from(unescapeName(typed)), loaded)) } };
  },
});

function check(path: Buffer, loaded: LoadedConfig): CheckIgnoreData['paths'][number] {
  const { root, below } = rootOfPath(path, loaded);
  const rule = ruleFor(Buffer.from(root.path), Buffer.from(below), root.exclude);
  return { ...jsonPath(path), root: root.name, ignored: rule !== null, rule };
}

/** Walks down from the root: what leaves out a folder leaves out all that is in it. */
export function ruleFor(
  root: Buffer,
  below: Buffer,
  exclude: readonly string[],
): { pattern: string; origin: string } | null {
  let rules: FolderIgnore = createIgnoreRules(exclude, ignoreFile(root));
  let folder = root;
  const names = split(below);
  for (const [i, name] of names.entries()) {
    const path = Buffer.concat([folder, Buffer.from('/'), name]);
    const isFolder = i < names.length - 1 || isDirectory(path);
    const match = rules.match(name, isFolder);
    if (match !== undefined) return { pattern: match.pattern, origin: match.origin };
    if (isFolder && isCache(path)) return { pattern: 'CACHEDIR.TAG', origin: `${jsonPath(path).path}/CACHEDIR.TAG` };
    rules = rules.enter(name, isFolder ? ignoreFile(path) : undefined);
    folder = path;
  }
  return null;
}

function split(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let from = 0; from < path.length; ) {
    const slash = path.indexOf(SLASH, from);
    const to = slash === -1 ? path.length : slash;
    if (to > from) parts.push(path.subarray(from, to));
    from = to + 1;
  }
  return parts;
}

function ignoreFile(folder: Buffer): Uint8Array | undefined {
  const file = Buffer.concat([folder, Buffer.from(`/${IGNORE_FILE_NAME}`)]);
  try {
    return statSync(file).size > IGNORE_FILE_BYTES_MAX ? undefined : readFileSync(file);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return undefined;
    throw toEdgeError(error, `reading ${jsonPath(file).path}`);
  }
}

/** The signature of the Cache Directory Tagging Specification (bford.info/cachedir). */
const CACHE_SIGNATURE = Buffer.from('Signature: 8a477f597d28d172789f06886806bc55');

function isCache(folder: Buffer): boolean {
  try {
    return readFileSync(Buffer.concat([folder, Buffer.from('/CACHEDIR.TAG')]))
      .subarray(0, CACHE_SIGNATURE.length)
      .equals(CACHE_SIGNATURE);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return false;
    throw toEdgeError(error, 'looking for CACHEDIR.TAG');
  }
}

function isDirectory(path: Buffer): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
