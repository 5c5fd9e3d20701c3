/**
 * A holder that lies, or only drips: nothing is safe by its word, no own copy goes for it, and the owner goes on when
 * it is honest again.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { AgentProcess } from '../crash/agent-process.ts';
import { EvilHolder, runMeasured } from './evil/evil-process.ts';
import { faultTest } from './fault-test.ts';
import { type Holder, OwnerAndHolders } from './owner-and-holders.ts';

/** Far above what a sync of a few files takes, far below what a lie took. */
const MIB_MAX = 400;
const TIERS = '[tiering.default]\nhot = "1s"\nwarm = "2s"\n';

let scene: OwnerAndHolders;
let evil: EvilHolder | undefined;
let owner: AgentProcess | undefined;
afterEach(async () => {
  await evil?.stop();
  await owner?.kill();
  evil = undefined;
  owner = undefined;
  await scene.remove();
});

async function withHolder(): Promise<Holder> {
  scene = await OwnerAndHolders.make({ holders: 1, config: TIERS });
  return scene.holders[0]!;
}

async function lies(how: string, holder: Holder): Promise<void> {
  await holder.stop();
  evil = await EvilHolder.start(how, holder);
}

async function isHonestAgain(holder: Holder): Promise<void> {
  await evil?.stop();
  await holder.start();
}

const change = (turn: number): void => writeFileSync(join(scene.root, 'small'), `changed ${turn}\n`);

/** Whatever its exit code: what it dropped is told in its data. */
async function tierRun(): Promise<{ readonly chunks: number }> {
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const { dropped } = await scene.json<{ dropped: { chunks: number } }>(['tier', 'run', '--yes'], [0, 5]);
  return dropped;
}

faultTest(
  'a holder that keeps nothing and proves the bytes that it fetches from the owner is believed in nothing',
  async () => {
    const holder = await withHolder();
    await lies('relays the owner', holder);
    owner = await AgentProcess.start(scene.at);
    change(1);
    expect((await scene.sync('sites=1')).exitCode).not.toBe(0);
    expect(await tierRun()).toEqual({ chunks: 0, bytes: 0 });
    await owner.kill();
    await scene.everythingRestores('with a holder that has nothing');
  },
);

faultTest('a holder that lacks what it showed a moment before makes no own copy go', async () => {
  const holder = await withHolder();
  await scene.mustSync('sites=1');
  await lies('forgets what it showed', holder);
  expect(await tierRun()).toEqual({ chunks: 0, bytes: 0 });
});

faultTest('long lists of shards that the owner does not have take no memory, then or later', async () => {
  const holder = await withHolder();
  await scene.mustSync('sites=1');
  await lies('thirty shards with full lists', holder);
  change(1);
  const sync = await runMeasured(['sync', scene.root, '--wait', 'sites=1', '--timeout', '30s', ...scene.at]);
  // Of the shard that the owner has it says what is so: on a fast machine the answer comes in time, and counts.
  expect([0, 5]).toContain(sync.exitCode);
  expect(sync.mib).toBeLessThan(MIB_MAX);
  const status = await runMeasured(['status', ...scene.at]);
  expect(status.exitCode).toBe(0);
  expect(status.mib).toBeLessThan(MIB_MAX);
  await isHonestAgain(holder);
  await scene.mustSync('sites=1');
});

faultTest('a holder that is shown the last epoch that there is, signed by itself, goes on', async () => {
  const holder = await withHolder();
  await scene.mustSync('sites=1');
  await lies('the last epoch', holder);
  change(1);
  await scene.sync('sites=1');
  await isHonestAgain(holder);
  change(2);
  await scene.mustSync('sites=1');
});

for (const code of ['E_INTERRUPTED', 'E_NO_VAULT'])
  faultTest(`a holder that answers ${code}, a code of this machine alone, is a holder that failed`, async () => {
    const holder = await withHolder();
    await scene.mustSync('sites=1');
    await lies(`answers ${code}`, holder);
    change(1);
    const { exitCode, stderr, stdout } = await scene.sync('sites=1');
    // 1 where the time is over before it begins to wait.
    expect([1, 5], `${stdout}${stderr}`).toContain(exitCode);
    await isHonestAgain(holder);
    await scene.mustSync('sites=1');
  });

for (const how of ['a header by drip', 'a body by drip', 'interim answers without end'])
  faultTest(
    `a holder that gives ${how} does not keep a tier run for ever`,
    async () => {
      const holder = await withHolder();
      await scene.mustSync('sites=1');
      await lies(how, holder);
      expect(await tierRun()).toEqual({ chunks: 0, bytes: 0 });
    },
    { long: true },
  );
