/** Bytes of format version 1, made from fixed inputs: an independent reader can be tested with them (docs/formats/chain.md). */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { nativeZstd, type Zstd } from '../codec/zstd.ts';
import { encodeCard } from '../keys/card.ts';
import type { RecordBody, Settings, SnapshotBody } from '../log/record-body.ts';
import { fixtureVaultKeys } from '../testing/vault-keys-fixture.ts';
import { decodeChainSegment, encodeChainSegment, formatSegmentKey, segmentKey } from './chain-segment.ts';
import {
  changesOfByte,
  decodeHoldCheckpoint,
  encodeHoldCheckpoint,
  mergePart,
  PARTS,
  partOfHolds,
  requirePart,
  summaryOf,
} from './checkpoint-parts.ts';
import { EntryKind, encodeEntry, placeAfter, positionOf, verifyHead } from './entry-head.ts';
import { encodeAdd, encodeRelease, type Form } from './forms.ts';
import { holdStateOf } from './hold-state.ts';
import type { Position } from './position.ts';
import { encodeCheckpointEntries, openCheckpointPart, type RecordCheckpoint } from './record-checkpoint.ts';
import { encodeDropBranch, encodeRecordEntry, openRecordEntry, type WholeEntry } from './record-entry.ts';
import { encodeStatement, type Statement, verifyStatement } from './statement.ts';
import { encodeUnsatisfiedList, listDigest, requireListOf } from './unsatisfied-list.ts';

const sodium = await loadSodium();
const counting = (from: number, length: number) => Uint8Array.from({ length }, (_, i) => (from + i) & 255);
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

const vault = hex(counting(0, 16));
const vaultKey = counting(0, 32);
const agent = hex(counting(0x10, 16));
const holder = hex(counting(0x20, 16));
const signSeed = counting(0x40, 32);
const holderSeed = counting(0x60, 32);
const adminSeed = counting(0x64, 32);
const keys = fixtureVaultKeys(sodium, vault, vaultKey);
/** Stores bodies as they are: compressed bytes may differ between builds of zstd. */
const zstd: Zstd = {
  compress: (plain) => plain,
  decompress: (frame, length) => nativeZstd().decompress(frame, length),
};

const card = encodeCard(
  sodium,
  {
    vaultId: vault,
    agentId: agent,
    incarnation: 1,
    name: 'shop-1',
    site: 'shop',
    role: 'edge',
    signPublicKey: sodium.crypto_sign_seed_keypair(signSeed).publicKey,
    tlsSpkiSha256: counting(0x80, 32),
    addresses: ['https://shop-1:7420'],
    base: undefined,
    number: 1,
  },
  adminSeed,
);

const snapshot: SnapshotBody = {
  type: 'snapshot',
  root: 'home',
  path: bytes('/home/\xff'),
  timeNs: 1_800_000_000_000_000_001n,
  entry: {
    name: new Uint8Array(0),
    type: 'dir',
    mtimeNs: 1_700_000_000_000_000_000n,
    posix: { mode: 0o755, uid: 0, gid: 0 },
    pages: [new Uint8Array(32).fill(0xe1)],
  },
  stats: { files: 3, dirs: 1, others: 0, bytes: 5_000_000_000, newBytes: 100, storedBytes: 60 },
  parent: 'ab'.repeat(32),
  tags: { b: '1', aa: '2' },
  unfinished: true,
  failed: 1,
  program: 'edgestore 0.1.0',
};
const settings: Settings = {
  agentName: 'shop-1',
  site: 'shop',
  configJson: '{"a":1}',
  roots: [{ name: 'home', path: bytes('/home/\xff'), shard: 1 }],
};
const form = (id: number, sealed: number, formClass: Form['formClass']): Form => ({
  id: counting(id, 32),
  sealedSha256: counting(sealed, 32),
  sealedBytes: 1000 + sealed,
  keyId: 1,
  formClass,
});
const forms = [
  form(0xe1, 1, 'meta'),
  form(0x05, 2, 'data'),
  form(0x06, 3, 'data-delta'),
  form(0x06, 4, 'data'),
  form(0x07, 5, 'meta-delta'),
];
const released = [counting(0x07, 32), counting(0x08, 32)];

/** One entry of each kind, and a record of each type. */
function writeChain(): WholeEntry[] {
  const entries: WholeEntry[] = [];
  let after: Position | undefined;
  const own = { vault, agent, incarnation: 1 };
  const keep = (entry: WholeEntry) => {
    entries.push(entry);
    after = positionOf(entry.head);
    return after;
  };
  const clear = (kind: EntryKind, shard: number, body: Uint8Array) =>
    keep(encodeEntry(sodium, { ...placeAfter(after, own, { kind, shard, keyId: 0 }), body, signSeed }));
  const record = (body: RecordBody, shard = 0) => {
    const place = placeAfter(after, own, { kind: EntryKind.record, shard, keyId: 1 });
    const random24 = counting(entries.length, 24);
    return keep(encodeRecordEntry(sodium, { ...place, body, keys, signSeed, random24, zstd }));
  };
  clear(EntryKind.takeover, 0, card);
  record({ type: 'settings', settings });
  clear(EntryKind.add, 1, encodeAdd(forms));
  const { link, seq } = record(snapshot, 1);
  record({ type: 'pin', snapshot: link, reason: 'year end' });
  record({ type: 'unpin', snapshot: link });
  record({ type: 'damaged', snapshots: [link] });
  clear(EntryKind.release, 1, encodeRelease(released));
  const parts = partsAfter(entries);
  const asOfSeq = after!.seq;
  record({ type: 'forget', snapshot: 'cd'.repeat(32) });
  clear(EntryKind.holdCheckpoint, 1, encodeHoldCheckpoint({ asOfSeq, parts: parts.map(summaryOf) }));
  const checkpoint = checkpointOf(link, seq);
  const input = { writer: own, after: after!, checkpoint, keys, signSeed, random: () => counting(9, 24), zstd };
  for (const entry of encodeCheckpointEntries(sodium, { ...input, partBytes: 50 })) keep(entry);
  clear(EntryKind.dropBranch, 0, encodeDropBranch('ef'.repeat(32)));
  return entries;
}

function checkpointOf(id: string, seq: number): RecordCheckpoint {
  return {
    snapshots: [{ id, incarnation: 1, seq, shard: 1, damaged: true, body: snapshot }],
    pins: [{ snapshot: id, reason: 'year end' }],
    settings,
  };
}

function partsAfter(entries: readonly WholeEntry[]): Uint8Array[] {
  return Array.from({ length: PARTS }, (_, byte) =>
    mergePart(
      new Uint8Array(0),
      entries.flatMap((entry) => changesOfByte(entry, byte)),
    ),
  );
}

const list = encodeUnsatisfiedList([
  { id: counting(0x05, 32), reason: 'lost' },
  { id: counting(0xe1, 32), reason: 'wanted' },
]);
const statementOf = (position: Position): Statement => ({
  vault,
  holder,
  holderIncarnation: 2,
  storeId: hex(counting(0x30, 16)),
  epoch: 2n ** 63n,
  startId: hex(counting(0x31, 16)),
  owner: agent,
  position,
  layoutVersion: 1,
  nonce: counting(0x32, 32),
  branches: ['ef'.repeat(32)],
  wallNs: 1_800_000_000_000_000_001n,
  shards: [{ shard: 1, applied: 8, whole: 2, wanted: 1, lost: 1, unreadable: 0, listDigest: listDigest(list) }],
  backing: [{ storeId: hex(counting(0x33, 16)), location: hex(counting(0x34, 32)), shards: [1] }],
});

test('chains, parts, lists and statements are written as version 1 has them', async () => {
  const entries = writeChain();
  const segment = encodeChainSegment(entries);
  const parts = partsAfter(entries);
  const golden = {
    vault,
    vaultKey: hex(vaultKey),
    // Of key id 1. A vault has a random one.
    generationSecret: hex(vaultKey),
    agent,
    adminSeed: hex(adminSeed),
    signSeed: hex(signSeed),
    holder,
    holderSeed: hex(holderSeed),
    segmentKey: formatSegmentKey(segmentKey(entries, segment)),
    segment: hex(segment),
    links: entries.map(({ head }) => head.link),
    parts: Object.fromEntries(parts.flatMap((part, byte) => (part.length === 0 ? [] : [[byte, hex(part)]]))),
    list: hex(list),
    statement: hex(encodeStatement(sodium, statementOf(positionOf(entries.at(-1)!.head)), holderSeed)),
  };
  await expect(`${JSON.stringify(golden, null, 2)}\n`).toMatchFileSnapshot('golden/chain-1.json');
});

test('the golden chain, parts, list and statement are read', () => {
  const golden = JSON.parse(readFileSync(new URL('golden/chain-1.json', import.meta.url), 'utf8'));
  const { publicKey } = sodium.crypto_sign_seed_keypair(signSeed);
  const { entries, ...rest } = decodeChainSegment(Buffer.from(golden.segment, 'hex'));
  expect(rest).toEqual({ damaged: [] });
  expect(entries.map(({ head }) => head.link)).toEqual(golden.links);
  for (const { head } of entries) verifyHead(sodium, head, publicKey);
  const records = entries.filter(({ head }) => head.header.kind === EntryKind.record);
  const id = golden.links[3];
  expect(records.map((entry) => openRecordEntry(sodium, entry, keys))).toEqual([
    { type: 'settings', settings },
    snapshot,
    { type: 'pin', snapshot: id, reason: 'year end' },
    { type: 'unpin', snapshot: id },
    { type: 'damaged', snapshots: [id] },
    { type: 'forget', snapshot: 'cd'.repeat(32) },
  ]);
  const checkpoints = entries.filter(({ head }) => head.header.kind === EntryKind.recordCheckpoint);
  expect(checkpoints.map((entry) => openCheckpointPart(sodium, entry, keys))).toMatchObject([
    { part: 1, parts: 3, settings },
    { part: 2, parts: 3, snapshots: checkpointOf(id, 4).snapshots },
    { part: 3, parts: 3, pins: checkpointOf(id, 4).pins },
  ]);
  const holds = holdStateOf(entries).get(1)!;
  expect(holds.size).toBe(3);
  const hold = entries.find(({ head }) => head.header.kind === EntryKind.holdCheckpoint)!;
  const checkpoint = decodeHoldCheckpoint(hold.body, hold.head.header.seq);
  for (let byte = 0; byte < PARTS; byte++) {
    const part = Buffer.from(golden.parts[byte] ?? '', 'hex');
    requirePart(checkpoint, byte, part);
    expect(Buffer.from(partOfHolds(holds, byte))).toEqual(part);
  }
  const holderKey = sodium.crypto_sign_seed_keypair(holderSeed).publicKey;
  const statement = verifyStatement(sodium, Buffer.from(golden.statement, 'hex'), holderKey);
  expect(statement).toEqual(statementOf(positionOf(entries.at(-1)!.head)));
  expect(requireListOf(statement.shards[0]!, Buffer.from(golden.list, 'hex'))).toHaveLength(2);
});
