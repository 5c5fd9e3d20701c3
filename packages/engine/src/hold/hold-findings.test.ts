import { expect, test } from 'vitest';
import type { KeyValue } from '../core/ports/index.ts';
import type { ShardState } from '../ports/chains.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createHeard } from './heard.ts';
import { type HoldFinding, holdFindings } from './hold-findings.ts';
import { createRunningTime } from './running-time.ts';

const OWNER = 'ab'.repeat(16);
const HOUR_MS = 3_600_000;

function memoryKv(): KeyValue {
  const values = new Map<string, string>();
  return {
    get: (key) => values.get(key),
    set: (key, value) => void values.set(key, value),
    delete: (key) => void values.delete(key),
  };
}

function setup(kv = memoryKv()) {
  const clock = createFakeClock();
  const running = createRunningTime(kv, clock);
  const heard = createHeard(kv, running);
  const state: { -readonly [Key in keyof ShardState]: ShardState[Key] } = {
    shard: 1,
    held: 10,
    applied: 5,
    whole: 5,
    wanted: 0,
    lost: 0,
    unreadable: 0,
  };
  const look = (): HoldFinding[] =>
    holdFindings([OWNER], {
      chains: { agents: () => [OWNER], shards: () => [state] },
      kv,
      heard,
      running,
      nowNs: () => clock.nowNs(),
    });
  return { clock, running, heard, state, look, kv };
}

test('nothing is told of a shard that lacks nothing', () => {
  expect(setup().look()).toEqual([]);
});

test('lost and unreadable are findings at once, with the time since when', async () => {
  const { clock, state, look } = setup();
  state.lost = 2;
  const [first] = look();
  expect(first).toMatchObject({ owner: OWNER, lost: 2, isFinding: true });
  await clock.advance(5 * HOUR_MS);
  state.unreadable = 1;
  expect(look()[0]!.sinceNs).toBe(first!.sinceNs);
  state.lost = 0;
  state.unreadable = 0;
  expect(look()).toEqual([]);
  state.unreadable = 1;
  expect(look()[0]!.sinceNs).toBeGreaterThan(first!.sinceNs);
});

test('wanted is lag while it shrinks', async () => {
  const { clock, state, look } = setup();
  state.wanted = 100;
  for (let day = 0; day < 9; day++) {
    state.wanted -= 10;
    expect(look()[0]).toMatchObject({ isFinding: false });
    await clock.advance(20 * HOUR_MS);
  }
  await clock.advance(5 * HOUR_MS);
  expect(look()[0]).toMatchObject({ wanted: 10, isFinding: true });
});

test('wanted is lag while its owner is heard of within a day of running time', async () => {
  const { clock, heard, state, look } = setup();
  state.wanted = 5;
  look();
  for (let i = 0; i < 5; i++) {
    await clock.advance(23 * HOUR_MS);
    heard.note(OWNER);
    expect(look()[0]).toMatchObject({ isFinding: false });
  }
  await clock.advance(25 * HOUR_MS);
  expect(look()[0]).toMatchObject({ isFinding: true });
});

test('time that the store did not run does not make lag a finding', async () => {
  const { clock, running, state, look, kv } = setup();
  state.wanted = 5;
  look();
  await clock.advance(10 * HOUR_MS);
  running.note();
  // Another process, a month later by the wall.
  const next = setup(kv);
  next.state.wanted = 5;
  await next.clock.advance(HOUR_MS);
  expect(next.look()[0]).toMatchObject({ isFinding: false });
  await next.clock.advance(14 * HOUR_MS);
  expect(next.look()[0]).toMatchObject({ isFinding: true });
});
