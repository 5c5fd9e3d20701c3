import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
// @ts-expect-error A script without types.
import { failpointListSource, failpointNames } from '../../scripts/list-failpoints.mjs';
import { armFailpoints, failpoint, failpointHandler } from './failpoint.ts';
import { FAILPOINT_NAMES } from './failpoint-names.ts';

test('the list of failpoints is the one of the sources (else: node packages/engine/scripts/list-failpoints.mjs --write)', () => {
  expect([...FAILPOINT_NAMES]).toEqual(failpointNames());
  expect(readFileSync(new URL('./failpoint-names.ts', import.meta.url), 'utf8')).toBe(
    failpointListSource(failpointNames()),
  );
  for (const name of FAILPOINT_NAMES) expect(name).toMatch(/^[a-z0-9-]+\.[a-z0-9-]+$/);
});

test('nothing happens until a handler is armed; it kills at the wanted hit of the wanted name', () => {
  const killed: string[] = [];
  const logged: string[] = [];
  failpoint('a.b');
  const disarm = armFailpoints(
    failpointHandler(
      'a.b:2',
      () => killed.push('a.b'),
      (name) => logged.push(name),
    )!,
  );
  for (const name of ['a.b', 'c.d', 'a.b', 'a.b']) failpoint(name);
  disarm();
  failpoint('a.b');
  expect(killed).toEqual(['a.b']);
  expect(logged).toEqual(['a.b', 'c.d', 'a.b', 'a.b']);
});

test('a setting that names no failpoint is told to the caller', () => {
  for (const wrong of ['', 'a b', 'a:0', 'a:x', 'A.b']) expect(failpointHandler(wrong, () => {})).toBeUndefined();
  expect(
    failpointHandler(
      undefined,
      () => {},
      () => {},
    ),
  ).toBeDefined();
});
