/** Decides how a target is filled, and refuses the targets that a restore must not touch. Changes nothing. */
import { createHash } from 'node:crypto';
import { lstat, readdir, realpath, rmdir, stat } from 'node:fs/promises';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { toHex } from '../core/ids.ts';
import { escapeName } from '../policy/escape-name.ts';
import { PARTIAL_PREFIX } from '../policy/partial-name.ts';
import { readMarker } from './marker.ts';
import type { RestoreInput, TargetPlan } from './restore-types.ts';

/**
 * E_USAGE for `/`, for anything above, below or equal to a `keepOut` path, and for a target that is no folder; E_TARGET_NOT_EMPTY for a fresh
 * target with something in it that this restore did not put there.
 */
export async function planTarget(input: RestoreInput, keepOut: readonly string[]): Promise<TargetPlan> {
  const id = restoreId(input);
  const asked = trimSlashes(input.target);
  if (asked[0] !== SLASH) throw new EdgeError('E_USAGE', `the target must be an absolute path: ${escapeName(asked)}`);
  const target = await resolveTarget(asked);
  await refuseForbidden(target, keepOut);
  if (input.inPlace !== undefined) {
    const partial = join(target, `${PARTIAL_PREFIX}${id}`);
    return { kind: 'in-place', target, partial, tree: target, resume: (await readMarker(partial)) !== undefined, id };
  }

  const beside = besideOf(target, id);
  const inside = join(target, `${PARTIAL_PREFIX}${id}`);
  const there = await statIfThere(target);
  if (there === undefined) {
    const resume = (await readMarker(markerIn(beside))) !== undefined;
    return { kind: 'sibling', target, partial: beside, tree: join(beside, 'tree'), resume, id };
  }
  if (!there.isDirectory()) {
    throw new EdgeError('E_USAGE', `the target is there and is no folder: ${escapeName(target)}`, {
      hint: 'Name a folder that is absent or empty.',
    });
  }
  const names = await list(target);
  const insideName = `${PARTIAL_PREFIX}${id}`;
  // Stopped after the rename of the sibling: only its marker is left to take away.
  const besideMarker = await readMarker(markerIn(beside));
  if (besideMarker?.step === 'renaming' && (await statIfThere(join(beside, 'tree'))) === undefined) {
    return { kind: 'sibling', target, partial: beside, tree: join(beside, 'tree'), resume: true, id };
  }
  const marker = names.some((one) => one.equals(Buffer.from(insideName)))
    ? await readMarker(markerIn(inside))
    : undefined;
  const others = names.filter((one) => !one.equals(Buffer.from(insideName)));
  if (others.length > 0 && marker?.step !== 'renaming') {
    const stopped = others.find((one) => one.toString('latin1').startsWith(PARTIAL_PREFIX));
    // A run that was stopped at its very last step has left its folder, empty and without a marker.
    await removeIfEmpty(beside);
    await removeIfEmpty(inside);
    throw new EdgeError('E_TARGET_NOT_EMPTY', `the target is not empty: ${escapeName(target)}`, {
      hint:
        stopped === undefined
          ? 'Name a folder that is absent or empty, or use --in-place --overwrite MODE.'
          : `Another restore was stopped in it: run that one again, or remove ${escapeName(join(target, stopped))}.`,
    });
  }
  return { kind: 'inside', target, partial: inside, tree: join(inside, 'tree'), resume: marker !== undefined, id };
}

/** The partial folder's place beside the target: in the same folder, and so on the same file system unless the target is a mount point. */
export function besideOf(target: Uint8Array, id: string): Uint8Array {
  const { parent, name } = splitTarget(target);
  return join(parent, Buffer.concat([Buffer.from('.'), name, Buffer.from(`.${PARTIAL_PREFIX.slice(1)}${id}`)]));
}

async function removeIfEmpty(folder: Uint8Array): Promise<void> {
  try {
    await rmdir(Buffer.from(folder));
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? ''))
      throw error;
  }
}

/** The same for the same snapshot, subpath and target, so that a second run finds what the first one left. */
function restoreId(input: RestoreInput): string {
  const hash = createHash('sha256').update(input.snapshot).update('\0');
  hash
    .update(input.subpath ?? new Uint8Array(0))
    .update('\0')
    .update(trimSlashes(input.target));
  return toHex(hash.digest()).slice(0, 16);
}

export function markerIn(partial: Uint8Array): Uint8Array {
  return join(partial, 'marker.json');
}

/** Links on the way to the target, and the target itself when it is a link to a folder, are the user's own choice: followed once, here. */
async function resolveTarget(asked: Uint8Array): Promise<Uint8Array> {
  const missing: Buffer[] = [];
  let at = Buffer.from(asked);
  for (;;) {
    try {
      const real = await realpath(at, 'buffer');
      return missing.reduce<Uint8Array>((path, name) => join(path, name), real);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw toEdgeError(error, `target ${escapeName(asked)}`);
      if (await isLink(at)) {
        throw new EdgeError('E_USAGE', `the target is a symbolic link to nothing: ${escapeName(at)}`);
      }
    }
    const { parent, name } = splitTarget(at);
    if (name.equals(Buffer.from('..'))) throw new EdgeError('E_USAGE', `no such folder: ${escapeName(parent)}`);
    if (!name.equals(Buffer.from('.'))) missing.unshift(name);
    at = Buffer.from(parent);
  }
}

async function isLink(path: Uint8Array): Promise<boolean> {
  try {
    return (await lstat(Buffer.from(path))).isSymbolicLink();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw toEdgeError(error);
  }
}

async function refuseForbidden(target: Uint8Array, keepOut: readonly string[]): Promise<void> {
  if (target.length === 1) {
    throw new EdgeError('E_USAGE', 'a restore into / is refused', {
      hint: 'Restore into an empty folder and move what you need.',
    });
  }
  for (const path of keepOut) {
    const real = await realpath(Buffer.from(path), 'buffer').catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return Buffer.from(path);
      throw toEdgeError(error);
    });
    if (contains(real, target) || contains(target, real)) {
      throw new EdgeError(
        'E_USAGE',
        `the target ${escapeName(target)} is, holds, or lies in ${path}, where edgestore keeps its own data`,
        {
          hint: 'Name another folder.',
        },
      );
    }
  }
}

/** Whether `inner` is `outer` or lies below it. */
export function contains(outer: Uint8Array, inner: Uint8Array): boolean {
  if (inner.length < outer.length || Buffer.compare(inner.subarray(0, outer.length), outer) !== 0) return false;
  return inner.length === outer.length || inner[outer.length] === SLASH || outer.length === 1;
}

async function statIfThere(path: Uint8Array): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(Buffer.from(path));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `target ${escapeName(path)}`);
  }
}

async function list(path: Uint8Array): Promise<Buffer[]> {
  try {
    return await readdir(Buffer.from(path), { encoding: 'buffer' });
  } catch (error) {
    throw toEdgeError(error, `target ${escapeName(path)}`);
  }
}

const SLASH = 0x2f;

function trimSlashes(path: Uint8Array): Uint8Array {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH) end--;
  return path.subarray(0, end);
}

export function splitTarget(path: Uint8Array): { readonly parent: Uint8Array; readonly name: Buffer } {
  const bytes = Buffer.from(path);
  const slash = bytes.lastIndexOf(SLASH);
  return { parent: slash <= 0 ? Buffer.from('/') : bytes.subarray(0, slash), name: bytes.subarray(slash + 1) };
}

export function join(folder: Uint8Array, name: Uint8Array | string): Buffer {
  const tail = typeof name === 'string' ? Buffer.from(name) : name;
  if (folder.length === 1 && folder[0] === SLASH) return Buffer.concat([folder, tail]);
  return Buffer.concat([folder, Buffer.from('/'), tail]);
}
