/**
 * `scrub --repair` of an own chain whose file lost its end, which no other store has. Until the repair is done nothing is appended; wherever it is killed, the
 * next one names the same lost snapshots, those before them are there, and the numbers of the lost entries are used again.
 */
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { chainFilesBelow, entriesIn } from '../../support/chain-files.ts';
import { edgestoreJson, type Finished, runEdgestore } from '../../support/edgestore-process.ts';
import type { Acknowledged } from '../journal.ts';
import { type KilledRun, runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, Vault } from '../vault.ts';

/** Exit of a repair that found snapshots to be lost. */
const LOST = 7;

export async function missingTailScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  const chains = join(vault.dataDir, 'chains');
  const [file] = chainFilesBelow(chains) as [string];
  const last = entriesIn(file).at(-1)!;
  for (let i = 0; i < 2; i++) {
    vault.edit(50_000);
    await vault.sync();
  }
  const lost = vault.journal.entries.splice(1).map(({ snapshot }: Acknowledged) => snapshot);
  truncateSync(file, last.at + last.length);
  vault.keep('short');
  const repair = ['scrub', '--repair', '--json', ...vault.at];
  return {
    arrange: async () => vault.backTo('short'),
    run: (kill) => runAndKill({ args: repair, folders: [vault.dataDir, join(file, '..')], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'scrub --repair', [LOST]);
      if (run.killed) await nextRepairEndsIt();
      else namesLost('the repair', run);
      await vault.lastRestores('after the index went back to the file');
      await numbersGoOn(run);
    },
    finish: async () => {
      await vault.sync();
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };

  /** Before the index went back, the chain takes nothing; after that the repair was done. */
  async function nextRepairEndsIt(): Promise<void> {
    const sync = await runEdgestore(['sync', vault.root, '--json', ...vault.at]);
    const again = await runEdgestore(repair);
    if (sync.exitCode !== 0) return namesLost('the next repair', again);
    if (again.exitCode !== 0 || JSON.parse(again.stdout).data.log !== undefined)
      throw failed('a repair with nothing to do', again);
  }

  /** The next sync writes to the chain, and its snapshot is there. */
  async function numbersGoOn(run: KilledRun): Promise<void> {
    const { roots } = await edgestoreJson<{ roots: { snapshot: string }[] }>(['sync', vault.root, ...vault.at]);
    const [{ snapshot = '' } = {}] = roots;
    const listed = await edgestoreJson<{ snapshots: { id: string }[] }>(['snapshot', 'list', ...vault.at]);
    if (!listed.snapshots.some(({ id }) => id === snapshot)) throw failed(`${snapshot} is not listed`, run);
    const scrub = await runEdgestore(['scrub', '--all', ...vault.at]);
    if (scrub.exitCode !== 0) throw failed('a scrub after the repair', scrub);
  }

  function namesLost(what: string, done: Finished): void {
    if (done.exitCode !== LOST) throw failed(what, done);
    const { log } = JSON.parse(done.stdout).data;
    const named = (log.lost as { id: string }[]).map(({ id }) => id).sort();
    if (String(named) !== String([...lost].sort())) throw failed(`${what} names other snapshots`, done);
  }
}

function failed(what: string, { exitCode, signal, stdout, stderr }: Finished): Error {
  return new Error(`${what} ended with ${exitCode ?? signal}\n${stdout}${stderr}`);
}
