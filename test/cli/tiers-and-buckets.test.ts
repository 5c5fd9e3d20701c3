/** The `tier` commands and `recover`, on a folder as the bucket. */
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { differences, manifestOf } from '../oracle/manifest.ts';
import { type Fixture, makeVaultFixture } from './fixture.ts';

let fixture: Fixture;
let config: string;
const inBucket = (): string[] => readdirSync(join(fixture.folder, 'bucket'), { recursive: true, encoding: 'utf8' });

beforeEach(async () => {
  fixture = await makeVaultFixture();
  mkdirSync(join(fixture.folder, 'bucket'));
  config = join(fixture.folder, 'edgestore.toml');
  writeFileSync(
    config,
    `[stores.archive]\nurl = "file://${fixture.folder}/bucket"\n[tiering.default]\nhot = "1s"\nwarm = "1s"\ncold = "archive"\n[replication.default]\ncopies = 1\nsites = 1\nstore = "archive"\n`,
  );
});
afterEach(() => fixture.remove());
const json = (args: readonly string[], exit = 0) => fixture.json([...args, '-c', config], exit);
const text = async (...args: string[]): Promise<string> => (await fixture.run([...args, '-c', config])).stdout;

test('plan, run, read through, recall; what was moved is in the bucket and gone from here', async () => {
  expect((await json(['sync', '--wait', 's3'])).data.roots[0]).toMatchObject({
    durability: 's3',
    copies: { stores: ['archive'] },
  });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const { data: plan } = await json(['tier', 'plan']);
  expect(plan).toMatchObject({
    plan: expect.stringMatching(/^[0-9a-f]{64}$/),
    drop: { chunks: expect.any(Number) },
    stores: ['archive'],
  });
  expect((await json(['tier', 'plan', '--check'], 20)).data.plan).toBe(plan.plan);
  expect((await json(['tier', 'plan', '--explain', join(fixture.tree, 'a.txt')])).data.explain).toMatchObject({
    path: 'a.txt',
    tier: 'cold',
  });
  expect(await text('tier', 'plan', '--explain', 'latest:a.txt')).toContain('cold');
  expect((await json(['tier', 'run', '--plan', 'ffffffff'], 2)).error.message).toContain('the plan is now');
  expect((await json(['tier', 'run', '-n'])).data).toMatchObject({ dry_run: true, dropped: plan.drop });
  const { data: run } = await json(['tier', 'run', '--plan', plan.plan.slice(0, 8)]);
  expect(run).toMatchObject({ dropped: plan.drop, kept: { chunks: 0 }, freed_bytes: expect.any(Number) });
  expect(await text('tier', 'status')).toMatch(/cold +store archive/);
  expect((await json(['tier', 'plan'])).data.plan).toBeNull();
  expect(await text('tier', 'run')).toContain('0 chunks');

  expect(await text('cat', 'latest:a.txt')).toBe('hello\n');
  const { data: restored } = await json(['restore', 'latest', '--target', join(fixture.folder, 'back')]);
  expect(restored.bytes.from.s3).toBeGreaterThan(0);
  expect(differences(manifestOf(fixture.tree), manifestOf(join(fixture.folder, 'back')))).toEqual([]);

  expect((await json(['tier', 'recall', 'latest:sub', '-n'])).data).toMatchObject({ chunks: 1, dry_run: true });
  expect((await json(['tier', 'recall', 'latest:sub'])).data).toMatchObject({ chunks: 1, failures: [] });
  expect(await text('tier', 'recall', join(fixture.tree, 'sub'))).toContain('here already');
  expect((await json(['tier', 'recall', 'latest:none'], 2)).error.code).toBe('E_NOT_FOUND');
});

test('recover from the bucket, on an empty machine, with only the sheet', async () => {
  linkSync(join(fixture.tree, 'a.txt'), join(fixture.tree, 'sub', 'same.txt'));
  await json(['sync', '--wait', 's3']);
  const expected = manifestOf(fixture.tree);
  const sheet = join(fixture.folder, 'sheet.txt');
  const bucket = `file://${fixture.folder}/bucket`;
  rmSync(fixture.dataDir, { recursive: true });
  rmSync(config);
  const recover = (args: readonly string[], exit = 0) => fixture.json(['recover', '--from', bucket, ...args], exit);
  expect((await fixture.json(['recover', '--recovery-file', sheet], 2)).error.message).toContain('from');
  expect((await fixture.json(['recover', '--from', 'ftp://x', '--recovery-file', sheet], 2)).error.message).toContain(
    '--from takes',
  );
  expect(
    (await fixture.json(['recover', '--from', `file://${fixture.folder}/none`, '--recovery-file', sheet], 10)).error
      .exit,
  ).toBe(10);
  const words = readFileSync(sheet, 'utf8');
  writeFileSync(
    join(fixture.folder, 'typo'),
    words.replace(/(code 01-05: .)(.)/, (_, a: string, b: string) => a + (b === 'Z' ? 'Y' : 'Z')),
  );
  expect((await recover(['--recovery-file', join(fixture.folder, 'typo')], 2)).error.message).toContain('word 1');
  expect((await recover(['--recovery-file', sheet, '--agent', 'nobody'], 2)).error.code).toBe('E_NOT_FOUND');
  expect(existsSync(fixture.dataDir)).toBe(false);

  const { data } = await recover(['--recovery-file', sheet]);
  expect(data).toMatchObject({
    agent: { name: 'tester', incarnation: 2 },
    vouched_by: [expect.stringContaining('bucket')],
    gaps: [],
    roots: [{ name: 'tree' }],
  });
  expect((await fixture.json(['root', 'list'])).data.roots).toMatchObject([{ name: 'tree', path: fixture.tree }]);
  await fixture.json(['restore', 'latest', '--root', 'tree', '--target', join(fixture.folder, 'back')]);
  expect(differences(expected, manifestOf(join(fixture.folder, 'back')))).toEqual([]);
  // Put back where it was, everything is read again and nothing counts as changed: not even the other name of a file.
  rmSync(fixture.tree, { recursive: true });
  await fixture.json(['restore', 'latest', '--root', 'tree', '--in-place', '--overwrite', 'always']);
  const { data: synced } = await fixture.json(['sync']);
  expect(synced.roots[0]).toMatchObject({
    unchanged: true,
    files: { new: 0, changed: 0, unchanged: 5, removed: 0, failed: 0 },
    bytes: { new: 0, stored: 0 },
  });
});

test('a removed key slot goes from the bucket, too, as soon as it is reached', async () => {
  const file = join(fixture.folder, 'passphrase');
  writeFileSync(file, 'a second passphrase\n', { mode: 0o600 });
  const { data: added } = await json(['key', 'add', '--new-passphrase-file', file]);
  await json(['sync', '--wait', 's3']);
  const isThere = () => inBucket().some((name) => name.endsWith(`${added.slot}.slot`));
  writeFileSync(join(fixture.tree, 'a.txt'), 'a change\n');
  await json(['sync', '--wait', 's3']);
  expect(isThere()).toBe(true);
  const bucket = join(fixture.folder, 'bucket');
  const elsewhere = join(fixture.folder, 'elsewhere');
  renameSync(bucket, elsewhere);
  writeFileSync(bucket, 'in the way of the mount');
  const { data: removed } = await json(['key', 'remove', added.slot, '-y']);
  expect(removed).toMatchObject({ withdrawn: [], pending: [{ name: expect.stringContaining('bucket') }] });
  rmSync(bucket);
  renameSync(elsewhere, bucket);
  expect(isThere()).toBe(true);
  await json(['sync', '--wait', 's3']);
  expect(isThere()).toBe(false);
});

test('what a bucket that was only a cold tier lacks is said: exit 3', async () => {
  // Pinned, and not merely young: how fast this machine is must not decide what is cold.
  const coldTierOnly = readFileSync(config, 'utf8')
    .replace(/\[replication[\s\S]*/, '')
    .replace('cold = ', 'pin = ["pinned"]\ncold = ');
  writeFileSync(config, coldTierOnly);
  writeFileSync(join(fixture.tree, 'pinned'), 'never moved\n');
  await json(['sync']);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await json(['tier', 'run']);
  expect(inBucket().some((name) => name.endsWith('.seg'))).toBe(true);
  expect((await json(['status'])).data.findings.map((finding: { code: string }) => finding.code)).toContain(
    'bucket_incomplete',
  );
  const done = await fixture.json(
    [
      'recover',
      '--from',
      `file://${fixture.folder}/bucket`,
      '--recovery-file',
      join(fixture.folder, 'sheet.txt'),
      '--data-dir',
      join(fixture.folder, 'new'),
    ],
    3,
  );
  expect(done.data.gaps.length).toBeGreaterThan(0);
});

test('a bucket that is not there: exit 10, named; doctor says it too', async () => {
  writeFileSync(config, readFileSync(config, 'utf8').replace('/bucket"', '/no-bucket/deep"'));
  const done = await json(['sync', '--wait', 's3', '--timeout', '5s'], 10);
  expect(JSON.stringify(done)).toContain('no-bucket');
  expect(
    (await json(['doctor'], 20)).data.checks.find((check: { what: string }) => check.what === 'store archive').result,
  ).toBe('problem');
});
