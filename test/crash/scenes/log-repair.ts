/**
 * `scrub --repair` of a log in whose middle a record has rotted, and nobody else has it. Before the repair is decided the log is as damaged as before; after it every
 * command ends it. Whichever comes next: what verified is there, what is lost is named once, and the agent writes on.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Finished, runEdgestore } from '../../support/edgestore-process.ts';
import { recordsIn } from '../../support/log-records.ts';
import { type Acknowledged, restoresExactly } from '../journal.ts';
import { type KilledRun, runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, Vault } from '../vault.ts';
import { onlyFileBelow } from './rebuild.ts';

/** Exit of a repair that names a lost snapshot. */
const SNAPSHOT_LOST = 7;

export async function logRepairScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  for (let i = 0; i < 2; i++) {
    vault.edit(50_000);
    await vault.sync();
  }
  const [first, lost, last] = vault.journal.entries as [Acknowledged, Acknowledged, Acknowledged];
  const log = onlyFileBelow(join(vault.dataDir, 'log'));
  const damaged = readFileSync(log);
  const at = recordsIn(log).at(-2)!.at + 200;
  damaged[at]! ^= 1;
  writeFileSync(log, damaged);
  vault.keep('damaged');
  const repair = ['scrub', '--repair', '--json', ...vault.at];
  let turn = 0;
  return {
    arrange: async () => vault.backTo('damaged'),
    run: (kill) => runAndKill({ args: repair, folders: [vault.dataDir, join(vault.dataDir, 'log')], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'scrub --repair', [SNAPSHOT_LOST]);
      await nextCommandEndsIt(run);
      const listed = await runEdgestore(['snapshot', 'list', '--json', ...vault.at]);
      if (listed.exitCode !== 0) throw failed('snapshot list after the repair', listed);
      const ids = (JSON.parse(listed.stdout).data.snapshots as { id: string }[]).map(({ id }) => id);
      if (ids.length !== 2 || !ids.includes(first.snapshot)) throw new Error(`there are ${ids.join(', ')}`);
      const renewed = ids.find((id) => id !== first.snapshot)!;
      await restoresExactly({ ...last, snapshot: renewed }, vault.at, 'what was written again');
      const left = readdirSync(join(vault.dataDir, 'log')).filter((name) => name.startsWith('.'));
      if (left.length > 0) throw new Error(`left over: ${left.join(', ')}`);
      if (!keptFiles().some((bytes) => bytes.equals(damaged))) throw new Error('the damaged file is gone');
    },
    finish: async () => {
      vault.journal.entries.splice(0, 3, first);
      vault.edit();
      await vault.sync();
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };

  /** In turn another repair and a command that knows nothing of it. */
  async function nextCommandEndsIt(run: KilledRun): Promise<void> {
    if (!run.killed) return namesLost('the repair', run);
    const isDecided = existsSync(join(vault.dataDir, 'log', '.repaired'));
    const isDone = !isDecided && !(existsSync(log) && readFileSync(log).equals(damaged));
    if (++turn % 2 === 0) {
      const next = await runEdgestore(['snapshot', 'list', '--json', ...vault.at]);
      const { error, warnings } = JSON.parse(next.stdout);
      if (isDecided || isDone) {
        const told = JSON.stringify(warnings ?? []).includes(`lost: ${lost.snapshot.slice(0, 8)}`);
        if (next.exitCode !== 0 || told !== isDecided) throw failed('a command that had to end the repair', next);
        return;
      }
      if (next.exitCode !== 7 || !/scrub --repair/.test(error.hint)) throw failed('a command on a damaged log', next);
    }
    const again = await runEdgestore(repair);
    if (!isDone) return namesLost('the next repair', again);
    if (again.exitCode !== 0 || JSON.parse(again.stdout).data.log !== undefined)
      throw failed('a repair with nothing to do', again);
  }

  function namesLost(what: string, done: Finished): void {
    if (done.exitCode !== SNAPSHOT_LOST) throw failed(what, done);
    const named = JSON.parse(done.stdout).data.log.lost as { id: string }[];
    if (named.length !== 1 || named[0]!.id !== lost.snapshot) throw failed(`${what} names other snapshots`, done);
  }

  function keptFiles(): Buffer[] {
    const folder = join(vault.dataDir, 'log');
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.parentPath.includes('.damaged-'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  }
}

function failed(what: string, { exitCode, signal, stdout, stderr }: Finished): Error {
  return new Error(`${what} ended with ${exitCode ?? signal}\n${stdout}${stderr}`);
}
