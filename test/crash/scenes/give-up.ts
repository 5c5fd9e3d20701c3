/**
 * `scrub --all --repair` that gives up a chunk which no store has. Wherever it is killed, the snapshot that needs it is damaged or not, and nothing else changed; the
 * next repair ends it. What has the chunk restores all but that file, and every other snapshot restores exactly.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { edgestoreJson, type Finished, runEdgestore } from '../../support/edgestore-process.ts';
import { pseudoRandom } from '../../support/hostile-tree.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, type SyncData, Vault } from '../vault.ts';

interface Listed {
  readonly snapshots: readonly { readonly id: string; readonly damaged: boolean }[];
}

/** A loss was found; it is told with the run that gives it up. */
const LOST = 7;
const SETTLED = 20;

export async function giveUpScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  const before = new Set(dataPacks());
  const only = join(vault.root, 'only in one snapshot');
  writeFileSync(only, pseudoRandom(50_000, 77));
  const { roots } = await edgestoreJson<SyncData>(['sync', vault.root, ...vault.at]);
  const damaged = roots[0]!.snapshot;
  rmSync(only);
  await vault.sync();
  for (const pack of dataPacks()) if (!before.has(pack)) rmSync(pack);
  vault.keep('lost');
  const repair = ['scrub', '--all', '--repair', '--json', ...vault.at];
  return {
    arrange: async () => vault.backTo('lost'),
    run: (kill) => runAndKill({ args: repair, folders: [vault.dataDir, join(vault.dataDir, 'chains')], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'scrub --all --repair', [LOST]);
      if (!run.killed) namesIt('the repair', run);
      else {
        const again = await runEdgestore(repair);
        // Killed behind the append, it is given up already, and no new loss; that its pack is gone may be told once
        // more, before that is settled.
        const isGivenUp = again.exitCode === 0 || (again.exitCode === SETTLED && lossesOf(again) === 0);
        if (!isGivenUp) namesIt('the next repair', again);
      }
      const { snapshots } = await edgestoreJson<Listed>(['snapshot', 'list', ...vault.at]);
      const marked = snapshots.filter((one) => one.damaged).map(({ id }) => id);
      if (String(marked) !== damaged) throw new Error(`damaged are ${marked.join(', ')}, not ${damaged} alone`);
      const quiet = await runEdgestore(['scrub', '--all', '--json', ...vault.at]);
      if (quiet.exitCode !== 0) throw failed('a scrub after it', quiet);
      await vault.lastRestores('after a chunk was given up');
    },
    finish: async () => {
      const target = join(vault.base, 'by file');
      const { failures } = await edgestoreJson<{ failures: { path: string }[] }>(
        ['restore', damaged, '--target', target, ...vault.at],
        { exitCodes: [3] },
      );
      if (String(failures.map(({ path }) => path)) !== 'only in one snapshot')
        throw new Error(JSON.stringify(failures));
      rmSync(target, { recursive: true });
      writeFileSync(only, pseudoRandom(50_000, 77));
      await vault.sync();
      rmSync(only);
      await vault.sync();
      for (const entry of vault.journal.entries.slice(-2)) vault.beliefsHold('local', [entry]);
      await vault.lastRestores('at the end');
    },
    remove: () => vault.remove(),
  };

  function dataPacks(): string[] {
    const folder = join(vault.dataDir, 'packs');
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.pack') && readFileSync(join(folder, name))[10] === 1)
      .map((name) => join(folder, name));
  }

  function namesIt(what: string, done: Finished): void {
    if (done.exitCode !== LOST) throw failed(what, done);
    const { given_up } = JSON.parse(done.stdout).data;
    if (given_up.chunks < 1 || String(given_up.snapshots.map(({ id }: { id: string }) => id)) !== damaged)
      throw failed(`${what} gives up something else`, done);
  }
}

function failed(what: string, { exitCode, signal, stdout, stderr }: Finished): Error {
  return new Error(`${what} ended with ${exitCode ?? signal}\n${stdout}${stderr}`);
}

function lossesOf({ stdout }: Finished): number {
  return JSON.parse(stdout).data.lost.chunks;
}
