import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { isEdgeError } from '../core/errors.ts';
import { toHex } from '../core/ids.ts';
import { fixtureVaultKeys } from '../testing/vault-keys-fixture.ts';
import { deriveBaseKeys, deriveVaultKeys, generationOf } from './vault-keys.ts';

const sodium = await loadSodium();
const VAULT = '000102030405060708090a0b0c0d0e0f';
const VAULT_KEY = Uint8Array.from({ length: 32 }, (_, index) => index);

test('the derived keys are the ones that every vault so far was sealed with', () => {
  const keys = fixtureVaultKeys(sodium, VAULT, VAULT_KEY, [1, 2]);
  expect(keys.currentKeyId).toBe(2);
  const { generations, currentKeyId: _current, vaultId: _vault, ...base } = keys;
  const hexOf = (fields: object) =>
    Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, typeof value === 'number' ? value : toHex(value)]),
    );
  expect({ ...hexOf(base), generations: generations.map(hexOf) }).toEqual({
    adminWrapKey: '8b54506c77c4ba42e99a001d4410801955b33ee3b63159ceb7f6870627af77b0',
    chunkerSecret: 'aaddae770361afce6bc7eb6ad253ed72441ffa12a86e90e37d2a1587a335d3ef',
    generationWrapKey: '661eb7f20ccce44350cab0de318e13746ba9ed85b60b14d2fbcb90321d55b73c',
    idKey: 'cc70b7bd4790494b818821ca0ad8be7d03488b1d9084a8d79eef3381bc9f5f83',
    macKey: '46ad37f5a82e1f1395d40dc328a1c53162d403cd318935ffbfce6fea24f218d3',
    proofSeed: '6b9d9e8f90bf39043b92665895f937e87d2cb17787a785230e8c5e0fe589a16c',
    generations: [
      {
        keyId: 1,
        sealingKey: '2d26de09500c4cb3960869d7a9ec13f3744ab744bd4686a435cf241f224a4e11',
        nonceKey: '2590b45f301e9f9a9ddcf03742dbd7cebfca57f545b3579f04046db05b324b4a',
        recordKey: '2543c5dccde43c5f169b82611c2dd996393cabfe54f8353706a8dde3c661097e',
      },
      {
        keyId: 2,
        sealingKey: '8750a30c9375f47f43658e7c0c56bee57f1d6a7648308a2c3fa3dde8d608e5bf',
        nonceKey: '01d2264e42d59b9f135cf4fa116f3acd625939af3c0249cf06002655d6d9dfec',
        recordKey: 'e36deba4f5f2b28d2506f28177f9ea66803aaee86dd31b652a9a81d849804adc',
      },
    ],
  });
});

test('no two derived keys are equal', () => {
  const keys = fixtureVaultKeys(sodium, VAULT, VAULT_KEY, [1, 2]);
  const all = [
    keys.idKey,
    keys.chunkerSecret,
    keys.macKey,
    keys.adminWrapKey,
    keys.generationWrapKey,
    keys.proofSeed,
    ...keys.generations.flatMap((each) => [each.sealingKey, each.nonceKey, each.recordKey]),
  ].map(toHex);
  expect(new Set(all).size).toBe(all.length);
});

test("crypto_kdf is keyed BLAKE2b with the subkey id as salt and the context as personal, as Python's hashlib computes it", () => {
  const script = [
    'import hashlib, struct',
    'key = bytes(range(32))',
    'salt = struct.pack("<Q", 1).ljust(16, b"\\0")',
    'person = b"edgeseal".ljust(16, b"\\0")',
    'print(hashlib.blake2b(b"", digest_size=32, key=key, salt=salt, person=person).hexdigest())',
  ].join('\n');
  const python = execFileSync('python3', ['-c', script], { encoding: 'utf8' }).trim();
  expect(toHex(generationOf(fixtureVaultKeys(sodium, VAULT, VAULT_KEY), 1)!.sealingKey)).toBe(python);
});

test('a vault key of another length, a short secret or an endless key table is refused', () => {
  const codeOf = (run: () => unknown) => {
    try {
      run();
      return undefined;
    } catch (error) {
      return isEdgeError(error) ? error.code : error;
    }
  };
  const base = deriveBaseKeys(sodium, VAULT, VAULT_KEY);
  const secret = new Uint8Array(32);
  expect(codeOf(() => deriveBaseKeys(sodium, VAULT, new Uint8Array(31)))).toBe('E_WRONG_KEY');
  const tooMany = Array.from({ length: 65 }, (_, index) => ({ keyId: index + 1, secret }));
  for (const generations of [tooMany, [], [{ keyId: 1, secret: new Uint8Array(31) }]]) {
    expect(codeOf(() => deriveVaultKeys(sodium, base, generations))).toBe('E_FORMAT');
  }
});

test('keys can be posted to a worker', () => {
  const keys = fixtureVaultKeys(sodium, VAULT, VAULT_KEY);
  expect(structuredClone(keys)).toEqual(keys);
});
