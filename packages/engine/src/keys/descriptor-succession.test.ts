import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { EdgeError } from '../core/errors.ts';
import { compareDescriptors, requireNotOlder, seenEpochOf, type VerifiedDescriptor } from './descriptor-succession.ts';
import type { VaultDescriptor } from './vault-descriptor.ts';

/** The bytes stand for any: who compares has verified them before. */
function of(change: Partial<VaultDescriptor>, text = inspect(change)): VerifiedDescriptor {
  const descriptor: VaultDescriptor = {
    vaultId: '00'.repeat(16),
    formatVersion: 1,
    criticalFeatures: [],
    chunker: { name: 'fastcdc-1', min: 1, avg: 2, max: 3 },
    keyTable: [{ keyId: 1, createdNs: 0n, wrapped: new Uint8Array(72) }],
    adminPublicKey: new Uint8Array(32),
    proofPublicKey: new Uint8Array(32),
    epoch: 1,
    previous: undefined,
    ...change,
  };
  return { descriptor, bytes: Buffer.from(text) };
}
function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof EdgeError) return error.code;
    throw error;
  }
  return undefined;
}

const first = of({});
const follow = (change: Partial<VaultDescriptor> = {}): VerifiedDescriptor =>
  of({ epoch: 2, previous: seenEpochOf(first).digest, ...change });
const table = first.descriptor.keyTable;
const row = { keyId: 2, createdNs: 1n, wrapped: new Uint8Array(72).fill(2) };

test('a higher epoch counts, the same and a lower one do not', () => {
  expect(compareDescriptors(first, follow(), 'peer')).toBe('newer');
  expect(compareDescriptors(first, follow({ keyTable: [...table, row] }), 'peer')).toBe('newer');
  expect(compareDescriptors(first, of({ epoch: 9, previous: new Uint8Array(32) }), 'peer')).toBe('newer');
  expect(compareDescriptors(first, of({}), 'peer')).toBe('same');
  expect(compareDescriptors(follow(), first, 'peer')).toBe('older');
});

test('another descriptor of the same epoch, or after another predecessor, is a fork', () => {
  expect(codeOf(() => compareDescriptors(first, of({}, 'other'), 'peer'))).toBe('E_FORK');
  expect(codeOf(() => compareDescriptors(first, follow({ previous: new Uint8Array(32) }), 'peer'))).toBe('E_FORK');
});

test.each([
  ['vault id', { vaultId: 'ff'.repeat(16) }],
  ['admin key', { adminPublicKey: new Uint8Array(32).fill(1) }],
  ['recovery proof key', { proofPublicKey: new Uint8Array(32).fill(1) }],
  ['chunker', { chunker: { name: 'fastcdc-1', min: 1, avg: 2, max: 4 } }],
  ['key generation', { keyTable: [row] }],
  ['key generation', { keyTable: [{ ...table[0]!, wrapped: new Uint8Array(72).fill(1) }] }],
] as const)(
  'a newer descriptor with another %s is a fork: chunks would no longer open or deduplicate',
  (_what, change) => {
    expect(codeOf(() => compareDescriptors(first, follow(change), 'peer'))).toBe('E_FORK');
  },
);

test('what was seen once is not gone back from', () => {
  const seen = seenEpochOf(follow());
  expect(codeOf(() => requireNotOlder(seen, first, 'vault.edge'))).toBe('E_ROLLBACK');
  expect(codeOf(() => requireNotOlder(seen, follow(), 'vault.edge'))).toBeUndefined();
  expect(codeOf(() => requireNotOlder(seen, follow({ keyTable: [...table, row] }), 'vault.edge'))).toBe('E_FORK');
  expect(codeOf(() => requireNotOlder(seenEpochOf(first), follow(), 'vault.edge'))).toBeUndefined();
});
