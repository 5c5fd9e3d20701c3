/**
 * `scrub --repair` of a damaged log of which a bucket has every record. Wherever it is killed, the next repair or any other command leaves the log byte for byte as
 * it was before the damage: the same snapshots under the same ids, the same life of the agent, and the damaged file beside it.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Finished, runEdgestore } from '../../support/edgestore-process.ts';
import { recordsIn } from '../../support/log-records.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked } from '../vault.ts';
import { vaultWithBucket } from './bucket.ts';
import { onlyFileBelow } from './rebuild.ts';

export async function wholeLogRepairScene(): Promise<Scene> {
  const { vault } = await vaultWithBucket();
  vault.edit(50_000);
  await vault.sync('--wait', 's3');
  const logs = join(vault.dataDir, 'log');
  const log = onlyFileBelow(logs);
  const sound = readFileSync(log);
  const damaged = Buffer.from(sound);
  damaged[recordsIn(log).at(-2)!.at + 200]! ^= 1;
  writeFileSync(log, damaged);
  vault.keep('damaged');
  const identity = identityOf();
  const repair = ['scrub', '--repair', '--json', ...vault.at];
  let turn = 0;
  return {
    arrange: async () => vault.backTo('damaged'),
    run: (kill) => runAndKill({ args: repair, folders: [vault.dataDir, logs], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'scrub --repair');
      if (!run.killed) saysWhole('the repair', run);
      else await nextCommandEndsIt();
      if (!readFileSync(log).equals(sound)) throw new Error('the log is not what it was');
      if (identityOf() !== identity) throw new Error('the agent has another life');
      const left = readdirSync(logs).filter((name) => name.startsWith('.'));
      if (left.length > 0) throw new Error(`left over: ${left.join(', ')}`);
      if (!keptFiles().some((bytes) => bytes.equals(damaged))) throw new Error('the damaged file is gone');
      await vault.lastRestores('after a repair of the whole log');
    },
    finish: async () => {
      vault.edit();
      await vault.sync('--wait', 's3');
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };

  /** In turn another repair and a command that knows nothing of it. */
  async function nextCommandEndsIt(): Promise<void> {
    const isDecided = existsSync(join(logs, '.repaired'));
    const isDone = !isDecided && existsSync(log) && readFileSync(log).equals(sound);
    if (++turn % 2 === 0) {
      const next = await runEdgestore(['snapshot', 'list', '--json', ...vault.at]);
      if (isDecided || isDone) {
        if (next.exitCode !== 0) throw failed('a command that had to end the repair', next);
        const told = JSON.stringify(JSON.parse(next.stdout).warnings);
        if (/lost: [0-9a-f]/.test(told)) throw failed('a command that says something was lost', next);
        return;
      }
      if (next.exitCode !== 7) throw failed('a command on a damaged log', next);
    }
    const again = await runEdgestore(repair);
    if (!isDone) return saysWhole('the next repair', again);
    if (again.exitCode !== 0 || JSON.parse(again.stdout).data.log !== undefined)
      throw failed('a repair with nothing to do', again);
  }

  function saysWhole(what: string, done: Finished): void {
    if (done.exitCode !== 0) throw failed(what, done);
    const { repaired, lost, from } = JSON.parse(done.stdout).data.log;
    if (repaired !== 'whole' || lost.length > 0 || from.length !== 1) throw failed(`${what} is not whole`, done);
  }

  function identityOf(): string {
    const folder = join(vault.dataDir, 'agent');
    const cards = readdirSync(join(vault.dataDir, 'cards')).sort();
    return JSON.stringify([cards, ...readdirSync(folder).map((name) => readFileSync(join(folder, name), 'base64'))]);
  }

  function keptFiles(): Buffer[] {
    return readdirSync(logs, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.parentPath.includes('.damaged-'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  }
}

function failed(what: string, { exitCode, signal, stdout, stderr }: Finished): Error {
  return new Error(`${what} ended with ${exitCode ?? signal}\n${stdout}${stderr}`);
}
