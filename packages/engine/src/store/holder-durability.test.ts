/** What a holder answers to an owner is a promise: by then the hold, the frames and the records would survive a power loss here. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import type { DurabilityTracker } from '../testing/durability-tracker.ts';
import { type OwnerFixture, ownerFixture } from '../testing/owner-fixture.ts';
import { realClock } from '../testing/real-clock.ts';
import { FIXTURE_VAULT, type OpenedStore, openStore, temporaryFolder } from '../testing/store-fixture.ts';
import { createHolder, type Holder } from './holder.ts';

const shared = vi.hoisted(() => ({ tracker: undefined as unknown }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const { trackDurability } = await import('../testing/durability-tracker.ts');
  const tracker = trackDurability(await importOriginal());
  shared.tracker = tracker;
  return { ...tracker.fs, default: tracker.fs };
});
const unsafe = (path: string): string[] => (shared.tracker as DurabilityTracker).unsafe(path);

const sodium = await loadSodium();
const self = 'ee'.repeat(16);
let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let holder: Holder;
let owner: OwnerFixture;

beforeEach(async () => {
  folder = temporaryFolder();
  owner = ownerFixture('owner');
  store = await openStore(folder.path);
  holder = createHolder({
    sodium,
    vault: FIXTURE_VAULT,
    self,
    signSeed: new Uint8Array(32).fill(5),
    clock: realClock,
    dataDir: store.dataDir,
    index: store.index,
    chunks: store.chunks,
    log: store.logs,
    identify: undefined,
    hashPlaintexts: undefined,
    openRecord: undefined,
    signKeyOf: () => undefined,
    floorBytes: 0,
  });
});
afterEach(() => {
  store.close();
  folder.remove();
});

test('a receipt is given when the hold and every frame are durable; a record is answered when it is', async () => {
  const card = { agent: owner.agent, incarnation: owner.incarnation, signPublicKey: owner.signPublicKey };
  const chunks = Array.from({ length: 20 }, (_, i) => owner.chunk(`frame ${i}`));
  const reply = await holder.hold(card, owner.batch(chunks, 1, self));
  expect(reply.receipt).toBeUndefined();
  expect(unsafe(store.dataDir.holdLogFile(owner.agent))).toEqual([]);

  await holder.receive(
    card,
    1,
    (async function* () {
      for (const at of reply.missing) {
        const { id, keyId, packClass, bytes } = chunks[at]!;
        yield { id, keyId, packClass, sealed: bytes };
      }
    })(),
  );
  const located = store.index.chunks.locate(chunks.map(({ id }) => id));
  const packs = new Set(located.flatMap((copies) => copies.map(({ pack }) => pack)));
  expect(located.filter((copies) => copies.length === 0)).toEqual([]);
  for (const pack of packs) expect(unsafe(store.chunks.packPath(pack))).toEqual([]);

  await holder.addRecords(card, [owner.record().bytes]);
  expect(unsafe(`${store.dataDir.logDirOf(owner.agent)}/00000001-0000000000000001.log`)).toEqual([]);
});
