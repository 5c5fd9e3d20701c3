/** Clocks that are wrong: nothing is deleted early, nothing becomes unreadable, and order is that of the log. */
import { afterEach, expect } from 'vitest';
import { edgestoreJson } from '../support/edgestore-process.ts';
import { faultTest } from './fault-test.ts';
import { clockShiftedBy } from './kit/clock.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

const needs = ['libfaketime'] as const;

faultTest(
  'a clock that jumps a year ahead, back, and ten years: every snapshot stays and restores, and latest is the last one made',
  async () => {
    scene = await OwnerAndHolders.make();
    for (const shift of ['+366d', '-366d', '+3660d', '-3660d']) {
      scene.vault.edit(30_000);
      const env = clockShiftedBy(shift);
      const { roots } = await edgestoreJson<{ roots: { snapshot: string }[] }>(['sync', scene.root, ...scene.at], {
        env,
      });
      scene.vault.acknowledge(roots[0]?.snapshot);
      scene.acknowledged.push({ entry: scene.vault.journal.last!, level: 'local' });
      await edgestoreJson(['scrub', '--all', ...scene.at], { env });
      expect(scene.brokenBeliefs(), shift).toEqual([]);
    }
    await scene.everythingRestores('after clocks that jumped');
    const target = `${scene.vault.base}/latest`;
    const { snapshot } = await edgestoreJson<{ snapshot: string }>([
      'restore',
      'latest',
      '--target',
      target,
      ...scene.at,
    ]);
    expect(snapshot).toBe(scene.vault.journal.last?.snapshot);
  },
  { needs },
);

faultTest(
  'a holder whose clock is ten years ahead holds and gives what it has',
  async () => {
    scene = await OwnerAndHolders.make({ holders: 1 });
    const [holder] = scene.holders;
    await holder?.stop();
    await holder?.start(clockShiftedBy('+3660d'));
    scene.vault.edit(30_000);
    await scene.mustSync('peers=1');
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.lastComesFrom(`https://127.0.0.1:${holder?.port}`, 'from a holder with a wrong clock');
  },
  { needs },
);
