/**
 * `scrub --repair` of a damaged chain of which a bucket has every entry. Wherever it is killed, the next repair leaves the file byte for byte as it was before the
 * damage: the same snapshots, the same incarnation of the agent, and the damaged file beside it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { chainFilesBelow, damageEntry } from '../../support/chain-files.ts';
import { type Finished, runEdgestore } from '../../support/edgestore-process.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked } from '../vault.ts';
import { vaultWithBucket } from './bucket.ts';

export async function wholeLogRepairScene(): Promise<Scene> {
  const { vault } = await vaultWithBucket();
  vault.edit(50_000);
  await vault.sync('--wait', 's3');
  const [file] = chainFilesBelow(join(vault.dataDir, 'chains')) as [string];
  const sound = damageEntry(file, 3);
  const damaged = readFileSync(file);
  vault.keep('damaged');
  const identity = identityOf();
  const repair = ['scrub', '--repair', '--json', ...vault.at];
  return {
    arrange: async () => vault.backTo('damaged'),
    run: (kill) => runAndKill({ args: repair, folders: [vault.dataDir, dirname(file)], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'scrub --repair');
      if (!run.killed) saysWhole('the repair', run);
      else await nextRepairEndsIt();
      if (!readFileSync(file).equals(sound)) throw new Error('the file is not what it was');
      if (identityOf() !== identity) throw new Error('the agent has another incarnation');
      const beside = readdirSync(dirname(file));
      if (beside.some((name) => name.endsWith('.tmp'))) throw new Error(`left over: ${beside.join(', ')}`);
      const kept = beside
        .filter((name) => name.includes('.damaged-'))
        .map((name) => readFileSync(join(dirname(file), name)));
      if (!kept.some((bytes) => bytes.equals(damaged))) throw new Error('the damaged file is gone');
      await vault.lastRestores('after a repair of the whole chain');
    },
    finish: async () => {
      vault.edit();
      await vault.sync('--wait', 's3');
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };

  async function nextRepairEndsIt(): Promise<void> {
    const isDone = readFileSync(file).equals(sound);
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
}

function failed(what: string, { exitCode, signal, stdout, stderr }: Finished): Error {
  return new Error(`${what} ended with ${exitCode ?? signal}\n${stdout}${stderr}`);
}
