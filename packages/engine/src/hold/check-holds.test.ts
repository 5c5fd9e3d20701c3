import { afterEach, beforeEach, expect, test } from 'vitest';
import { ChunkKind, toHex } from '../core/ids.ts';
import { type HolderFixture, openHolderFixture } from '../testing/holder-fixture.ts';
import { formOf, type OwnerFixture, ownerFixture } from '../testing/owner-fixture.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { type CheckedHolds, type CheckHoldsDeps, checkHolds } from './check-holds.ts';

let folder: ReturnType<typeof temporaryFolder>;
let owner: OwnerFixture;
let at: HolderFixture;

beforeEach(async () => {
  folder = temporaryFolder();
  owner = ownerFixture('owner');
  at = await openHolderFixture(folder.path, { ownerKey: owner.signPublicKey });
});
afterEach(() => {
  at.close();
  folder.remove();
});

async function check(): Promise<CheckedHolds[]> {
  const out: CheckedHolds[] = [];
  for await (const shard of checkHolds(owner.agent, { chains: at.store.chains, chunks: at.store.index.chunks }))
    out.push(shard);
  return out;
}

test('chain, hold index and frames agree, also with releases, several forms and chunks that did not come', async () => {
  const chunks = Array.from({ length: 40 }, (_, i) =>
    owner.chunk(`chunk ${i}`, i % 5 === 0 ? ChunkKind.tree : ChunkKind.data),
  );
  owner.add(1, chunks.map(formOf));
  owner.release(
    1,
    chunks.slice(0, 5).map(({ id }) => id),
  );
  owner.add(1, [formOf(owner.chunk('chunk 7')), formOf(chunks[0]!)]);
  owner.add(2, chunks.slice(30).map(formOf));
  await at.holder.takeEntries(owner.ownerKeys, owner.entries);
  await at.holder.receive(
    owner.agent,
    (async function* () {
      for (const { id, keyId, packClass, bytes } of chunks.slice(6)) yield { id, keyId, packClass, sealed: bytes };
    })(),
  );
  expect(await check()).toEqual([
    { shard: 1, held: 36, lacking: 2, wrong: [] },
    { shard: 2, held: 10, lacking: 0, wrong: [] },
  ]);
});

test('an index that calls a chunk satisfied which has no frame is told, with the chunk', async () => {
  const chunk = owner.chunk('the only one');
  owner.add(1, [formOf(chunk)]);
  await at.holder.takeEntries(owner.ownerKeys, owner.entries);
  const { chains } = at.store;
  const blinded: CheckHoldsDeps['chains'] = {
    shards: (agent) => chains.shards(agent),
    entries: (agent, options) => chains.entries(agent, options),
    isHeld: (agent, shard, ids) => chains.isHeld(agent, shard, ids),
    forms: (agent, seq, positions) => chains.forms(agent, seq, positions),
    unsatisfied: () => [],
  };
  const out: CheckedHolds[] = [];
  for await (const shard of checkHolds(owner.agent, { chains: blinded, chunks: at.store.index.chunks }))
    out.push(shard);
  expect(out.map(({ wrong }) => wrong.map(toHex))).toEqual([[toHex(chunk.id)]]);
});
