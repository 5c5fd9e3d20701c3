import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import type { RecordBody } from '../log/record-body.ts';
import { chainWriter, makeForm } from '../testing/chain-writer.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { fixtureVaultKeys } from '../testing/vault-keys-fixture.ts';
import {
  decodeHead,
  type EntryKind,
  encodeEntry,
  encodeHeaderBeforeDigest,
  HEAD_BYTES,
  HEADER_BYTES,
  linkOf,
  openHead,
  placeAfter,
  positionOf,
  requireBody,
  verifyHead,
} from './entry-head.ts';
import { ZERO_LINK } from './position.ts';
import { decodeDropBranch, encodeRecordEntry, openRecordEntry } from './record-entry.ts';
import { openBody, sealBody } from './sealed-body.ts';

const sodium = await loadSodium();
const random = createSeededRandom('entry');
const code = (name: string) => expect.objectContaining({ code: name });
const forget: RecordBody = { type: 'forget', snapshot: 'ab'.repeat(32) };

test('heads read back, verify, and link one entry to the next', () => {
  const owner = chainWriter('links');
  const made = [owner.takeover(), owner.record(), owner.add(1, [makeForm(1)]), owner.release(1, [makeForm(1).id])];
  let previous = ZERO_LINK;
  made.forEach(({ head, body }, i) => {
    expect(head.bytes.length).toBe(HEAD_BYTES);
    expect(decodeHead(head.bytes)).toEqual(head);
    verifyHead(sodium, head, owner.signPublicKey);
    requireBody(head, body);
    expect(head.header).toMatchObject({ seq: i + 1, previous, agent: owner.agent });
    expect(head.link).toBe(linkOf(previous, head.digest));
    previous = head.link;
  });
  expect(owner.position).toEqual({ incarnation: 1, seq: 4, link: previous });
});

test('every flipped bit of a header, a signature or a body is refused', () => {
  const { head, body } = chainWriter('bits').add(1, [makeForm(1)]);
  const owner = chainWriter('bits');
  for (let place = 0; place < (HEAD_BYTES + body.length) * 8; place++) {
    const bytes = Buffer.concat([head.bytes, body]);
    bytes[place >> 3]! ^= 1 << (place & 7);
    expect(() => {
      const read = decodeHead(bytes.subarray(0, HEAD_BYTES));
      verifyHead(sodium, read, owner.signPublicKey);
      requireBody(read, bytes.subarray(HEAD_BYTES));
    }).toThrow();
    if (place < HEAD_BYTES * 8)
      expect(() => openHead(sodium, bytes.subarray(0, HEAD_BYTES), owner.signPublicKey)).toThrow(code('E_INTEGRITY'));
  }
  expect(openHead(sodium, head.bytes, owner.signPublicKey)).toEqual(head);
});

test('every flipped bit of a sealed record is refused by its tag too, were it signed again', () => {
  const owner = chainWriter('sealed');
  owner.takeover();
  const { head, body } = owner.record(forget);
  for (let place = 0; place < body.length * 8; place++) {
    const bad = new Uint8Array(body);
    bad[place >> 3]! ^= 1 << (place & 7);
    expect(() => openRecordEntry(sodium, { head, body: bad }, owner.keys)).toThrow(code('E_INTEGRITY'));
    const resigned = encodeEntry(sodium, { ...head.header, body: bad, signSeed: owner.signSeed });
    expect(() => openRecordEntry(sodium, resigned, owner.keys)).toThrow(code('E_INTEGRITY'));
  }
});

test('a sealed body opens at its own place only', () => {
  const owner = chainWriter('place');
  owner.takeover();
  const { head, body } = owner.record(forget);
  expect(openRecordEntry(sodium, { head, body }, owner.keys)).toEqual(forget);
  const elsewhere = [
    { seq: 3 },
    { incarnation: 2 },
    { shard: 7 },
    { previous: 'cc'.repeat(32) },
    { agent: 'dd'.repeat(16) },
    { kind: 9 as EntryKind },
  ];
  for (const other of elsewhere) {
    const moved = encodeEntry(sodium, { ...head.header, ...other, body, signSeed: owner.signSeed });
    expect(() => openBody(sodium, moved.head, body, owner.keys), JSON.stringify(other)).toThrow(code('E_INTEGRITY'));
  }
});

test('another key does not verify, another vault does not open, an unknown key id is told', () => {
  const owner = chainWriter('keys');
  owner.takeover();
  const entry = owner.record(forget);
  const other = sodium.crypto_sign_seed_keypair(random(32)).publicKey;
  expect(() => verifyHead(sodium, entry.head, other)).toThrow(code('E_INTEGRITY'));
  const stranger = fixtureVaultKeys(sodium, 'f'.repeat(32), random(32));
  expect(() => openRecordEntry(sodium, entry, stranger)).toThrow(code('E_WRONG_KEY'));
  const later = fixtureVaultKeys(sodium, owner.vault, random(32), [2]);
  expect(() => openRecordEntry(sodium, entry, later)).toThrow(code('E_INTEGRITY'));
});

/** The head with some bytes of the header set, signed again. */
function withBytes(at: number, bytes: readonly number[]): () => void {
  const owner = chainWriter('fields');
  owner.takeover();
  const { head } = owner.add(1, [makeForm(1)]);
  const changed = new Uint8Array(head.bytes);
  changed.set(bytes, at);
  return () => decodeHead(changed);
}

test('a later version, critical feature or kind is E_NEWER_FORMAT; an optional feature is passed over', () => {
  expect(withBytes(8, [2, 0])).toThrow(code('E_NEWER_FORMAT'));
  expect(withBytes(10, [1])).toThrow(code('E_NEWER_FORMAT'));
  for (const kind of [4, 6, 10, 255]) expect(withBytes(94, [kind])).toThrow(code('E_NEWER_FORMAT'));
  expect(withBytes(14, [255, 255, 255, 255])).not.toThrow();
});

test('headers that no writer makes are refused, before anything is allocated for their body', () => {
  const cases: [string, number, number[]][] = [
    ['magic', 0, [0]],
    ['version 0', 8, [0, 0]],
    ['incarnation 0', 50, [0, 0, 0, 0]],
    ['number 0', 54, [0]],
    ['a number of 2^48', 54, [0, 0, 0, 0, 0, 0, 1, 0]],
    ['number 1 behind another entry', 54, [1]],
    ['number 2 behind nothing', 62, Array(32).fill(0)],
    ['kind 0', 94, [0]],
    ['an add in no shard', 95, [0, 0, 0, 0]],
    ['an add under a key', 99, [1]],
    ['a record in the clear', 94, [1]],
    ['a release of 80 bytes', 94, [3]],
    ['an add of 81 bytes', 103, [81]],
    ['an add of no bytes', 103, [0]],
    ['an add of 4097 forms', 103, [0x50, 0x00, 0x05, 0x00]],
    ['an add of 4 GiB', 103, [0, 0, 0, 0xff]],
  ];
  for (const [name, at, bytes] of cases) expect(withBytes(at, bytes), name).toThrow(code('E_FORMAT'));
  expect(withBytes(103, [0x00, 0x00, 0x05, 0x00]), 'an add of 4096 forms').not.toThrow();
  expect(() => decodeHead(new Uint8Array(HEADER_BYTES))).toThrow(code('E_FORMAT'));
});

test('a body of another length or digest is refused', () => {
  const { head, body } = chainWriter('bodies').add(1, [makeForm(1)]);
  expect(() => requireBody(head, body.subarray(1))).toThrow(code('E_INTEGRITY'));
  expect(() => requireBody(head, Buffer.concat([body, body]))).toThrow(code('E_INTEGRITY'));
});

test('records are written for their shard: a snapshot in its root’s, all others in none', () => {
  const owner = chainWriter('shards');
  expect(() => owner.record(forget, 1)).toThrow(code('E_FAILED'));
  const entry = owner.record({ type: 'damaged', snapshots: ['ab'.repeat(32)] });
  expect(openRecordEntry(sodium, entry, owner.keys)).toEqual({ type: 'damaged', snapshots: ['ab'.repeat(32)] });
});

test('a body that is too long is E_LIMIT before it is signed', () => {
  const owner = chainWriter('long');
  const place = placeAfter(undefined, { ...owner, incarnation: 1 }, { kind: 1, shard: 0, keyId: 1 });
  const plain = random(17 * 1024 * 1024);
  expect(() => sealBody(sodium, { header: place, plain, keys: owner.keys, random24: random(24) })).toThrow(
    code('E_LIMIT'),
  );
  expect(() => encodeEntry(sodium, { ...place, body: plain, signSeed: owner.signSeed })).toThrow(code('E_LIMIT'));
});

test('the nonce follows from place and plaintext, so equal random bytes seal two bodies under two nonces', () => {
  const owner = chainWriter('nonce');
  const same = new Uint8Array(24);
  const nonceOf = (seq: number, plain: Uint8Array) => {
    const header = { ...placeAfter(owner.position, owner, { kind: 1 as const, shard: 0, keyId: 1 }), seq };
    return Buffer.from(sealBody(sodium, { header, plain, keys: owner.keys, random24: same }).subarray(0, 24));
  };
  owner.takeover();
  const nonces = [nonceOf(2, random(5)), nonceOf(2, random(5)), nonceOf(3, random(5))].map((nonce) =>
    nonce.toString('hex'),
  );
  expect(new Set(nonces).size).toBe(3);
});

test('an older incarnation writes nothing behind a newer one', () => {
  const owner = chainWriter('old');
  owner.incarnation = 2;
  owner.takeover();
  owner.incarnation = 1;
  expect(() => owner.record()).toThrow(code('E_FAILED'));
});

test('drop branch names a tip', () => {
  const owner = chainWriter('drop');
  const tip = positionOf(owner.takeover().head).link;
  expect(decodeDropBranch(owner.dropBranch(tip).body)).toBe(tip);
});

test('a record entry is sealed with the associated data of the page: 107 bytes of its header', () => {
  const owner = chainWriter('ad');
  const place = placeAfter(undefined, owner, { kind: 1, shard: 0, keyId: 1 });
  const { head, body } = encodeRecordEntry(sodium, {
    ...place,
    body: forget,
    keys: owner.keys,
    signSeed: owner.signSeed,
    random24: random(24),
  });
  expect(encodeHeaderBeforeDigest(place, body.length)).toEqual(Buffer.from(head.bytes.subarray(0, 107)));
});
