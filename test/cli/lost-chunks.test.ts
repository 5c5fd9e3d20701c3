/** `scrub --all` on a machine whose packs went: what is lost is named, and nothing is called lost that a bucket may still have. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, makeVaultFixture } from './fixture.ts';

let fixture: Fixture;
let bucket: string;
beforeEach(async () => {
  fixture = await makeVaultFixture();
  bucket = join(fixture.folder, 'bucket');
});
afterEach(() => fixture.remove());

const packs = (): string[] =>
  readdirSync(join(fixture.dataDir, 'packs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pack'))
    .map((name) => join(fixture.dataDir, 'packs', name));

/** The pack with the files' content: a pack's eleventh byte says what is in it (docs/formats/pack.md). */
function dataPack(): string {
  return packs().find((pack) => readFileSync(pack)[10] === 1)!;
}

async function keepInBucket(): Promise<void> {
  mkdirSync(bucket);
  const [stores, policy] = [
    `[stores.offsite]\nurl = "file://${bucket}"`,
    '[replication.default]\ncopies = 1\nsites = 1\nstore = "offsite"',
  ];
  mkdirSync(join(fixture.folder, '.config', 'edgestore'), { recursive: true });
  writeFileSync(join(fixture.folder, '.config', 'edgestore', 'edgestore.toml'), `${stores}\n${policy}\n`);
  await fixture.json(['sync', '--wait', 's3']);
}

test('a pack that vanished: exit 7 with the files, as text too, until a sync has stored them again', async () => {
  rmSync(dataPack());
  // The first command after it notices; what the scrub says does not depend on that.
  await fixture.json(['snapshot', 'list']);
  const { data } = await fixture.json(['scrub', '--all'], 7);
  expect(data).toMatchObject({ lost: { complete: true }, unknown: { chunks: 0, places: [] } });
  expect(data.findings.map((one: { what: string; other_copies: number }) => [one.what, one.other_copies])).toEqual(
    Array(4).fill(['missing', 0]),
  );
  expect(data.lost.chunks).toBe(4);
  const named = data.files.map((file: { path: string; state: string; root: string }) => [
    file.path,
    file.state,
    file.root,
  ]);
  expect(named).toEqual(
    expect.arrayContaining([
      ['a.txt', 'lost', 'tree'],
      ['sub/b.txt', 'lost', 'tree'],
    ]),
  );
  expect(named).toHaveLength(4);
  const text = await fixture.run(['scrub', '--all']);
  expect([text.exitCode, text.stdout]).toEqual([
    7,
    expect.stringMatching(/lost +4 chunks.*\n.*\n(?:.*\n)* +lost .* tree: sub\/b\.txt/),
  ]);
  await fixture.json(['sync']);
  expect((await fixture.json(['scrub', '--all'])).data).toMatchObject({ lost: { chunks: 0 }, files: [] });
});

test('a pack cut short: the files are named also when a restore met the damage first', async () => {
  truncateSync(dataPack(), 100);
  await fixture.run(['restore', 'latest', '--target', join(fixture.folder, 'part')]);
  const { data } = await fixture.json(['scrub', '--all'], 20);
  expect(data.files.map((file: { path: string }) => file.path)).toContain('sub/b.txt');
});

test('while a bucket cannot be asked what it has, nothing is lost; asked, it is known again', async () => {
  await keepInBucket();
  const pack = dataPack();
  for (const name of readdirSync(fixture.dataDir)) {
    if (name.startsWith('index.sqlite')) rmSync(join(fixture.dataDir, name));
  }
  rmSync(pack);
  renameSync(bucket, `${bucket}.unmounted`);
  const { data } = await fixture.json(['scrub', '--all'], 3);
  expect(data).toMatchObject({ lost: { chunks: 0 }, files: [], unknown: { chunks: 4 } });
  expect(data.unknown.places[0]).toContain(bucket);
  expect((await fixture.run(['scrub', '--all'])).stdout).toMatch(/unknown +4 chunks .*bucket/);
  expect((await fixture.json(['status'])).data.relearning_since).not.toBeNull();
  expect(existsSync(bucket)).toBe(false);
  renameSync(`${bucket}.unmounted`, bucket);
  expect((await fixture.json(['scrub', '--all'])).data).toMatchObject({ lost: { chunks: 0 }, unknown: { chunks: 0 } });
  expect((await fixture.json(['status'])).data.relearning_since).toBeNull();
});
