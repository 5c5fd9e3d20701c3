import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCborMap } from '../codec/bounded-cbor.ts';
import { loadSodium } from '../codec/sodium.ts';
import { EdgeError } from '../core/errors.ts';
import { goldenJson } from '../testing/golden-json.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { openAdminSeed, sealAdminSeed } from './admin-seed.ts';
import { CARD_BYTES_MAX, type Card, encodeCard, requireSameLog, verifyCard } from './card.ts';
import { publicKeyOf, signInDomain } from './ed25519.ts';
import { type AgentIdentity, decodeIdentity, encodeIdentity } from './identity.ts';
import { unwrapGeneration, wrapGeneration } from './key-generation.ts';
import { proveRecovery, recoveryProofPublicKey, verifyRecoveryProof } from './recovery-proof.ts';
import {
  encodeVaultDescriptor,
  openVaultDescriptor,
  readVaultDescriptor,
  type VaultDescriptor,
  verifyVaultDescriptor,
} from './vault-descriptor.ts';
import { deriveBaseKeys, deriveVaultKeys, type GenerationSecret, generationOf } from './vault-keys.ts';

const sodium = await loadSodium();
const VAULT = '000102030405060708090a0b0c0d0e0f';
const AGENT = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf';
const VAULT_KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const ADMIN_SEED = Uint8Array.from({ length: 32 }, (_, index) => 100 + index);
const base = deriveBaseKeys(sodium, VAULT, VAULT_KEY);
const generations: readonly GenerationSecret[] = [
  { keyId: 1, secret: new Uint8Array(32).fill(0x11) },
  { keyId: 7, secret: new Uint8Array(32).fill(0x77) },
];
const keys = deriveVaultKeys(sodium, base, generations);
const wrapRandom = createSeededRandom('generations');
const [wrapped1, wrapped7] = generations.map((each) => wrapGeneration(sodium, base, each, wrapRandom)) as [
  Uint8Array,
  Uint8Array,
];
const adminPublicKey = publicKeyOf(sodium, ADMIN_SEED);

const descriptor: VaultDescriptor = {
  vaultId: VAULT,
  formatVersion: 1,
  criticalFeatures: [],
  chunker: { name: 'fastcdc-1', min: 131_072, avg: 524_288, max: 2_097_152 },
  keyTable: [
    { keyId: 1, createdNs: 1_790_000_000_123_456_789n, wrapped: wrapped1 },
    { keyId: 7, createdNs: 1_795_000_000_000_000_000n, wrapped: wrapped7 },
  ],
  adminPublicKey,
  proofPublicKey: recoveryProofPublicKey(sodium, keys),
  epoch: 2,
  previous: new Uint8Array(32).fill(0x22),
};
const card: Card = {
  vaultId: VAULT,
  agentId: AGENT,
  incarnation: 2,
  name: 'shop-1',
  site: 'shop',
  role: 'edge',
  signPublicKey: new Uint8Array(32).fill(5),
  tlsSpkiSha256: new Uint8Array(32).fill(6),
  addresses: ['https://10.0.0.1:7443', 'https://[2001:db8::1]:7443'],
  base: { incarnation: 1, seq: 2 ** 48 - 1, link: 'ab'.repeat(32) },
  number: 3,
};
const identity: AgentIdentity = {
  agentId: AGENT,
  name: 'shop-1',
  site: 'shop',
  incarnation: 2,
  signSeed: new Uint8Array(32).fill(9),
  tlsKeyPem: '-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n',
  tlsCertPem: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
};
const encodedDescriptor = encodeVaultDescriptor(sodium, descriptor, { macKey: keys.macKey, adminSeed: ADMIN_SEED });
const encodedCard = encodeCard(sodium, card, ADMIN_SEED);
const encodedIdentity = encodeIdentity(identity);
const encodedAdmin = sealAdminSeed(sodium, keys, ADMIN_SEED, createSeededRandom('admin'));

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof EdgeError) return error.code;
    throw error;
  }
  return undefined;
}

test('each comes back as it was', () => {
  expect(openVaultDescriptor(sodium, encodedDescriptor, VAULT_KEY)).toEqual({ descriptor, keys });
  expect(verifyCard(sodium, encodedCard, adminPublicKey)).toEqual(card);
  const first = { ...card, base: undefined, addresses: [] };
  expect(verifyCard(sodium, encodeCard(sodium, first, ADMIN_SEED), adminPublicKey)).toEqual(first);
  expect(decodeIdentity(encodedIdentity)).toEqual(identity);
  expect(openAdminSeed(sodium, keys, encodedAdmin)).toEqual(ADMIN_SEED);
});

describe.each([
  ['vault descriptor', encodedDescriptor, (bytes: Uint8Array) => openVaultDescriptor(sodium, bytes, VAULT_KEY)],
  ['member card', encodedCard, (bytes: Uint8Array) => verifyCard(sodium, bytes, adminPublicKey)],
  ['agent identity', encodedIdentity, (bytes: Uint8Array) => decodeIdentity(bytes)],
  ['admin seed', encodedAdmin, (bytes: Uint8Array) => openAdminSeed(sodium, keys, bytes)],
] as const)('%s', (name, encoded, read) => {
  test('any flipped bit is found', () => {
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      const flipped = new Uint8Array(encoded);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(['E_FORMAT', 'E_INTEGRITY', 'E_NEWER_FORMAT']).toContain(codeOf(() => read(flipped)));
    }
  });

  test('any shorter or longer bytes are refused', () => {
    for (let length = 0; length < encoded.length; length++) {
      expect(['E_FORMAT', 'E_INTEGRITY']).toContain(codeOf(() => read(encoded.subarray(0, length))));
    }
    expect(['E_FORMAT', 'E_INTEGRITY']).toContain(codeOf(() => read(Buffer.concat([encoded, Buffer.alloc(1)]))));
  });

  test('a newer version is named as such', () => {
    const newer = new Uint8Array(encoded);
    newer[8] = 2;
    // What is signed says E_NEWER_FORMAT only under its signature: a test of its own below.
    expect(codeOf(() => read(newer))).toBe(/card|descriptor/.test(name) ? 'E_INTEGRITY' : 'E_NEWER_FORMAT');
  });

  test('arbitrary bytes behind the right magic are refused', () => {
    const header = encoded.subarray(0, 10);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (tail, cborBytes) => {
        const length = Buffer.alloc(4);
        length.writeUInt32LE(cborBytes);
        for (const bytes of [Buffer.concat([header, tail]), Buffer.concat([header, length, tail]), tail]) {
          expect(['E_FORMAT', 'E_INTEGRITY', 'E_NEWER_FORMAT']).toContain(codeOf(() => read(bytes)));
        }
      }),
    );
  });
});

test('decoders without a key give a value or E_FORMAT, E_INTEGRITY, E_NEWER_FORMAT on damaged bytes', () => {
  const decode = (bytes: Uint8Array) => readVaultDescriptor(sodium, bytes);
  for (const encoded of [encodedDescriptor]) {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(encoded.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (edits) => {
          const changed = new Uint8Array(encoded);
          for (const [at, byte] of edits) changed[at] = byte;
          expect([undefined, 'E_FORMAT', 'E_INTEGRITY', 'E_NEWER_FORMAT']).toContain(codeOf(() => decode(changed)));
        },
      ),
      { numRuns: 1000 },
    );
  }
});

test('another vault key, admin key or vault does not verify', () => {
  const otherSeed = new Uint8Array(32).fill(1);
  const otherPublic = publicKeyOf(sodium, otherSeed);
  expect(codeOf(() => openVaultDescriptor(sodium, encodedDescriptor, otherSeed))).toBe('E_INTEGRITY');
  expect(codeOf(() => openVaultDescriptor(sodium, encodedDescriptor, VAULT_KEY, otherPublic))).toBe('E_INTEGRITY');
  expect(codeOf(() => verifyVaultDescriptor(sodium, encodedDescriptor, otherPublic))).toBe('E_INTEGRITY');
  expect(verifyVaultDescriptor(sodium, encodedDescriptor, adminPublicKey)).toEqual(descriptor);
  expect(codeOf(() => verifyCard(sodium, encodedCard, otherPublic))).toBe('E_INTEGRITY');
  const otherVault = deriveBaseKeys(sodium, 'f'.repeat(32), VAULT_KEY);
  expect(codeOf(() => openAdminSeed(sodium, otherVault, encodedAdmin))).toBe('E_INTEGRITY');
});

test('a descriptor with a chunker, format or feature of a newer program is E_NEWER_FORMAT, one with absurd lengths E_FORMAT', () => {
  const encode = (change: object) =>
    encodeVaultDescriptor(sodium, { ...descriptor, ...change }, { macKey: keys.macKey, adminSeed: ADMIN_SEED });
  const chunker = (change: object) => ({ chunker: { ...descriptor.chunker, ...change } });
  expect(codeOf(() => readVaultDescriptor(sodium, encode({ formatVersion: 2 })))).toBe('E_NEWER_FORMAT');
  expect(codeOf(() => readVaultDescriptor(sodium, encode({ criticalFeatures: ['tape'] })))).toBe('E_NEWER_FORMAT');
  expect(codeOf(() => readVaultDescriptor(sodium, encode(chunker({ name: 'fastcdc-2' }))))).toBe('E_NEWER_FORMAT');
  for (const wrong of [
    { min: 32 },
    { min: 524_288 },
    { avg: 600_000 },
    { max: 524_288 },
    { max: 2 ** 24 },
    { min: 131_073 },
  ]) {
    expect(codeOf(() => readVaultDescriptor(sodium, encode(chunker(wrong))))).toBe('E_FORMAT');
  }
  const row = { keyId: 1, createdNs: 0n, wrapped: wrapped1 };
  for (const keyTable of [[], [row, row], Array.from({ length: 65 }, (_, keyId) => ({ ...row, keyId: keyId + 1 }))]) {
    expect(codeOf(() => readVaultDescriptor(sodium, encode({ keyTable })))).toBe('E_FORMAT');
  }
  for (const wrong of [{ epoch: 0 }, { epoch: 1 }, { previous: undefined }]) {
    expect(codeOf(() => readVaultDescriptor(sodium, encode(wrong)))).toBe('E_FORMAT');
  }
});

test('optional fields of a newer program are kept when the descriptor is written again', () => {
  const unknownFields = new Map<number, unknown>([[40, 'later']]);
  const keyTable = descriptor.keyTable.map((row) => ({ ...row, unknownFields }));
  const withUnknown: VaultDescriptor = { ...descriptor, keyTable, unknownFields };
  const bytes = encodeVaultDescriptor(sodium, withUnknown, { macKey: keys.macKey, adminSeed: ADMIN_SEED });
  expect(readVaultDescriptor(sodium, bytes)).toEqual(withUnknown);
});

describe('key generations', () => {
  test('have secrets of their own, which do not follow from the vault key', () => {
    const other = deriveVaultKeys(sodium, base, [{ keyId: 1, secret: new Uint8Array(32).fill(0x12) }]);
    expect(other.idKey).toEqual(keys.idKey);
    expect(other.chunkerSecret).toEqual(keys.chunkerSecret);
    const [one, another] = [generationOf(keys, 1)!, generationOf(other, 1)!];
    for (const name of ['sealingKey', 'nonceKey', 'recordKey'] as const) expect(one[name]).not.toEqual(another[name]);
    expect(keys.currentKeyId).toBe(7);
  });

  test('open only with this vault key, for this vault and this key id', () => {
    expect(unwrapGeneration(sodium, base, 7, wrapped7)).toEqual(generations[1]);
    const otherVault = deriveBaseKeys(sodium, 'f'.repeat(32), VAULT_KEY);
    const otherKey = deriveBaseKeys(sodium, VAULT, new Uint8Array(32).fill(1));
    for (const [by, keyId] of [
      [base, 1],
      [otherVault, 7],
      [otherKey, 7],
    ] as const) {
      expect(codeOf(() => unwrapGeneration(sodium, by, keyId, wrapped7))).toBe('E_INTEGRITY');
    }
  });

  test('a row whose secret does not open makes the descriptor unusable, although MAC and signature verify', () => {
    const keyTable = [{ ...descriptor.keyTable[0]!, wrapped: wrapped7 }];
    const bytes = encodeVaultDescriptor(
      sodium,
      { ...descriptor, keyTable },
      { macKey: keys.macKey, adminSeed: ADMIN_SEED },
    );
    expect(codeOf(() => openVaultDescriptor(sodium, bytes, VAULT_KEY))).toBe('E_INTEGRITY');
  });
});

test('a descriptor whose bits changed is damage, never one of a newer program', () => {
  for (let bit = 64; bit < encodedDescriptor.length * 8; bit++) {
    const flipped = new Uint8Array(encodedDescriptor);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(codeOf(() => openVaultDescriptor(sodium, flipped, VAULT_KEY))).toMatch(/^E_(INTEGRITY|FORMAT)$/);
    expect(codeOf(() => verifyVaultDescriptor(sodium, flipped, adminPublicKey))).toMatch(/^E_(INTEGRITY|FORMAT)$/);
  }
});

test('a recovery proof counts for one challenge over one channel', () => {
  const [challenge, pin] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const proof = proveRecovery(sodium, keys, challenge, pin);
  const check = (a: Uint8Array, b: Uint8Array) => verifyRecoveryProof(sodium, descriptor.proofPublicKey, a, b, proof);
  expect([check(challenge, pin), check(pin, pin), check(challenge, challenge)]).toEqual([true, false, false]);
});

test('golden: descriptor, card, identity and admin seed of version 1 are still read, and written to the same bytes', () => {
  const golden = goldenJson<Record<string, string>>(new URL('./golden/structures-1.json', import.meta.url), () => ({
    descriptor: Buffer.from(encodedDescriptor).toString('hex'),
    card: Buffer.from(encodedCard).toString('hex'),
    identity: Buffer.from(encodedIdentity).toString('hex'),
    adminSeed: Buffer.from(encodedAdmin).toString('hex'),
  }));
  const bytes = (name: string) => Buffer.from(golden[name]!, 'hex');
  expect(openVaultDescriptor(sodium, bytes('descriptor'), VAULT_KEY).descriptor).toEqual(descriptor);
  expect(verifyCard(sodium, bytes('card'), adminPublicKey)).toEqual(card);
  expect(decodeIdentity(bytes('identity'))).toEqual(identity);
  expect(openAdminSeed(sodium, keys, bytes('adminSeed'))).toEqual(ADMIN_SEED);
  expect(Buffer.compare(encodedDescriptor, bytes('descriptor'))).toBe(0);
  expect(Buffer.compare(encodedCard, bytes('card'))).toBe(0);
});

test('a card whose bits changed is damage, never one of a newer program', () => {
  for (let bit = 64; bit < encodedCard.length * 8; bit++) {
    const flipped = new Uint8Array(encodedCard);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(codeOf(() => verifyCard(sodium, flipped, adminPublicKey))).toMatch(/^E_(INTEGRITY|FORMAT)$/);
  }
});

test('a card of a newer version or with an unknown critical feature is E_NEWER_FORMAT once its signature verifies', () => {
  const sign = (covered: Uint8Array) =>
    Buffer.concat([covered, signInDomain(sodium, 'edgestore card v1', covered, ADMIN_SEED)]);
  const newer = Buffer.from(encodedCard.subarray(0, -64));
  newer[8] = 2;
  expect(codeOf(() => verifyCard(sodium, sign(newer), adminPublicKey))).toBe('E_NEWER_FORMAT');
});

test('a base lies in an older incarnation, and an incarnation is 1 or more', () => {
  const wrong = (change: Partial<Card>) => codeOf(() => encodeCard(sodium, { ...card, ...change }, ADMIN_SEED));
  const first = { incarnation: 1, seq: 1, link: 'ab'.repeat(32) };
  expect(wrong({ incarnation: 0 })).toBe('E_FORMAT');
  for (const change of [{ incarnation: 2 }, { incarnation: 3 }, { incarnation: 0 }, { seq: 0 }]) {
    expect(wrong({ base: { ...first, ...change } })).toBe('E_FORMAT');
  }
  expect(wrong({ base: first })).toBeUndefined();
  const beyond = encodeCard(sodium, { ...card, base: { ...first, seq: 2 ** 48 } }, ADMIN_SEED);
  expect(codeOf(() => verifyCard(sodium, beyond, adminPublicKey))).toBe('E_FORMAT');
});

test('log key and base of an incarnation are those of its first card; the rest may change', () => {
  const later = { ...card, number: 4, addresses: [], name: 'shop-2', tlsSpkiSha256: new Uint8Array(32).fill(7) };
  expect(codeOf(() => requireSameLog(card, later))).toBeUndefined();
  const other = [
    { signPublicKey: new Uint8Array(32).fill(1) },
    { base: undefined },
    { base: { ...card.base!, seq: 1 } },
    { base: { ...card.base!, link: 'cd'.repeat(32) } },
  ];
  for (const change of other) {
    expect(codeOf(() => requireSameLog(card, { ...later, ...change }))).toBe('E_FORK');
    expect(codeOf(() => requireSameLog({ ...later, ...change }, card))).toBe('E_FORK');
  }
});

test('the longest card of real names and addresses can be written, and nothing much longer', () => {
  const addresses = Array.from({ length: 8 }, () => `https://${'h'.repeat(253)}:65535`);
  const large = encodeCard(sodium, { ...card, name: 'n'.repeat(128), site: 's'.repeat(128), addresses }, ADMIN_SEED);
  expect(large.length).toBeLessThan(CARD_BYTES_MAX);
  const tooMany = Array.from({ length: 16 }, () => `https://${'h'.repeat(504)}`);
  expect(codeOf(() => encodeCard(sodium, { ...card, addresses: tooMany }, ADMIN_SEED))).toBe('E_FORMAT');
});

test('a structure that is too large to be read back is not written', () => {
  const long = encodeCborMap(new Map([[0, 'x'.repeat(10)]]));
  expect(long.length).toBe(13);
  expect(codeOf(() => encodeCard(sodium, { ...card, name: 'x'.repeat(20_000) }, ADMIN_SEED))).toBe('E_FORMAT');
});
