import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { armFailpoints } from '../core/failpoint.ts';
import { createDataDir, type DataDir, dataDirAt } from '../store/data-dir.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import type { ChainRepair } from './chain-repair-types.ts';
import { finishLogRepair, placeCutChain } from './place-cut-chain.ts';

const agent = 'a1'.repeat(16);
let folder: ReturnType<typeof temporaryFolder>;
let dir: DataDir;
let repair: ChainRepair;
const folderOf = (): string => join(dir.chainsDir, agent);

beforeEach(async () => {
  folder = temporaryFolder();
  dir = dataDirAt(join(folder.path, 'data'));
  await createDataDir(dir);
  for (const [path, text] of [
    [folderOf(), 'damaged'],
    [join(dir.repairDir, agent), 'repaired'],
  ] as const) {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, '1.chain'), text);
  }
  const snapshot = { id: 'ab'.repeat(32), root: 'shop', timeNs: 1_780_000_000_123_456_789n };
  const aside = `${folderOf()}.damaged-now`;
  repair = { how: 'cut', entries: 1, from: [], aside, kept: [], behind: [], lost: [snapshot] };
});
afterEach(() => folder.remove());

async function stoppedAt(failpoint: string): Promise<void> {
  const disarm = armFailpoints((name) => {
    if (name === failpoint) throw new Error('stopped');
  });
  const life = { incarnation: 2, card: Buffer.from('card'), identity: Buffer.from('identity') };
  await expect(placeCutChain(dir, agent, repair, life)).rejects.toThrow('stopped');
  disarm();
}

const chains = (): string[] =>
  readdirSync(dir.chainsDir).map(
    (name) => `${name.replace(agent, 'agent')}: ${readFileSync(join(dir.chainsDir, name, '1.chain'))}`,
  );

test('what was not decided is nothing: it goes, and the damaged chain stays', async () => {
  await stoppedAt('log-repair.staged');
  expect(await finishLogRepair(dir)).toBeUndefined();
  expect(chains()).toEqual(['agent: damaged']);
  expect([existsSync(dir.identityFile), existsSync(dir.cardFile(agent, 2))]).toEqual([false, false]);
});

test('what was decided is finished once, with all that is to be said of it', async () => {
  await stoppedAt('log-repair.decided');
  expect(await finishLogRepair(dir)).toEqual(repair);
  expect(await finishLogRepair(dir)).toBeUndefined();
  expect(chains()).toEqual(['agent: repaired', 'agent.damaged-now: damaged']);
  expect(readFileSync(dir.identityFile, 'utf8')).toBe('identity');
  expect(readFileSync(dir.cardFile(agent, 2), 'utf8')).toBe('card');
});

test('files that somebody put back in between are kept beside the damaged ones', async () => {
  await stoppedAt('log-repair.set-aside');
  mkdirSync(folderOf());
  writeFileSync(join(folderOf(), '1.chain'), 'put back');
  await finishLogRepair(dir);
  expect(chains()).toEqual(['agent: repaired', 'agent.damaged-now: damaged', 'agent.damaged-now-2: put back']);
});

test('a plan that cannot be read is damage, and nothing is put in place by guessing', async () => {
  await stoppedAt('log-repair.decided');
  const plan = join(dir.repairedDir, 'plan.json');
  writeFileSync(plan, '{"agent":');
  await expect(finishLogRepair(dir)).rejects.toMatchObject({ code: 'E_INTEGRITY', context: { path: plan } });
  expect(readFileSync(join(folderOf(), '1.chain'), 'utf8')).toBe('damaged');
});

test('a data dir that was moved in between keeps the damaged files where it is now', async () => {
  await stoppedAt('log-repair.decided');
  renameSync(join(folder.path, 'data'), join(folder.path, 'moved'));
  dir = dataDirAt(join(folder.path, 'moved'));
  await finishLogRepair(dir);
  expect(chains()).toEqual(['agent: repaired', 'agent.damaged-now: damaged']);
});

test('a plan whose agent is no id never becomes a path', async () => {
  await stoppedAt('log-repair.decided');
  const plan = join(dir.repairedDir, 'plan.json');
  writeFileSync(plan, readFileSync(plan, 'utf8').replace(agent, '../../elsewhere'));
  await expect(finishLogRepair(dir)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  expect(readFileSync(join(folderOf(), '1.chain'), 'utf8')).toBe('damaged');
});
