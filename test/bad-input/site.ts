/**
 * A vault with an acknowledged snapshot, made once through the real program, and copies of it to damage. Whatever is done to a copy, every answer
 * is checked for what no answer may have: a stack trace, a secret, or an exit code that differs between text and `--json`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { differences, type Manifest, manifestOf } from '../oracle/manifest.ts';
import {
  cleanEnvironment,
  EDGESTORE_BIN,
  type Finished,
  type RunOptions,
  runEdgestore,
} from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';

/** What a refusal has to be; `hint` is the way out. */
export interface Refusal {
  readonly exit: number;
  readonly code: string;
  readonly message: RegExp;
  readonly hint: RegExp;
}

export interface Site {
  readonly folder: string;
  readonly tree: string;
  /** The vault as it was acknowledged; copied, never damaged itself. */
  readonly vault: string;
  readonly sheet: string;
  /** The tree as it was when it was captured. */
  readonly expected: Manifest;
  at(name: string): string;
  /** Another copy of the vault, to damage. */
  copy(): string;
  run(dataDir: string, args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** `--json`; the exit code has to be `exit`. Returns the whole document. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own shape, which the tests look into.
  json(dataDir: string, args: readonly string[], exit?: number, options?: RunOptions): Promise<any>;
  /** Runs it twice, as text and with `--json`: both have to refuse alike, with nothing on stdout but the document. */
  // biome-ignore lint/suspicious/noExplicitAny: the document's details differ.
  refuses(dataDir: string, args: readonly string[], refusal: Refusal, options?: RunOptions): Promise<any>;
  /** The acknowledged snapshot restores exactly. */
  restores(
    dataDir: string,
    options?: RunOptions & { readonly warned?: RegExp; readonly args?: readonly string[] },
  ): Promise<void>;
  /** No output may have this text from now on. */
  keepSecret(text: string): void;
  remove(): void;
}

/** `init` and one `sync` of a small tree with folders, small files and one larger file. */
export async function makeSite(initArgs: readonly string[] = [], options: RunOptions = {}): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'edgestore-bad-input-'));
  const at = (name: string): string => join(folder, name);
  const tree = at('tree');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  writeFileSync(join(tree, 'a.txt'), 'hello\n');
  writeFileSync(join(tree, 'sub', 'b.txt'), 'below\n');
  writeFileSync(join(tree, 'large'), pseudoRandom(700_000, 11));
  const secrets: string[] = [];
  let copies = 0;

  const site: Site = {
    folder,
    tree,
    vault: at('vault'),
    sheet: at('sheet'),
    expected: manifestOf(tree),
    at,
    copy() {
      const to = at(`copy-${copies++}`);
      cpSync(site.vault, to, { recursive: true, preserveTimestamps: true });
      // cpSync gives what it copies the modes of the umask on some systems; the program insists on its own.
      spawnSync('chmod', ['--reference', site.vault, to]);
      return to;
    },
    async run(dataDir, args, runOptions = {}) {
      const done = await runEdgestore([...args, '--data-dir', dataDir], withEnvironment(folder, runOptions));
      checkOutput(done.stdout + done.stderr, secrets);
      return done;
    },
    async json(dataDir, args, exit = 0, runOptions = {}) {
      const done = await site.run(dataDir, [...args, '--json'], runOptions);
      if (done.exitCode !== exit)
        throw new Error(
          `edgestore ${args.join(' ')}: ${done.exitCode ?? done.signal}, not ${exit}\n${done.stdout}\n${done.stderr}`,
        );
      return JSON.parse(done.stdout);
    },
    async refuses(dataDir, args, refusal, runOptions = {}) {
      const document = await site.json(dataDir, args, refusal.exit, runOptions);
      expect(document.schema).toBe('edgestore.v1.error');
      expect(document.error).toMatchObject({ code: refusal.code, exit: refusal.exit });
      expect(document.error.message).toMatch(refusal.message);
      expect(document.error.hint).toMatch(refusal.hint);
      const text = await site.run(dataDir, args, runOptions);
      expect([text.exitCode, text.stdout]).toEqual([refusal.exit, '']);
      expect(text.stderr).toMatch(refusal.message);
      expect(text.stderr).toMatch(refusal.hint);
      return document;
    },
    async restores(dataDir, { warned, args = [], ...runOptions } = {}) {
      const target = at(`back-${copies++}`);
      const done = await site.run(
        dataDir,
        ['restore', 'latest', '--root', 'tree', '--target', target, ...args],
        runOptions,
      );
      expect([done.exitCode, done.stderr]).toEqual([0, warned === undefined ? '' : expect.stringMatching(warned)]);
      expect(differences(site.expected, manifestOf(target))).toEqual([]);
      rmSync(target, { recursive: true });
    },
    keepSecret(text) {
      secrets.push(text);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
  await site.json(
    site.vault,
    ['init', '--name', 'tester', '--site', 'lab', '--recovery-out', site.sheet, ...initArgs],
    0,
    options,
  );
  await site.json(site.vault, ['sync', tree], 0, options);
  for (const [, words] of readFileSync(site.sheet, 'utf8').matchAll(/^code .*: (.*)$/gm))
    for (const word of words!.split(' ')) site.keepSecret(word);
  const key = join(site.vault, 'key');
  if (statSync(key, { throwIfNoEntry: false }) !== undefined) site.keepSecret(readFileSync(key, 'utf8').split(':')[1]!);
  return site;
}

/** The only file of this kind below a data dir, or the largest one. */
export function largestFile(folder: string): string {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .sort((a, b) => statSync(b).size - statSync(a).size);
  if (files[0] === undefined) throw new Error(`no file below ${folder}`);
  return files[0];
}

/** Every file below a folder with the hash of its bytes; two are equal when nothing was changed. */
export function contentsOf(folder: string): Map<string, string> {
  const out = new Map<string, string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name);
    if (statSync(path).isFile()) out.set(name, createHash('sha256').update(readFileSync(path)).digest('hex'));
  }
  return out;
}

/** Flips one bit; a negative offset counts from the end. */
export function flipBit(file: string, offset: number): void {
  const bytes = readFileSync(file);
  const at = offset < 0 ? bytes.length + offset : offset;
  bytes[at]! ^= 1;
  writeFileSync(file, bytes);
}

export function setByte(file: string, offset: number, value: number): void {
  const bytes = readFileSync(file);
  bytes[offset] = value;
  writeFileSync(file, bytes);
}

/** The program below a shell's `ulimit -n`. */
export function runWithDescriptors(site: Site, limit: number, dataDir: string, args: readonly string[]): Finished {
  const done = spawnSync(
    'sh',
    ['-c', `ulimit -n ${limit} && exec "$@"`, 'sh', process.execPath, EDGESTORE_BIN, ...args, '--data-dir', dataDir],
    {
      env: cleanEnvironment(withEnvironment(site.folder, {}).env),
      encoding: 'utf8',
      timeout: 60_000,
      killSignal: 'SIGKILL',
    },
  );
  return {
    exitCode: done.status ?? undefined,
    signal: done.signal ?? undefined,
    stdout: done.stdout,
    stderr: done.stderr,
  };
}

/** A home of its own, so that no configuration is found; the compile cache is shared, or every start would compile everything. */
export function withEnvironment(home: string, options: RunOptions): RunOptions {
  const cache = join(tmpdir(), 'edgestore-tests-cache');
  return { ...options, env: { HOME: home, XDG_CACHE_HOME: cache, ...options.env } };
}

function checkOutput(output: string, secrets: readonly string[]): void {
  expect(output).not.toMatch(/\n\s+at .+:\d+:\d+\)?/);
  for (const secret of secrets) {
    if (output.includes(secret))
      throw new Error(`a secret is in the output:\n${output.replaceAll(secret, '[SECRET]')}`);
  }
}
