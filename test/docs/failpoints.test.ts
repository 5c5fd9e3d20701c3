/** The page of the order of writes names every failpoint of the sources, and no other one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FAILPOINT_NAMES } from '../../packages/engine/src/core/failpoint-names.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/invariants.md'), 'utf8');

test('failpoints in docs/invariants.md', () => {
  const scopes = new Set(FAILPOINT_NAMES.map((name) => name.slice(0, name.indexOf('.'))));
  const named = [...page.matchAll(/`([a-z-]+)\.([a-z-]+)`/g)]
    .filter(([, scope, step]) => scopes.has(scope!) && !/^(ts|sqlite|edge|json|md|id|seen|pack)$/.test(step!))
    .map(([, scope, step]) => `${scope}.${step}`);
  expect([...new Set(named)].sort()).toEqual([...FAILPOINT_NAMES].sort());
});
