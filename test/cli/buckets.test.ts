/** What a bucket lost is noticed and put again, and a machine that was put back is refused; on a folder and on an S3 server, with real processes. */
import { cpSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decodeChainSegment } from '../../packages/engine/src/chain/chain-segment.ts';
import type { ObjectStore } from '../../packages/engine/src/core/ports/object-store.ts';
import { encodeStoreId } from '../../packages/engine/src/store/bucket/store-id.ts';
import { openObjectStore } from '../../packages/engine/src/store/objects/open-object-store.ts';
import { realClock } from '../../packages/engine/src/testing/real-clock.ts';
import { createSeededRandom } from '../../packages/engine/src/testing/seeded-random.ts';
import { differences, manifestOf } from '../oracle/manifest.ts';
import { newBucket, ownServerForTests, type S3ForTests } from '../support/s3-for-tests.ts';
import { tempFolders } from '../support/temp-folder.ts';
import { type Fixture, makeVaultFixture } from './fixture.ts';

const folder = tempFolders('buckets');
let s3: S3ForTests;
beforeAll(async () => {
  s3 = await ownServerForTests(folder());
});
afterAll(() => s3?.stop());

let fixture: Fixture;
let config: string;
let url: string;
/** The bucket as a stranger sees it: to damage it. */
let objects: ObjectStore;
let env: Record<string, string>;

async function setUp(kind: 'folder' | 's3'): Promise<void> {
  fixture = await makeVaultFixture();
  config = join(fixture.folder, 'edgestore.toml');
  url = kind === 'folder' ? `file://${fixture.folder}/bucket` : `s3://${await newBucket(s3)}/edge`;
  env =
    kind === 'folder' ? {} : { AWS_ACCESS_KEY_ID: s3.keys.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.keys.secretAccessKey };
  const endpoint = kind === 'folder' ? '' : `endpoint = "${s3.endpoint}"\nregion = "us-east-1"\n`;
  writeFileSync(
    config,
    `[stores.far]\nurl = "${url}"\n${endpoint}[replication.default]\ncopies = 1\nsites = 1\nstore = "far"\n`,
  );
  objects = openObjectStore(
    { name: 'far', url, ...(kind === 'folder' ? {} : { endpoint: s3.endpoint }) },
    { clock: realClock, random: createSeededRandom('buckets'), credentials: s3.keys },
  );
}
afterEach(() => fixture.remove());

const json = (args: readonly string[], exit = 0) => fixture.json([...args, '-c', config], exit, { env });
const sync = (exit = 0) => json(['sync', '--wait', 's3', '--timeout', '30s'], exit);
const from = (): string[] => [
  '--from',
  url,
  ...(url.startsWith('s3:') ? ['--endpoint', s3.endpoint, '--region', 'us-east-1'] : []),
];
const recover = (dataDir: string, args: readonly string[], exit = 0) =>
  fixture.json(
    ['recover', ...from(), '--recovery-file', join(fixture.folder, 'sheet.txt'), '--data-dir', dataDir, ...args],
    exit,
    { env },
  );

async function keysOf(part: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list('')) if (key.includes(part)) keys.push(key);
  return keys;
}

describe.each(['folder', 's3'] as const)('a bucket (%s)', (kind) => {
  beforeEach(() => setUp(kind), 60_000);

  test('whose packs are gone is not acknowledged again before they are there again', async () => {
    expect((await sync()).data.roots[0].durability).toBe('s3');
    const packs = await keysOf('.pack');
    expect(packs.length).toBeGreaterThan(1);
    for (const key of packs) await objects.delete(key);
    writeFileSync(join(fixture.tree, 'small'), 'a small change');
    const done = await sync();
    expect(done.warnings.map(({ message }: { message: string }) => message).join()).toMatch(/lost 2 pack/);
    expect((await json(['status', '--check'])).data.findings).toEqual([]);
    const expected = manifestOf(fixture.tree);
    const other = join(fixture.folder, 'other');
    expect((await recover(other, [])).data.gaps).toEqual([]);
    const target = join(fixture.folder, 'back');
    await fixture.json(['restore', 'latest', '--target', target, '--data-dir', other], 0, { env });
    expect(differences(expected, manifestOf(target))).toEqual([]);
  }, 120_000);

  test('whose log lost a segment gets it again', async () => {
    await sync();
    const seqs = async () => {
      const found: number[] = [];
      for (const key of await keysOf('.seg'))
        for (const { head } of decodeChainSegment((await objects.get(key))!).entries) found.push(head.header.seq);
      return found.sort((a, b) => a - b);
    };
    const before = await seqs();
    for (const key of await keysOf('.seg')) await objects.delete(key);
    await sync();
    expect((await seqs()).slice(0, before.length)).toEqual(before);
  }, 120_000);

  test('that answers under the name of another one is refused, and nothing of it is believed', async () => {
    await sync();
    const [id] = await keysOf('store.id');
    const whole = (await objects.get(id!))!;
    await objects.put(id!, encodeStoreId('ef'.repeat(16)));
    writeFileSync(join(fixture.tree, 'small'), 'a small change');
    const refused = await sync(10);
    expect(refused.data.roots[0].durability).toBe('local');
    expect(refused.warnings[0].message).toMatch(/is not the store that \[stores\.far\] was before/);
    await objects.put(id!, whole);
    expect((await sync()).data.roots[0].durability).toBe('s3');
  }, 120_000);
});

/** All objects of the bucket. */
async function contents(): Promise<Map<string, Uint8Array>> {
  const all = new Map<string, Uint8Array>();
  for (const key of await keysOf('')) all.set(key, (await objects.get(key))!);
  return all;
}

describe.each(['folder', 's3'] as const)('a machine that was put back to an image (%s)', (kind) => {
  /** Goes on four syncs from an image, and puts the image of the data dir back. */
  async function putBack(): Promise<{ ahead: string; bucketThen: Map<string, Uint8Array> }> {
    await setUp(kind);
    await sync();
    const image = join(fixture.folder, 'image');
    cpSync(fixture.dataDir, image, { recursive: true });
    const bucketThen = await contents();
    for (let i = 0; i < 4; i++) {
      writeFileSync(join(fixture.tree, `later ${i}`), `content ${i}`);
      await sync();
    }
    const ahead = (await json(['snapshot', 'list'])).data.snapshots.at(-1).id;
    rmSync(fixture.dataDir, { recursive: true });
    renameSync(image, fixture.dataDir);
    writeFileSync(join(fixture.tree, 'changed'), 'on the machine that was put back');
    return { ahead, bucketThen };
  }

  test('is refused by the next sync, keeps its captures here, and says so until it is recovered', async () => {
    await putBack();
    const before = await keysOf('');
    for (let i = 0; i < 2; i++) {
      const refused = await sync(9);
      expect(refused.data.roots[0].durability).toBe('local');
      expect(refused.warnings[0].message).toMatch(/signed by it, which this machine does not have/);
    }
    expect(await keysOf('')).toEqual(before);
    const { data } = await json(['status', '--check'], 20);
    expect(data.findings.map(({ code }: { code: string }) => code).join()).toMatch(/put_back/);
    const other = join(fixture.folder, 'other');
    expect((await recover(other, [])).data.branches.length).toBe(1);
  }, 240_000);

  test('and wrote unseen is a fork: both branches are listed, and either can be gone on from', async () => {
    const { ahead, bucketThen } = await putBack();
    // The bucket of then takes the other branch, as one that lost its newest objects would; afterwards everything is in one bucket.
    const bucketAhead = await contents();
    for (const key of bucketAhead.keys()) if (!bucketThen.has(key)) await objects.delete(key);
    await sync();
    const behind = (await json(['snapshot', 'list'])).data.snapshots.at(-1).id;
    for (const [key, body] of bucketAhead) await objects.put(key, body);

    const refused = await recover(join(fixture.folder, 'none'), [], 9);
    expect(refused.error.code).toBe('E_FORK');
    const { branches } = refused.error.details;
    expect(branches.map(({ name, seen_at }: { name: string; seen_at: string[] }) => [name, seen_at])).toEqual([
      ['tester', [objects.label]],
      ['tester', [objects.label]],
    ]);
    expect(branches.map(({ branch }: { branch: string }) => branch).sort()).toEqual([ahead, behind].sort());
    expect(existsSync(join(fixture.folder, 'none', 'vault.edge'))).toBe(false);
    for (const [chosen, other] of [
      [ahead, behind],
      [behind, ahead],
    ] as const) {
      const dataDir = join(fixture.folder, `of ${chosen.slice(0, 8)}`);
      const { data } = await recover(dataDir, ['--branch', chosen.slice(0, 8)]);
      const chosenOf = new Map(
        data.branches.map((one: { branch: string; chosen: boolean }) => [one.branch, one.chosen]),
      );
      expect([chosenOf.get(chosen), chosenOf.get(other)]).toEqual([true, false]);
      const at = ['--data-dir', dataDir];
      const { snapshots } = (await fixture.json(['snapshot', 'list', ...at])).data;
      const branchOf = new Map(snapshots.map((one: { id: string; branch: boolean }) => [one.id, one.branch]));
      expect([branchOf.get(chosen), branchOf.get(other)]).toEqual([false, true]);
      for (const id of [chosen, other]) {
        const target = join(fixture.folder, `${chosen.slice(0, 8)} ${id.slice(0, 8)}`);
        await fixture.json(['restore', id, '--target', target, ...at], 0, { env });
        expect(existsSync(join(target, id === ahead ? 'later 3' : 'changed'))).toBe(true);
      }
    }
    const reader = await recover(join(fixture.folder, 'reader'), ['--read-only']);
    expect(reader.data.branches.length).toBe(2);
  }, 300_000);
});
