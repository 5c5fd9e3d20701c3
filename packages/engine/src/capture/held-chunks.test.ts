/** What a capture reaches is held in the root's shard, also when it was stored before; what no store has any more is read again (docs/chain.md 2.2). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Form } from '../chain/forms.ts';
import { type ChunkId, toHex } from '../core/ids.ts';
import { type CaptureFixture, openCaptureFixture } from '../testing/capture-fixture.ts';
import { FIXTURE_SELF, temporaryFolder } from '../testing/store-fixture.ts';

let folder: ReturnType<typeof temporaryFolder>;
let fixture: CaptureFixture;

beforeEach(async () => {
  folder = temporaryFolder();
  mkdirSync(join(folder.path, 'root'));
  mkdirSync(join(folder.path, 'other'));
  fixture = await openCaptureFixture(join(folder.path, 'data'), { workers: 1 });
});

afterEach(async () => {
  await fixture.close();
  folder.remove();
});

const root = (name = 'root') => ({ root: { name, path: new Uint8Array(Buffer.from(join(folder.path, name))) } });
/** A file that changed in the second of a capture is read again by the next one. */
const LATER_NS = 60n * 1_000_000_000n;
const later = (fixture: CaptureFixture) => ({
  clock: { ...fixture.deps.clock, nowNs: () => fixture.deps.clock.nowNs() + LATER_NS },
});
const write = (name: string, text: string): void => writeFileSync(join(folder.path, name), text);

async function reach(id: string): Promise<Uint8Array[]> {
  const { pages = [] } = fixture.snapshot(id).entry;
  const ids: Uint8Array[] = [...pages];
  for (const entry of (await fixture.entries(id)).values()) {
    ids.push(...(entry.pages ?? []));
    if (entry.content?.form === 'inline') ids.push(...entry.content.refs.map((ref) => ref.id));
  }
  return ids;
}

async function expectHeld(id: string, name = 'root'): Promise<void> {
  const shard = fixture.deps.chain.shardOf(name)!;
  expect([...fixture.store.chains.isHeld(FIXTURE_SELF, shard, await reach(id))]).not.toContain(0);
}

test('everything that a snapshot reaches is held in its shard before its record; an unchanged capture adds nothing', async () => {
  write('root/a', 'one');
  write('root/b', 'two');
  const first = await fixture.capture(root());
  await expectHeld(first.snapshot!);
  const { seq } = fixture.store.chain.position()!;
  expect(first.seq).toBe(seq);
  const second = await fixture.capture(root());
  expect(second.seq).toBe(seq + 1);
  const kinds: number[] = [];
  for await (const { head } of fixture.store.chains.entries(FIXTURE_SELF)) kinds.push(head.header.kind);
  expect(kinds).toEqual([2, 1, 1]);
});

test('a chunk that two roots reach is held in both shards, and stored once', async () => {
  write('root/a', 'the same');
  write('other/a', 'the same');
  await fixture.capture(root());
  const report = await fixture.capture(root('other'));
  expect(report.chunks.reused).toBeGreaterThan(0);
  await expectHeld(report.snapshot!, 'other');
});

test('what an earlier run stored but never held is added again, not stored again', async () => {
  write('root/a', 'stored by a run that was killed');
  const { chain } = fixture.deps;
  const lost = {
    ...chain,
    add: async () => {},
    holds: async (_shard: number, ids: readonly ChunkId[]) => new Uint8Array(ids.length).fill(1),
    sync: () => chain.sync(),
    shardOf: (name: string) => chain.shardOf(name),
  };
  const stop = { ...lost, append: async () => Promise.reject(new Error('killed before the record')) };
  await expect(fixture.capture(root(), { chain: stop })).rejects.toThrow('killed');
  expect(fixture.store.chain.position()).toBeUndefined();
  const report = await fixture.capture(root());
  expect(report.chunks.new).toBe(0);
  await expectHeld(report.snapshot!);
});

test('a snapshot of which a chunk is not held is not recorded: a fault of this program', async () => {
  write('root/a', 'stored, and never added');
  write('root/b', 'added');
  const { chain } = fixture.deps;
  let isFirst = true;
  const forgetful = {
    ...chain,
    // The first page of forms gets lost on the way to the chain.
    add: async (shard: number, forms: readonly Form[]) => {
      if (!isFirst) await chain.add(shard, forms);
      isFirst = false;
    },
    holds: (shard: number, ids: readonly ChunkId[]) => chain.holds(shard, ids),
    append: (...given: Parameters<typeof chain.append>) => chain.append(...given),
    sync: () => chain.sync(),
    shardOf: (name: string) => chain.shardOf(name),
  };
  await expect(fixture.capture(root(), { chain: forgetful })).rejects.toMatchObject({
    code: 'E_FAILED',
    message: expect.stringMatching(/not held in shard .*nothing was recorded/),
  });
  expect(fixture.store.index.log.summaries()).toEqual([]);
  // Looked up, and stored before: the same for a form that does not reach the chain.
  isFirst = true;
  await expect(fixture.capture(root(), { chain: forgetful })).rejects.toMatchObject({ code: 'E_FAILED' });
  expect(fixture.store.index.log.summaries()).toEqual([]);
  const report = await fixture.capture(root());
  await expectHeld(report.snapshot!);
});

test('a chunk that is away passes for unchanged; one that no store has any more is read again', async () => {
  write('root/a', 'goes away');
  const first = await fixture.capture(root(), later(fixture));
  const content = [...(await fixture.entries(first.snapshot!)).values()].flatMap(({ content }) =>
    content?.form === 'inline' ? content.refs.map(({ id }) => id) : [],
  );
  expect(content).toHaveLength(1);
  fixture.store.index.chunks.dropLocations('', content);
  let there = true;
  const placed = {
    targetsOf: (ids: readonly Uint8Array[]) => ids.map(() => (there ? [{ target: 'p', askedNs: 1n }] : [])),
  };
  // A belief that says less than before voids the rows.
  fixture.store.index.chunks.voidRows();
  const away = await fixture.capture(root(), { ...later(fixture), placed });
  expect(away.bytes.read).toBe(0);
  there = false;
  fixture.store.index.chunks.voidRows();
  const missing = await fixture.capture(root(), { ...later(fixture), placed });
  expect(missing.bytes.read).toBe(9);
  expect(missing.chunks.new).toBe(1);
  expect(fixture.store.index.chunks.locate(content)[0]!.map(({ store }) => store)).toEqual(['']);
  expect(toHex(content[0]!)).toMatch(/^[0-9a-f]{64}$/);
});

test('rows of a snapshot that is not the newest live one are not believed', async () => {
  write('root/a', 'one');
  const first = await fixture.capture(root());
  await fixture.store.chain.append({ type: 'forget', snapshot: first.snapshot! });
  const again = await fixture.capture(root());
  await expectHeld(again.snapshot!);
  expect(fixture.snapshot(again).parent).toBeUndefined();
});

test('a capture claims the snapshot whose rows it uses until its own record is written', async () => {
  write('root/a', 'one');
  const first = await fixture.capture(root(), later(fixture));
  const { chain } = fixture.deps;
  const { chunks } = fixture.store.index;
  let claimed: unknown;
  const watched: typeof chain = {
    ...chain,
    add: (shard, forms) => chain.add(shard, forms),
    sync: () => chain.sync(),
    shardOf: (name) => chain.shardOf(name),
    append: (body, shard) => {
      claimed = chunks.sessions();
      return chain.append(body, shard);
    },
  };
  const second = await fixture.capture(root(), { ...later(fixture), chain: watched });
  expect(second.bytes.read).toBe(0);
  expect(claimed).toMatchObject([{ snapshots: [first.snapshot] }]);
  expect(chunks.sessions()).toEqual([]);
});
