/** Errors of the disk while reading and syncing, injected with strace into the real program: an error now is neither damage nor absence. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installStrace, whyNoStrace } from '../crash/strace.ts';
import { cleanEnvironment, EDGESTORE_BIN } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';

if (whyNoStrace() !== undefined && process.env.EDGESTORE_TEST_INSTALL === '1') installStrace();
const reason = whyNoStrace();

let folder: string;
let vault: string;
let tree: string;
const at = (name: string): string => join(folder, name);

interface Done {
  readonly exit: number | null;
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own shape, which the tests look into.
  readonly data: any;
  readonly text: string;
}

/** Runs a command, with calls of the kernel failing when `inject` is given (strace's own words). */
function run(args: readonly string[], inject: readonly string[] = []): Done {
  const command = [process.execPath, EDGESTORE_BIN, ...args, '--data-dir', vault, '--json'];
  const traced = inject.length === 0 ? command : ['strace', '-f', '-o', at('trace'), ...inject, ...command];
  const done = spawnSync(traced[0]!, traced.slice(1), {
    encoding: 'utf8',
    env: { ...cleanEnvironment(), UV_THREADPOOL_SIZE: '1' },
  });
  const document = done.stdout.trim() === '' ? undefined : JSON.parse(done.stdout);
  return { exit: done.status, data: document?.data, text: `${done.stdout}\n${done.stderr}` };
}

function works(args: readonly string[]): Done {
  const done = run(args);
  expect(done.exit, done.text).toBe(0);
  return done;
}

const packs = (): string[] =>
  readdirSync(join(vault, 'packs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pack'))
    .map((name) => join(vault, 'packs', name));

/** Every read of these files fails. */
const eio = (...paths: string[]): string[] => [
  ...paths.flatMap((path) => ['-P', path]),
  '-e',
  'inject=pread64,read:error=EIO',
];

describe.skipIf(reason !== undefined)(`the disk cannot read${reason === undefined ? '' : ` (${reason})`}`, () => {
  let round = 0;

  /** Seven syncs, each with one new file of its own: so many packs of data and of trees. */
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'edgestore-read-errors-'));
    vault = at('vault');
    tree = at('tree');
    spawnSync('mkdir', ['-p', tree]);
    expect(run(['init', '--recovery-out', at('sheet')]).exit).toBe(0);
    for (round = 0; round < 6; round++) {
      writeFileSync(join(tree, `f${round}`), pseudoRandom(100_000, round + 1));
      works(['sync', tree]);
    }
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function allRestore(): void {
    const { data } = works(['snapshot', 'list']);
    for (const { id } of data.snapshots) {
      const target = at(`restored-${id}`);
      rmSync(target, { recursive: true, force: true });
      works(['restore', id, '--target', target]);
    }
  }

  test('a scrub while nothing can be read costs nothing: the next one lifts every mark, and all restores', () => {
    const scrub = run(['scrub', '--all'], eio(...packs()));
    expect(scrub.exit, scrub.text).toBe(20);
    // Syncs in between merge what is small: no pack may go on the word of that scrub.
    writeFileSync(join(tree, 'more'), pseudoRandom(100_000, 50));
    run(['sync', tree]);
    works(['scrub', '--all']);
    allRestore();
  }, 300_000);

  test('one error on the first read of a pack in the merge after a sync: the pack stays, and all restores', () => {
    const all = packs();
    writeFileSync(join(tree, 'later'), pseudoRandom(100_000, 60));
    for (const pack of all.slice(0, 3)) {
      writeFileSync(join(tree, 'later'), pseudoRandom(100_000, 61 + all.indexOf(pack)));
      run(['sync', tree], ['-P', pack, '-e', 'inject=pread64,read:error=EIO:when=1']);
    }
    works(['scrub', '--all']);
    allRestore();
  }, 300_000);

  test('without an index, and with a pack that cannot be read: every command works, and only that pack counts as unreadable', () => {
    for (const part of ['', '-wal', '-shm']) rmSync(join(vault, `index.sqlite${part}`), { force: true });
    const [pack] = packs();
    for (const args of [['snapshot', 'list'], ['status'], ['scrub', '--all', '--repair']]) {
      const done = run(args, eio(pack!));
      expect([0, 3, 7, 20], `${args.join(' ')}: ${done.text}`).toContain(done.exit);
      expect(done.text).not.toMatch(/"error"/);
    }
    expect(existsSync(pack!)).toBe(true);
    works(['scrub', '--all']);
    allRestore();
  }, 300_000);

  test('a scrub asks the medium: the kernel forgets each part of a pack before it is read', () => {
    const [pack] = packs();
    const traced = (args: readonly string[]): string[] => {
      run(args, ['-P', pack!, '-e', 'trace=fadvise64,pread64,read']);
      return readFileSync(at('trace'), 'utf8')
        .split('\n')
        .flatMap((line) => /(fadvise64|pread64|read)\(/.exec(line)?.[1] ?? []);
    };
    const scrub = traced(['scrub', '--all']);
    expect(scrub).toContain('fadvise64');
    expect(scrub.indexOf('fadvise64')).toBeLessThan(scrub.findIndex((call) => call !== 'fadvise64'));
  }, 120_000);

  test('a restore whose sync fails is not a success, keeps its marker, and goes on the next time', () => {
    const target = at('unsynced');
    const failed = run(['restore', 'latest', '--target', target], ['-e', 'inject=syncfs:error=EIO:when=1']);
    expect(failed.exit, failed.text).not.toBe(0);
    expect(readdirSync(folder).some((name) => name.includes('.edgestore-partial'))).toBe(true);
    works(['restore', 'latest', '--target', target]);
    expect(readdirSync(folder).some((name) => name.includes('.edgestore-partial'))).toBe(false);
    expect(readFileSync(join(target, 'f0'))).toEqual(readFileSync(join(tree, 'f0')));
  }, 120_000);

  test('a restore syncs what it wrote before its marker goes, in a fresh target and in place', () => {
    for (const where of [
      ['--target', at('traced')],
      ['--in-place', '--overwrite', 'always'],
    ]) {
      const name = where.join(' ');
      const done = run(['restore', 'latest', ...where], ['-e', 'trace=syncfs,unlink,unlinkat,fsync,fdatasync']);
      expect(done.exit, done.text).toBe(0);
      const lines = readFileSync(at('trace'), 'utf8').split('\n');
      const synced = lines.findIndex((line) => /syncfs\(.*= 0$/.test(line));
      const unmarked = lines.findIndex((line) =>
        /(unlink(at)?|rmdir)\(.*\.edgestore-partial-[0-9a-f]+(\/marker\.json)?"/.test(line),
      );
      expect(synced, name).toBeGreaterThanOrEqual(0);
      expect(unmarked, name).toBeGreaterThan(synced);
    }
  }, 120_000);
});
