import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EntryKind } from '../chain/entry-head.ts';
import { openCheckpointPart } from '../chain/record-checkpoint.ts';
import type { WholeEntry } from '../chain/record-entry.ts';
import { loadSodium } from '../codec/sodium.ts';
import { EdgeError } from '../core/errors.ts';
import { type Card, encodeCard, verifyCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { decodeIdentity } from '../keys/identity.ts';
import type { ChainEntry } from '../ports/chains.ts';
import { makeForm } from '../testing/chain-writer.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import {
  FIXTURE_SELF,
  FIXTURE_SIGN_SEED,
  FIXTURE_VAULT,
  fixtureKeys,
  type OpenedStore,
  openStore,
  temporaryFolder,
} from '../testing/store-fixture.ts';
import { createTreeFixture } from '../testing/tree-fixture.ts';
import type { ChainSource } from './chain-repair-types.ts';
import { mendOtherChains } from './mend-other-chains.ts';
import { finishLogRepair } from './place-cut-chain.ts';
import { repairOwnChain } from './repair-own-chain.ts';

const sodium = await loadSodium();
const random = createSeededRandom('log repair');
const adminSeed = new Uint8Array(32).fill(8);
const fixture = await createTreeFixture('log repair');
const SHARD = 3;
const identity = {
  agentId: FIXTURE_SELF,
  name: 'shop',
  site: 'shop',
  incarnation: 1,
  signSeed: FIXTURE_SIGN_SEED,
  tlsKeyPem: 'key',
  tlsCertPem: 'cert',
};
const card: Card = {
  vaultId: FIXTURE_VAULT,
  agentId: FIXTURE_SELF,
  incarnation: 1,
  name: 'shop',
  site: 'shop',
  role: 'edge',
  signPublicKey: publicKeyOf(sodium, FIXTURE_SIGN_SEED),
  tlsSpkiSha256: new Uint8Array(32),
  addresses: [],
  base: undefined,
  number: 1,
};
let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let copy: ChainEntry[];

const open = (name = 'data', options = {}) =>
  openStore(join(folder.path, name), {
    fileBytes: 1500,
    openCard: (body) => verifyCard(sodium, body, publicKeyOf(sodium, adminSeed)),
    ...options,
  });

/** takeover 1, then 6 times an add and a snapshot: seqs 2 to 13 */
beforeEach(async () => {
  folder = temporaryFolder();
  store = await open();
  await store.chain.appendClear(EntryKind.takeover, encodeCard(sodium, card, adminSeed));
  for (let i = 1; i <= 6; i++) {
    await store.chain.add(SHARD, [makeForm(i)]);
    await store.chain.append({ ...fixture.body(fixture.dir('', [])), timeNs: BigInt(i) }, SHARD);
  }
  copy = [];
  for await (const entry of store.chains.entries(FIXTURE_SELF)) copy.push(entry);
});
afterEach(() => {
  store.close();
  folder.remove();
});

function source(entries: readonly ChainEntry[] = copy, label = 'peer'): ChainSource {
  return {
    label,
    async *entries(_, { afterSeq, untilSeq }) {
      for (const entry of entries)
        if (entry.head.header.seq > afterSeq && entry.head.header.seq <= untilSeq) yield entry;
    },
  };
}

const down: ChainSource = {
  label: 'down',
  entries() {
    throw new EdgeError('E_STORE', 'no route');
  },
};

const repair = (sources: readonly ChainSource[], more: { adminSeed?: Uint8Array | undefined } = { adminSeed }) =>
  repairOwnChain({
    dataDir: store.dataDir,
    sodium,
    keys: fixtureKeys(),
    identity,
    card,
    adminSeed: more.adminSeed,
    random,
    chains: store.chains,
    giveUpTail: (entryOf) => store.chain.giveUpTail(entryOf),
    index: store.index,
    sources,
    signPublicKey: (agent, incarnation) =>
      agent === FIXTURE_SELF && incarnation === 1 ? card.signPublicKey : undefined,
    time: 'now',
    warn: () => {},
  });

const files = () =>
  readdirSync(join(store.dataDir.chainsDir, FIXTURE_SELF))
    .filter((name) => name.endsWith('.chain'))
    .sort()
    .map((name) => join(store.dataDir.chainsDir, FIXTURE_SELF, name));

/** Damages the second file, and has the index forget everything when asked to. */
async function damaged(isRebuilt = false): Promise<void> {
  store.close();
  const [, path] = files();
  const bytes = readFileSync(path!);
  bytes[40]! ^= 1;
  writeFileSync(path!, bytes);
  if (isRebuilt) forgetIndex();
  store = await open();
}

function forgetIndex(): void {
  for (const name of readdirSync(store.dataDir.path))
    if (name.startsWith('index.sqlite')) rmSync(join(store.dataDir.path, name));
}

describe.each([
  ['with its index', false],
  ['whose index was built again', true],
])('the own chain, %s,', (_, isRebuilt) => {
  it('is whole again where any store has what is missing, and keeps the damaged file', async () => {
    await damaged(isRebuilt);
    const done = await repair([down, source()]);
    expect(done).toMatchObject({ how: 'whole', entries: 13, from: ['peer'], behind: [], lost: [] });
    expect(done?.kept.length).toBe(6);
    expect(readdirSync(join(store.dataDir.chainsDir, FIXTURE_SELF)).join()).toMatch(/\.damaged-1/);
    expect(await repair([source()])).toBeUndefined();
    expect((await store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).seq).toBe(14);
  });

  it('goes on in a new incarnation where nobody has it: snapshots behind the damage stay listed', async () => {
    await damaged(isRebuilt);
    await expect(repair([], { adminSeed: undefined })).rejects.toMatchObject({ code: 'E_DENIED', exitCode: 14 });
    const done = await repair([source([])]);
    expect(done?.how).toBe('cut');
    const all = [...(done?.kept ?? []), ...(done?.behind ?? []), ...(done?.lost ?? [])];
    expect(all.length).toBe(6);
    expect(done?.behind.length).toBeGreaterThan(1);
    expect(existsSync(done?.aside ?? '')).toBe(true);
    expect(await finishLogRepair(store.dataDir)).toBeUndefined();
    const next = decodeIdentity(readFileSync(store.dataDir.identityFile));
    expect(next.incarnation).toBe(2);
    const key = publicKeyOf(sodium, next.signSeed);
    store.close();
    store = await open('data', { incarnation: 2, signSeed: next.signSeed, signPublicKey: () => card.signPublicKey });
    expect(key).not.toEqual(card.signPublicKey);
    const entries: WholeEntry[] = [];
    for await (const entry of store.chains.entries(FIXTURE_SELF)) entries.push(entry as WholeEntry);
    const takeover = entries.find(({ head }) => head.header.incarnation === 2);
    const base = verifyCard(sodium, takeover!.body, publicKeyOf(sodium, adminSeed)).base;
    expect(base?.link).toBe(takeover?.head.header.previous);
    const part = openCheckpointPart(sodium, entries.at(-1)!, fixtureKeys());
    expect(part.snapshots.map(({ seq, damaged: mark }) => mark === seq > base!.seq)).not.toContain(false);
    expect((await store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).incarnation).toBe(2);
    const rows = store.index.log.snapshots({ agent: FIXTURE_SELF });
    expect(rows.map(({ id }) => id).sort()).toEqual(
      [...(done?.kept ?? []), ...(done?.behind ?? [])].map(({ id }) => id).sort(),
    );
    expect(rows.map(({ seq, damaged: mark }) => mark === seq > base!.seq)).not.toContain(false);
  });
});

it('names a lost snapshot of which an index that was built again knows the header alone', async () => {
  store.close();
  const last = files().at(-1)!;
  const bytes = readFileSync(last);
  bytes[bytes.length - 20]! ^= 1;
  writeFileSync(last, bytes);
  forgetIndex();
  store = await open();
  const done = await repair([source([])]);
  expect(done).toMatchObject({ how: 'cut', behind: [], lost: [{ id: copy.at(-1)!.head.link }] });
  expect(done?.kept.length).toBe(5);
});

describe('an own chain that is gone', () => {
  beforeEach(() => {
    store.close();
    rmSync(join(store.dataDir.chainsDir, FIXTURE_SELF), { recursive: true });
  });

  it('comes back whole from a store, up to what the index knows', async () => {
    store = await open();
    expect(await repair([source()])).toMatchObject({ how: 'whole', entries: 13 });
    expect((await store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).seq).toBe(14);
  });

  it('comes back whole when the index is gone, too, if every store answered', async () => {
    forgetIndex();
    store = await open();
    expect(await repair([source(), source(copy.slice(0, 9), 'older')])).toMatchObject({ how: 'whole', entries: 13 });
  });

  it('becomes a new incarnation when one that may know more was not asked', async () => {
    forgetIndex();
    store = await open();
    expect(await repair([source(), down])).toMatchObject({ how: 'cut' });
  });
});

describe('a file that ends before the index', () => {
  beforeEach(async () => {
    store.close();
    const last = files().at(-1)!;
    truncateSync(last, statSync(last).size - 10);
    store = await open();
    await expect(store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).rejects.toMatchObject({
      exitCode: 9,
    });
  });

  it('gets its end back from a store that has it', async () => {
    expect(await repair([source(copy.slice(0, 9)), source()])).toMatchObject({ how: 'whole', entries: 13, lost: [] });
    expect((await store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).seq).toBe(14);
  });

  it('stays as it is where all were asked and none has more: what is lost is named', async () => {
    const done = await repair([source(copy.slice(0, 9))]);
    expect(done).toMatchObject({ how: 'whole', entries: 12, lost: [{ timeNs: 6n }] });
    expect((await store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).seq).toBe(13);
  });

  it('becomes a new incarnation where a store has an entry behind a gap: its number is not used again', async () => {
    const { chain } = store.index.chainTable.followed(FIXTURE_SELF)!;
    const { offset, file } = store.index.chainTable.entry(chain, 12)!;
    store.close();
    expect(files().at(-1)).toContain(file.toString(16).padStart(16, '0'));
    truncateSync(files().at(-1)!, offset);
    store = await open();
    expect(store.chain.missingTail).toMatchObject({ have: { seq: 11 }, until: { seq: 13 } });
    expect(await repair([source(copy.slice(12))])).toMatchObject({ how: 'cut' });
  });

  it('becomes a new incarnation where one was not asked', async () => {
    expect(await repair([source(copy.slice(0, 9)), down])).toMatchObject({ how: 'cut' });
  });
});

it('a chain of another owner is mended from any store, without the index going wrong', async () => {
  const other = await open('holder', {
    self: 'ee'.repeat(16),
    signPublicKey: () => card.signPublicKey,
  });
  const owner = { agent: FIXTURE_SELF, incarnation: 1, signPublicKey: () => card.signPublicKey };
  await other.chains.take(owner, copy);
  other.close();
  const path = join(other.dataDir.chainsDir, FIXTURE_SELF);
  const [name] = readdirSync(path)
    .filter((one) => one.endsWith('.chain'))
    .sort()
    .slice(1);
  const bytes = readFileSync(join(path, name!));
  bytes[300]! ^= 1;
  writeFileSync(join(path, name!), bytes);
  const holder = await open('holder', { self: 'ee'.repeat(16), signPublicKey: () => card.signPublicKey });
  const deps = {
    dataDir: holder.dataDir,
    sodium,
    chains: holder.chains,
    signPublicKey: () => card.signPublicKey,
    warn: () => {},
  };
  const input = { self: 'ee'.repeat(16) };
  expect(await mendOtherChains(input, { ...deps, sources: [] })).toMatchObject([{ left: [{}] }]);
  expect(holder.chains.problems().length).toBe(1);
  const checked = await mendOtherChains(input, { ...deps, sources: [down, source()] });
  expect(checked).toMatchObject([{ agent: FIXTURE_SELF, left: [], from: ['peer'] }]);
  expect(holder.chains.problems()).toEqual([]);
  expect(holder.chains.shards(FIXTURE_SELF)).toMatchObject([{ shard: SHARD, held: 6, applied: 13 }]);
  holder.close();
});
