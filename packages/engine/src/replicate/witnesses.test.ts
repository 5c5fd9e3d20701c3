import { expect, test } from 'vitest';
import { EdgeError } from '../core/errors.ts';
import type { ReplicateDeps, ReplicateReport } from './replicate-deps.ts';
import { createSharedPasses } from './shared-passes.ts';
import type { Target } from './targets.ts';
import { createWitnesses } from './witnesses.ts';

const target: Target = { type: 'bucket', target: 'store-meta:far', store: 'far', scope: 'meta' };

/** Passes that list `there` when they begin, and end when `end` is called. */
function passesOver(there: { storeId: string }) {
  const passes = createSharedPasses();
  const ends: (() => void)[] = [];
  const pass = (): Promise<ReplicateReport> => {
    const bucket = { storeId: there.storeId, location: 'aa' };
    return new Promise((resolve) => ends.push(() => resolve({ bucket } as ReplicateReport)));
  };
  const run = () => passes.run(target.target, pass);
  const witnesses = createWitnesses({
    replicate: () => ({}) as ReplicateDeps,
    targets: () => [target],
    linkOf: () => {
      throw new Error('no holder');
    },
    run,
    lastPass: passes.lastNumber,
  });
  return { run, witnesses, ends };
}

test('a pass that was under way when a bucket was asked does not speak for it', async () => {
  const there = { storeId: 'before' };
  const { run, witnesses, ends } = passesOver(there);
  void run();
  there.storeId = 'now';
  const asked = witnesses.bucket('far');
  ends[0]!();
  await expect.poll(() => ends.length).toBe(2);
  ends[1]!();
  expect(await asked).toEqual({ storeId: 'now', location: 'aa' });
});

test('a pass that begins with the question is enough', async () => {
  const { witnesses, ends } = passesOver({ storeId: 'now' });
  const asked = witnesses.bucket('far');
  ends[0]!();
  expect(await asked).toEqual({ storeId: 'now', location: 'aa' });
  expect(ends.length).toBe(1);
});

test('a store that is no target, or whose pass fails, does not count', async () => {
  const failing = createWitnesses({
    replicate: () => ({}) as ReplicateDeps,
    targets: () => [target],
    linkOf: () => {
      throw new Error('no holder');
    },
    run: async () => ({ number: 1, error: new EdgeError('E_NO_BUCKET', 'another store answers') }),
    lastPass: () => 0,
  });
  await expect(failing.bucket('far')).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
  expect(await failing.bucket('near')).toBeUndefined();
  expect(await failing.holder('store-meta:far')).toBeUndefined();
});
