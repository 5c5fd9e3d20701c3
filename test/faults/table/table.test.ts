/** The table names tests that exist, says why where there is none, and its page is the one in docs. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { OPEN } from '../open.ts';
import { FAULT_ROWS, faultsPage } from './table.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test('docs/faults.md is the page of the table (else: node scripts/make-faults-page.mjs --write)', () => {
  expect(readFileSync(join(root, 'docs', 'faults.md'), 'utf8')).toBe(faultsPage());
});

test('every row has a test or says why not, and every id is there once', () => {
  expect(FAULT_ROWS.filter(({ tests, untested }) => tests.length === 0 && untested === undefined)).toEqual([]);
  const ids = FAULT_ROWS.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)]);
});

test('every test that the table names is in the file that it names', () => {
  const missing = FAULT_ROWS.flatMap(({ id, tests }) =>
    tests.filter((named) => !isThere(...named)).map((named) => [id, ...named]),
  );
  expect(missing).toEqual([]);
});

test('every open test is one of the table', () => {
  const named = FAULT_ROWS.flatMap(({ tests }) => tests.map(([, name]) => name));
  expect(Object.keys(OPEN).filter((name) => !named.some((one) => matches(one, name)))).toEqual([]);
});

function matches(pattern: string, name: string): boolean {
  const parts = pattern.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.+')}$`).test(name);
}

function isThere(file: string, name: string): boolean {
  const path = join(root, file);
  if (!existsSync(path)) return false;
  const text = readFileSync(path, 'utf8');
  const inSource = name.replaceAll(/\{(\w+)\}/g, '$${$1}');
  return [inSource, inSource.replaceAll("'", "\\'")].some((one) => text.includes(one));
}
