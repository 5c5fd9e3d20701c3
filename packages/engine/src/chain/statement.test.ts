import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import {
  encodeStatement,
  STATED_SHARDS_MAX,
  STATEMENT_BYTES_MAX,
  type StatedShard,
  type Statement,
  verifyStatement,
} from './statement.ts';
import {
  decodeUnsatisfiedList,
  encodeUnsatisfiedList,
  isListed,
  listDigest,
  NO_LIST,
  requireListOf,
  UNSATISFIED_IDS_MAX,
} from './unsatisfied-list.ts';

const sodium = await loadSodium();
const random = createSeededRandom('statement');
const code = (name: string) => expect.objectContaining({ code: name });
const seed = random(32);
const { publicKey } = sodium.crypto_sign_seed_keypair(seed);
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((list) => Buffer.from(list).toString('hex'));
const seq = fc.integer({ min: 1, max: 2 ** 48 - 1 });
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const u32 = fc.integer({ min: 1, max: 0xffff_ffff });

const position = fc.record({ incarnation: u32, seq, link: hex(32) });
const shards = (limit: number): fc.Arbitrary<StatedShard[]> =>
  fc.uniqueArray(u32, { maxLength: 4 }).chain((numbers) =>
    fc.tuple(
      ...numbers
        .sort((a, b) => a - b)
        .map((shard) =>
          fc
            .record({
              applied: fc.integer({ min: 0, max: limit }),
              wanted: count,
              lost: count,
              unreadable: count,
              listDigest: hex(32),
            })
            .chain((row) => fc.integer({ min: 0, max: row.applied }).map((whole) => ({ shard, ...row, whole }))),
        ),
    ),
  );
const statements: fc.Arbitrary<Statement> = fc.option(position, { nil: undefined }).chain((at) =>
  fc.record({
    vault: hex(16),
    holder: hex(16),
    holderIncarnation: u32,
    storeId: hex(16),
    epoch: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    startId: hex(16),
    owner: hex(16),
    position: fc.constant(at),
    layoutVersion: count,
    nonce: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    branches: fc.array(hex(32), { maxLength: 3 }),
    wallNs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    shards: shards(at?.seq ?? 0),
    backing: fc.array(fc.record({ storeId: hex(16), location: hex(32), shards: fc.array(u32, { maxLength: 3 }) }), {
      maxLength: 2,
    }),
  }),
);
const shard = (over: Partial<StatedShard> = {}): StatedShard => ({
  shard: 1,
  applied: 9,
  whole: 4,
  wanted: 1,
  lost: 0,
  unreadable: 0,
  listDigest: 'ab'.repeat(32),
  ...over,
});
const one: Statement = {
  vault: '0a'.repeat(16),
  holder: '0b'.repeat(16),
  holderIncarnation: 1,
  storeId: '0c'.repeat(16),
  epoch: 3n,
  startId: '0d'.repeat(16),
  owner: '0e'.repeat(16),
  position: { incarnation: 1, seq: 9, link: '0f'.repeat(32) },
  layoutVersion: 1,
  nonce: random(32),
  branches: ['aa'.repeat(32)],
  wallNs: 5n,
  shards: [shard()],
  backing: [{ storeId: '01'.repeat(16), location: '02'.repeat(32), shards: [1] }],
};

test('a statement reads back as it was signed', () => {
  fc.assert(
    fc.property(statements, (statement) => {
      expect(verifyStatement(sodium, encodeStatement(sodium, statement, seed), publicKey)).toEqual(statement);
    }),
  );
});

test('every flipped bit of a statement is refused before it is parsed', () => {
  const bytes = encodeStatement(sodium, one, seed);
  for (let place = 0; place < bytes.length * 8; place++) {
    const bad = new Uint8Array(bytes);
    bad[place >> 3]! ^= 1 << (place & 7);
    expect(() => verifyStatement(sodium, bad, publicKey)).toThrow();
    // Beyond magic and length it is the signature that refuses, so a flipped bit of the version is damage.
    if (place >= 14 * 8 || (place >= 8 * 8 && place < 10 * 8))
      expect(() => verifyStatement(sodium, bad, publicKey)).toThrow(code('E_INTEGRITY'));
  }
  const other = sodium.crypto_sign_seed_keypair(random(32)).publicKey;
  expect(() => verifyStatement(sodium, bytes, other)).toThrow(code('E_INTEGRITY'));
});

test('statements that contradict themselves are not signed', () => {
  const bad: Partial<Statement>[] = [
    { shards: [shard({ whole: 10, applied: 9 })] },
    { shards: [shard({ applied: 10 })] },
    { shards: [shard({ shard: 2 }), shard()] },
    { shards: [shard(), shard()] },
    { shards: [shard({ shard: 0 })] },
    { position: undefined },
    { nonce: new Uint8Array(31) },
    { position: { incarnation: 0, seq: 9, link: '0f'.repeat(32) } },
  ];
  for (const over of bad) expect(() => encodeStatement(sodium, { ...one, ...over }, seed)).toThrow(code('E_FORMAT'));
});

test('a statement of 1024 shards fits; more is E_LIMIT', () => {
  const many = Array.from({ length: STATED_SHARDS_MAX }, (_, i) =>
    shard({
      shard: 0xffff_0000 + i,
      applied: 2 ** 47,
      whole: 2 ** 47,
      wanted: 2 ** 52,
      lost: 2 ** 52,
      unreadable: 2 ** 52,
    }),
  );
  const backing = Array.from({ length: 64 }, () => ({
    ...one.backing[0]!,
    shards: many.map(({ shard: number }) => number),
  }));
  const large = { ...one, position: { ...one.position!, seq: 2 ** 47 }, shards: many, backing };
  const bytes = encodeStatement(sodium, large, seed);
  expect(bytes.length).toBeLessThanOrEqual(STATEMENT_BYTES_MAX);
  expect(verifyStatement(sodium, bytes, publicKey)).toEqual(large);
  const tooMany = { ...large, shards: [shard(), ...many] };
  expect(() => encodeStatement(sodium, tooMany, seed)).toThrow(code('E_LIMIT'));
});

test('lists read back, and belong to one statement only', () => {
  const list = [
    { id: new Uint8Array(32).fill(1), reason: 'wanted' },
    { id: new Uint8Array(32).fill(2), reason: 'lost' },
    { id: new Uint8Array(32).fill(3), reason: 'unreadable' },
  ] as const;
  const encoded = encodeUnsatisfiedList(list);
  expect(decodeUnsatisfiedList(encoded)).toEqual(list);
  const stated = shard({ wanted: 1, lost: 1, unreadable: 1, listDigest: listDigest(encoded) });
  const ids = requireListOf(stated, encoded);
  expect(ids).toHaveLength(list.length);
  for (const { id } of list) expect(isListed(ids, id)).toBe(true);
  expect(isListed(ids, new Uint8Array(32).fill(0x55))).toBe(false);
  expect(() => requireListOf(stated, encoded.subarray(33))).toThrow(code('E_INTEGRITY'));
  const others = encodeUnsatisfiedList(list.map(({ id }) => ({ id, reason: 'wanted' as const })));
  expect(() => requireListOf(stated, others)).toThrow(code('E_INTEGRITY'));
  expect(() => requireListOf({ ...stated, wanted: 2 }, encoded)).toThrow(code('E_INTEGRITY'));
  expect(() => requireListOf({ ...stated, listDigest: NO_LIST }, encoded)).toThrow(code('E_INTEGRITY'));
  expect(() => encodeUnsatisfiedList([...list].reverse())).toThrow(code('E_FAILED'));
  expect(decodeUnsatisfiedList(new Uint8Array(0))).toEqual([]);
});

test('damaged lists are E_FORMAT, and a list has at most 65,536 ids', () => {
  const row = (id: number, reason: number) => Buffer.concat([Buffer.alloc(32, id), Buffer.from([reason])]);
  for (const bytes of [
    row(1, 0),
    row(1, 4),
    Buffer.concat([row(1, 1), row(1, 1)]),
    Buffer.concat([row(2, 1), row(1, 1)]),
    row(1, 1).subarray(1),
  ])
    expect(() => decodeUnsatisfiedList(bytes)).toThrow(code('E_FORMAT'));
  const ids = Array.from({ length: UNSATISFIED_IDS_MAX + 1 }, (_, i) => {
    const id = Buffer.alloc(32);
    id.writeUInt32BE(i, 0);
    return { id: new Uint8Array(id), reason: 'wanted' as const };
  });
  expect(decodeUnsatisfiedList(encodeUnsatisfiedList(ids.slice(1)))).toHaveLength(UNSATISFIED_IDS_MAX);
  expect(() => encodeUnsatisfiedList(ids)).toThrow(code('E_LIMIT'));
  expect(() => decodeUnsatisfiedList(new Uint8Array((UNSATISFIED_IDS_MAX + 1) * 33))).toThrow(code('E_FORMAT'));
});
