import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FAILPOINT_NAMES } from '../../packages/engine/src/core/failpoint-names.ts';
import { FAILPOINTS_OF, KILLED_IN_ENGINE } from './coverage.ts';
import { NORMAL_RANDOM_KILLS, randomKillsOf } from './random-kills.ts';

test('every failpoint of the sources has a scene that is killed at it', () => {
  expect([...new Set<string>([...Object.values(FAILPOINTS_OF).flat(), ...KILLED_IN_ENGINE])].sort()).toEqual(
    [...FAILPOINT_NAMES].sort(),
  );
});

test('every scene is run', () => {
  const run = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.test.ts'))
    .flatMap((name) => [...readFileSync(`${import.meta.dirname}/${name}`, 'utf8').matchAll(/^crashTests\('([^']+)'/gm)])
    .map(([, scene]) => scene);
  expect(run.sort()).toEqual(Object.keys(FAILPOINTS_OF).sort());
});

test('a normal run kills at least 200 times; EDGESTORE_CRASH_KILLS asks for another number of random kills', () => {
  expect(FAILPOINT_NAMES.length + NORMAL_RANDOM_KILLS).toBeGreaterThanOrEqual(200);
  expect(randomKillsOf('sync', { EDGESTORE_CRASH_KILLS: String(10 * NORMAL_RANDOM_KILLS) })).toBe(
    10 * randomKillsOf('sync', {}),
  );
});
