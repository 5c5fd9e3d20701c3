import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { nativeZstd, type Zstd } from '../codec/zstd.ts';
import { fixtureVaultKeys } from '../testing/vault-keys-fixture.ts';
import { checkChain, headOf } from './check-chain.ts';
import {
  decodeHoldLog,
  encodeHoldBatch,
  encodeHoldLogItem,
  type HoldBatch,
  holdBatchHash,
  verifyHoldBatch,
} from './hold-batch.ts';
import { NO_PREVIOUS, nextEnvelope } from './next-envelope.ts';
import { encodeReceipt, verifyReceipt } from './receipt.ts';
import { decodeEnvelope, encodeRecord, openRecord, verifyRecord } from './record.ts';
import type { Head, RecordBody, Settings, SnapshotBody } from './record-body.ts';
import { decodeSegment, encodeSegment } from './segment.ts';

const sodium = await loadSodium();
const counting = (from: number, length: number) => Uint8Array.from({ length }, (_, i) => from + i);
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

const vault = hex(counting(0, 16));
const vaultKey = counting(0, 32);
const agent = hex(counting(0x10, 16));
const holder = hex(counting(0x20, 16));
const signSeed = counting(0x40, 32);
const holderSeed = counting(0x60, 32);
const keys = fixtureVaultKeys(sodium, vault, vaultKey);
/** Stores bodies as they are: compressed bytes may differ between builds of zstd. */
const noZstd: Zstd = {
  compress: (plain) => plain,
  decompress: (frame, length) => nativeZstd().decompress(frame, length),
};

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

function bodies(ids: readonly string[]): RecordBody[] {
  const base = { incarnation: 1, seq: ids.length, hash: ids.at(-1) ?? NO_PREVIOUS };
  return [
    { type: 'takeover', card: bytes('a card'), base: undefined },
    { type: 'settings', settings },
    snapshot,
    { type: 'pin', snapshot: ids[2] ?? '', reason: 'year end' },
    { type: 'unpin', snapshot: ids[2] ?? '' },
    { type: 'forget', snapshot: ids[2] ?? '' },
    {
      type: 'checkpoint',
      checkpoint: {
        head: base,
        snapshots: [{ id: ids[2] ?? '', incarnation: 1, seq: 3, body: snapshot }],
        pins: [{ snapshot: ids[2] ?? '', reason: 'year end' }],
        settings,
      },
    },
  ];
}

function writeLog(): Uint8Array[] {
  const records: Uint8Array[] = [];
  const ids: string[] = [];
  let head: Head | undefined;
  for (let i = 0; i < 7; i++) {
    const envelope = nextEnvelope(head, { vault, agent, incarnation: 1, keyId: 1 });
    const body = bodies(ids)[i]!;
    const record = encodeRecord(sodium, { envelope, body, keys, signSeed, random24: counting(i, 24), zstd: noZstd });
    head = { incarnation: 1, seq: envelope.seq, hash: record.hash };
    ids.push(record.hash);
    records.push(record.bytes);
  }
  return records;
}

const batch: HoldBatch = {
  verb: 'hold',
  vault,
  owner: agent,
  holder,
  head: { incarnation: 1, seq: 7, hash: 'cd'.repeat(32) },
  op: 5,
  entries: [
    { id: counting(0, 32), sealedSha256: counting(0x80, 32), sealedBytes: 1000, keyId: 1, packClass: 'data' },
    { id: counting(1, 32), sealedSha256: counting(0x81, 32), sealedBytes: 49, keyId: 2, packClass: 'meta' },
  ],
};

test('records, hold batches and receipts are written as version 1 always was', async () => {
  const hold = encodeHoldBatch(sodium, batch, signSeed);
  const release = encodeHoldBatch(sodium, { ...batch, verb: 'release', op: 6 }, signSeed);
  const receipt = {
    vault,
    owner: agent,
    holder,
    op: 5,
    batchHash: holdBatchHash(hold),
    count: 2,
    timeNs: 1_800_000_000_000_000_001n,
  };
  const records = writeLog();
  const golden = {
    vault,
    vaultKey: hex(vaultKey),
    agent,
    signSeed: hex(signSeed),
    holder,
    holderSeed: hex(holderSeed),
    segment: hex(encodeSegment(records)),
    hashes: records.map((record) => decodeEnvelope(record).hash),
    holdLog: hex(Buffer.concat([encodeHoldLogItem(hold), encodeHoldLogItem(release)])),
    receipt: hex(encodeReceipt(sodium, receipt, holderSeed)),
  };
  await expect(`${JSON.stringify(golden, null, 2)}\n`).toMatchFileSnapshot('golden/log-1.json');
});

test('the golden log, hold log and receipt are read', () => {
  const golden = JSON.parse(readFileSync(new URL('golden/log-1.json', import.meta.url), 'utf8'));
  const { publicKey } = sodium.crypto_sign_seed_keypair(signSeed);
  const { records, ...rest } = decodeSegment(Buffer.from(golden.segment, 'hex'));
  expect(rest).toEqual({ damaged: [] });
  const envelopes = records.map((record) => decodeEnvelope(record));
  expect(envelopes.map(({ hash }) => hash)).toEqual(golden.hashes);
  expect(checkChain(envelopes).head).toEqual(headOf(envelopes[6]!));
  const expected = bodies(golden.hashes);
  // The checkpoint names the head before it.
  (expected[6] as { checkpoint: { head: Head } }).checkpoint.head = headOf(envelopes[5]!);
  records.forEach((record, i) => {
    verifyRecord(sodium, record, publicKey);
    expect(openRecord(sodium, record, keys)).toEqual(expected[i]);
  });
  const { batches } = decodeHoldLog(Buffer.from(golden.holdLog, 'hex'));
  expect(batches.map((one) => verifyHoldBatch(sodium, one, publicKey))).toEqual([
    batch,
    { ...batch, verb: 'release', op: 6 },
  ]);
  const holderKey = sodium.crypto_sign_seed_keypair(holderSeed).publicKey;
  expect(verifyReceipt(sodium, Buffer.from(golden.receipt, 'hex'), holderKey)).toMatchObject({
    op: 5,
    batchHash: holdBatchHash(batches[0]!),
    count: 2,
  });
});
