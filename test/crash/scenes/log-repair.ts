/**
 * `scrub --repair` of a chain in whose middle an entry has rotted, and nobody else has it. Before the repair is decided the chain is as damaged as before; after
 * it every command ends it. Whichever comes next: every snapshot is listed and restorable, and the agent writes on in a new incarnation.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chainFilesBelow, damageEntry } from '../../support/chain-files.ts';
import { type Finished, runEdgestore } from '../../support/edgestore-process.ts';
import type { Acknowledged } from '../journal.ts';
import { type KilledRun, runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, Vault } from '../vault.ts';

/** Exit of a repair that cut the chain and lost no snapshot. */
const CUT = 20;

export async function logRepairScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  for (let i = 0; i < 2; i++) {
    vault.edit(50_000);
    await vault.sync();
  }
  const behind = vault.journal.entries.slice(1) as [Acknowledged, Acknowledged];
  const chains = join(vault.dataDir, 'chains');
  const [file] = chainFilesBelow(chains) as [string];
  // The record of the second snapshot: an add and a record follow it.
  damageEntry(file, 3);
  const damaged = readFileSync(file);
  vault.keep('damaged');
  const repair = ['scrub', '--repair', '--json', ...vault.at];
  let turn = 0;
  return {
    arrange: async () => vault.backTo('damaged'),
    run: (kill) => runAndKill({ args: repair, folders: [vault.dataDir, chains], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'scrub --repair', [CUT]);
      await nextCommandEndsIt(run);
      // Every way ends in a repair that named them, and marked them as damaged.
      await vault.everythingRestores(behind);
      const left = readdirSync(chains).filter((name) => name.startsWith('.'));
      if (left.length > 0) throw new Error(`left over: ${left.join(', ')}`);
      if (!keptFiles().some((bytes) => bytes.equals(damaged))) throw new Error('the damaged file is gone');
    },
    finish: async () => {
      vault.edit();
      await vault.sync();
      await vault.everythingRestores(behind);
    },
    remove: () => vault.remove(),
  };

  /** In turn another repair and a command that knows nothing of it, which warns of the damage until it is mended. */
  async function nextCommandEndsIt(run: KilledRun): Promise<void> {
    if (!run.killed) return namesBehind('the repair', run);
    const isDecided = existsSync(join(chains, '.repaired'));
    const isDone = !isDecided && !(existsSync(file) && readFileSync(file).equals(damaged));
    if (++turn % 2 === 0) {
      const next = await runEdgestore(['snapshot', 'list', '--json', ...vault.at]);
      const told = /a repair of the chain of this agent, which was cut off, was finished/.test(next.stdout);
      if (next.exitCode !== 0 || told !== isDecided) throw failed('a command after a killed repair', next);
      if (isDecided) return;
    }
    const again = await runEdgestore(repair);
    if (!isDone) return namesBehind('the next repair', again);
    if (again.exitCode !== 0 || JSON.parse(again.stdout).data.log !== undefined)
      throw failed('a repair with nothing to do', again);
  }

  function namesBehind(what: string, done: Finished): void {
    if (done.exitCode !== CUT) throw failed(what, done);
    const { log } = JSON.parse(done.stdout).data;
    const named = (log.behind as { id: string }[]).map(({ id }) => id).sort();
    if (log.lost.length > 0 || String(named) !== String(behind.map(({ snapshot }) => snapshot).sort()))
      throw failed(`${what} names other snapshots`, done);
  }

  function keptFiles(): Buffer[] {
    return readdirSync(chains, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.parentPath.includes('.damaged-'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  }
}

function failed(what: string, { exitCode, signal, stdout, stderr }: Finished): Error {
  return new Error(`${what} ended with ${exitCode ?? signal}\n${stdout}${stderr}`);
}
