/** System calls that fail: every n-th fsync, write and change of names of a sync, and reads of each class of file. */

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect } from 'vitest';
import { cleanEnvironment, EDGESTORE_BIN, finished } from '../support/edgestore-process.ts';
import { faultTest } from './fault-test.ts';
import { filesBelow, packsBelow } from './kit/media.ts';
import { READS, runWithSyscallFaults, SYNCS, WRITES } from './kit/syscall-faults.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';
import { SEED, sampled } from './rounds.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

const needs = ['strace'] as const;
const timeout = 600_000;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

describe('the n-th call of a sync fails', () => {
  for (const [what, calls, error, most, inNormalRun] of [
    ['fsync', SYNCS, 'EIO', 24, 5],
    ['write', WRITES, 'ENOSPC', 60, 5],
    ['write', WRITES, 'EIO', 60, 3],
    ['change of a name', 'rename,unlink,mkdir', 'EIO', 8, 4],
  ] as const) {
    faultTest(
      `a sync whose n-th ${what} fails with ${error} acknowledges only what holds, and the next one works`,
      async () => {
        scene = await OwnerAndHolders.make();
        let injected = 0;
        for (const nth of sampled(upTo(most), inNormalRun)) {
          scene.vault.edit(60_000);
          const run = await runWithSyscallFaults(
            ['sync', scene.root, '--json', ...scene.at],
            [{ calls, error, when: String(nth) }],
          );
          injected += run.injected;
          // A run whose last words could not be written says so by its exit code, and its words are not used.
          if (run.exitCode === 0 && run.injected > 0) {
            const said = JSON.parse(run.stdout) as { data: { roots: { snapshot: string }[] } };
            const snapshot = said.data.roots[0]?.snapshot;
            scene.vault.acknowledge(snapshot);
            scene.acknowledged.push({ entry: scene.vault.journal.last!, level: 'local' });
          }
          expect(scene.brokenBeliefs(), `${what} ${nth}: exit ${run.exitCode}, EDGESTORE_FAULT_SEED=${SEED}`).toEqual(
            [],
          );
          await scene.mustSync('local');
        }
        expect(injected).toBeGreaterThan(0);
        expect(scene.brokenBeliefs()).toEqual([]);
        await scene.json(['scrub', '--all']);
      },
      // Of each kind of call one error is tried in the normal run.
      { needs, timeout, long: calls === WRITES && error === 'EIO' },
    );
  }
});

describe('the n-th call of a holder fails', () => {
  for (const [what, calls, error] of [
    ['fsync', SYNCS, 'EIO'],
    ['write', 'pwrite64,pwritev', 'ENOSPC'],
  ] as const) {
    faultTest(
      `a holder whose n-th ${what} fails with ${error} acknowledges only what holds, and takes all of it later`,
      async () => {
        scene = await OwnerAndHolders.make({ holders: 1 });
        const [holder] = scene.holders;
        if (holder === undefined) throw new Error('no holder');
        await scene.mustSync('peers=1');
        let injected = 0;
        for (const nth of sampled(upTo(12), 3)) {
          await holder.stop();
          const ending = runWithSyscallFaults(['agent', 'run', ...holder.at], [{ calls, error, when: String(nth) }]);
          scene.vault.edit(60_000);
          await scene.sync('peers=1');
          killHolderOf(holder.dataDir);
          injected += (await ending).injected;
          expect(scene.brokenBeliefs(), `${what} ${nth}, EDGESTORE_FAULT_SEED=${SEED}`).toEqual([]);
          await holder.start();
          await scene.mustSync('peers=1');
          expect(scene.brokenBeliefs(), `after ${what} ${nth}`).toEqual([]);
        }
        expect(injected).toBeGreaterThan(0);
        await holder.stop();
        expect((await scene.run(['scrub', '--all'], holder.at)).exitCode).toBe(0);
      },
      { needs, timeout },
    );
  }
});

/** By its command line: the write that failed may be that of its name in the lock. It may have ended by itself. */
function killHolderOf(dataDir: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const [program = '', ...args] = commandLineOf(pid);
    if (!program.includes('strace') && args.includes(dataDir) && args.includes('run'))
      process.kill(Number(pid), 'SIGKILL');
  }
}

function commandLineOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  } catch {
    // It ended meanwhile.
    return [];
  }
}

describe('reads of each class of file fail', () => {
  faultTest(
    'a key slot or a descriptor that cannot be read now is an error of reading, not a wrong key and not an absent vault',
    async () => {
      scene = await OwnerAndHolders.make();
      const slots = filesBelow(join(scene.vault.dataDir, 'slots'));
      for (const files of [slots, [join(scene.vault.dataDir, 'vault.edge')], [join(scene.vault.dataDir, 'key')]]) {
        const run = await runWithSyscallFaults(
          ['snapshot', 'list', ...scene.at],
          [{ calls: READS, error: 'EIO', files }],
        );
        expect(run.injected, files[0]).toBeGreaterThan(0);
        expect([10, 12], `${files[0]}: ${run.stderr}`).not.toContain(run.exitCode);
        expect(run.exitCode).not.toBe(0);
        expect(run.stderr).toMatch(/EIO/);
      }
      await scene.everythingRestores('when everything can be read again');
    },
    { needs },
  );

  faultTest(
    'what cannot be looked at now is not taken for absent: a root is listed as present, a stored key is not passed over',
    async () => {
      scene = await OwnerAndHolders.make();
      const looking = 'statx,stat,lstat,newfstatat,access,faccessat,faccessat2';
      const failing = (path: string) => [{ calls: looking, error: 'EIO', files: [path] }];
      const status = await runWithSyscallFaults(['status', '--json', ...scene.at], failing(scene.root));
      expect(status.injected).toBeGreaterThan(0);
      expect(JSON.parse(status.stdout).data.roots).toMatchObject([{ present: true }]);
      expect(status.stdout).toContain('W_ROOT_UNREADABLE');
      const key = join(scene.vault.dataDir, 'key');
      const list = await runWithSyscallFaults(['snapshot', 'list', ...scene.at], failing(key));
      expect(list.injected).toBeGreaterThan(0);
      expect([0, 10, 12], list.stderr).not.toContain(list.exitCode);
      expect(list.stderr).toMatch(/EIO/);
    },
    { needs },
  );

  faultTest(
    'a log that cannot be read now is neither damaged nor cut: nothing of it is changed',
    async () => {
      scene = await OwnerAndHolders.make();
      const files = filesBelow(join(scene.vault.dataDir, 'chains'));
      const before = files.map((path) => readFileSync(path));
      for (const path of filesBelow(scene.vault.dataDir).filter((name) => /index\.sqlite[^/]*$/.test(name)))
        rmSync(path);
      const run = await runWithSyscallFaults(['status', ...scene.at], [{ calls: READS, error: 'EIO', files }]);
      expect(run.injected).toBeGreaterThan(0);
      expect(run.exitCode, run.stderr).not.toBe(0);
      expect(files.map((path) => readFileSync(path))).toEqual(before);
      await scene.everythingRestores('when the log can be read again');
      await scene.mustSync('local');
    },
    { needs },
  );

  faultTest(
    'an index that cannot be read now is not thrown away for good: the next command has everything',
    async () => {
      scene = await OwnerAndHolders.make();
      const files = [join(scene.vault.dataDir, 'index.sqlite')];
      const run = await runWithSyscallFaults(
        ['status', ...scene.at],
        [{ calls: 'pread64', error: 'EIO', when: '2+', files }],
      );
      expect(run.injected).toBeGreaterThan(0);
      await scene.everythingRestores('when the index can be read again');
      await scene.json(['scrub', '--all']);
    },
    { needs },
  );

  faultTest(
    'a restore meets a pack that cannot be read now: the other files come, exit 3, and the same command finishes later',
    async () => {
      scene = await OwnerAndHolders.make();
      const [pack = ''] = packsBelow(scene.vault.dataDir).sort((a, b) => statSync(b).size - statSync(a).size);
      const target = join(scene.vault.base, 'part');
      const restore = ['restore', 'latest', '--target', target, ...scene.at];
      const run = await runWithSyscallFaults(restore, [{ calls: READS, error: 'EIO', when: '2', files: [pack] }]);
      expect([0, 3], run.stderr).toContain(run.exitCode);
      await scene.everythingRestores('when the pack can be read again');
    },
    { needs },
  );
});

faultTest('with 64 open files at most a sync ends well or says that it needs more', async () => {
  scene = await OwnerAndHolders.make();
  scene.vault.edit();
  const shell = `ulimit -n 64 && exec "$0" "$@"`;
  const args = ['-c', shell, process.execPath, EDGESTORE_BIN, 'sync', scene.root, ...scene.at];
  const run = await finished(spawn('/bin/sh', args, { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] }));
  if (run.exitCode !== 0) expect(run.stderr).toMatch(/EMFILE|too many open files/i);
  await scene.mustSync('local');
  expect(scene.brokenBeliefs()).toEqual([]);
});
