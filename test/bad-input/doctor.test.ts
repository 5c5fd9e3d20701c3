/** `doctor` finds each kind of damage and trouble, names it with the way out, and changes nothing while it looks. */
import { chmodSync, mkdirSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contentsOf, flipBit, largestFile, makeSite, type Site } from './site.ts';

interface Check {
  readonly what: string;
  readonly result: string;
  readonly message: string;
  readonly hint?: string;
}

let site: Site;
beforeAll(async () => {
  site = await makeSite();
});
afterAll(() => site.remove());

/** What doctor says is wrong; every problem has its way out, and looking changed no file. */
async function wrong(dataDir: string, args: readonly string[] = [], exit = 20): Promise<Check[]> {
  const before = contentsOf(dataDir);
  const { data } = await site.json(dataDir, ['doctor', ...args], exit);
  expect(contentsOf(dataDir)).toEqual(before);
  const found = (data.checks as Check[]).filter((check) => check.result !== 'ok');
  for (const check of found) expect(check.hint, JSON.stringify(check)).toMatch(/./);
  expect(data.problems).toBe(found.filter((check) => check.result === 'problem').length);
  return found;
}

const problem = (what: string, message: RegExp, hint: RegExp) => ({
  what,
  result: 'problem',
  message: expect.stringMatching(message),
  hint: expect.stringMatching(hint),
});

test('a sound data dir has none, whether closed properly or killed', async () => {
  const dataDir = site.copy();
  expect(await wrong(dataDir, [], 0)).toEqual([]);
  const text = await site.run(dataDir, ['doctor']);
  expect(text.stdout).toMatch(/own chain: \d+ entries/);
});

const chainOf = (dataDir: string): string => largestFile(join(dataDir, 'chains'));
test.each([
  ['flipped', (file: string) => flipBit(file, 600)],
  ['flipped in its newest entry', (file: string) => flipBit(file, -100)],
  ['truncated', (file: string) => truncateSync(file, 1000)],
  ['emptied', (file: string) => truncateSync(file, 0)],
  ['removed', (file: string) => rmSync(file)],
])('the own chain, %s', async (_, damage) => {
  const dataDir = site.copy();
  damage(chainOf(dataDir));
  expect(await wrong(dataDir)).toEqual([
    problem('own chain', /chains.*(is damaged at byte \d+|ends before entry)/, /scrub --repair.*put the file back/),
  ]);
});

test('the own chain, removed together with the index', async () => {
  const dataDir = site.copy();
  rmSync(chainOf(dataDir));
  rmSync(join(dataDir, 'index.sqlite'));
  expect(await wrong(dataDir)).toEqual([problem('own chain', /missing/, /recover/)]);
});

test('a chain of another agent that is none', async () => {
  const dataDir = site.copy();
  const folder = join(dataDir, 'chains', 'ab'.repeat(16));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, '00000001-0000000000000001.chain'), 'no entry at all '.repeat(100));
  expect(await wrong(dataDir)).toEqual([problem('chain of abababab', /damaged/, /scrub --repair/)]);
});

test('key slots, identity, vault descriptor, the index', async () => {
  const dataDir = site.copy();
  const slots = join(dataDir, 'slots');
  for (const name of readdirSync(slots)) flipBit(join(slots, name), 150);
  const found = await wrong(dataDir);
  expect(found).toHaveLength(readdirSync(slots).length);
  for (const one of found) expect(one).toEqual(problem('key slots', /\.slot: /, /key add/));

  const identity = site.copy();
  truncateSync(join(identity, 'agent', 'identity.edge'), 40);
  expect(await wrong(identity)).toEqual([problem('data dir', /identity\.edge/, /recover/)]);

  const vault = site.copy();
  flipBit(join(vault, 'vault.edge'), 3);
  expect(await wrong(vault)).toEqual([problem('data dir', /vault\.edge/, /recover/)]);

  const index = site.copy();
  flipBit(join(index, 'index.sqlite'), 5);
  expect(await wrong(index, [], 0)).toEqual([{ ...problem('index', /damaged/, /built again/), result: 'warning' }]);
});

test('configuration, a root that is gone, open permissions, a clock that was put back', async () => {
  const config = site.at('bad.toml');
  writeFileSync(config, '[agent]\nnmae = "x"\n');
  expect(await wrong(site.copy(), ['-c', config])).toEqual([problem('configuration', /bad\.toml:2.*"name"/, /./)]);

  const roots = site.at('roots.toml');
  writeFileSync(roots, `[[roots]]\nname = "gone"\npath = "${site.at('not-there')}"\n`);
  expect(await wrong(site.copy(), ['-c', roots])).toEqual([
    problem('root gone', /not-there is not there/, /root remove gone/),
  ]);

  const open = site.copy();
  chmodSync(open, 0o755);
  expect((await wrong(open, [], 0))[0]).toMatchObject({ what: 'data dir', result: 'warning' });

  const late = site.copy();
  const ahead = Date.now() / 1000 + 3 * 86_400;
  utimesSync(join(late, 'index.sqlite'), ahead, ahead);
  expect(await wrong(late)).toEqual([problem('clock', /later than that/, /NTP/)]);
});
