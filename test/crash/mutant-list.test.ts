/**
 * The list of mutants goes with the sources: an edit that is found no more would take nothing out, and nobody would
 * notice for weeks.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

interface Mutant {
  readonly name: string;
  /** File, what is there, and what is put in its place. */
  readonly edits: readonly (readonly [string, string, string])[];
  readonly tests: readonly string[];
}

const root = resolve(import.meta.dirname, '../..');

test('each edit of the mutant list is found once in its file, and the tests that are to notice it are there', async () => {
  const list = new URL('./mutant-list.mjs', import.meta.url).href;
  const { MUTANTS, UNITS } = (await import(list)) as { MUTANTS: readonly Mutant[]; UNITS: readonly string[] };
  const stale: string[] = UNITS.filter((file) => !existsSync(join(root, file)));
  for (const { name, edits, tests } of MUTANTS) {
    for (const [file, from, to] of edits) {
      const times = readFileSync(join(root, file), 'utf8').split(from).length - 1;
      if (times !== 1 || from === to) stale.push(`${name}: ${JSON.stringify(from)} is there ${times} times in ${file}`);
    }
    for (const file of tests) if (!existsSync(join(root, file))) stale.push(`${name}: ${file}`);
  }
  expect(stale).toEqual([]);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});
