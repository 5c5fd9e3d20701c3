import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { isEdgeError } from '../core/errors.ts';
import { armFailpoints } from '../core/failpoint.ts';
import type { VerifiedDescriptor } from '../keys/descriptor-succession.ts';
import { deriveBaseKeys } from '../keys/vault-keys.ts';
import { fixtureDescriptor } from '../testing/descriptor-fixture.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { createDataDir, type DataDir, dataDirAt } from './data-dir.ts';
import { adoptDescriptor, openDescriptorFile } from './descriptor-file.ts';

const sodium = await loadSodium();
const vault = { vaultId: '12'.repeat(16), vaultKey: new Uint8Array(32).fill(1), adminSeed: new Uint8Array(32).fill(2) };
const keys = deriveBaseKeys(sodium, vault.vaultId, vault.vaultKey);
const first = fixtureDescriptor(sodium, vault);
const second = fixtureDescriptor(sodium, vault, first);
const third = fixtureDescriptor(sodium, vault, second);
let folder: ReturnType<typeof temporaryFolder>;
let dir: DataDir;
let warnings: string[];

beforeEach(async () => {
  folder = temporaryFolder();
  dir = dataDirAt(folder.path);
  warnings = [];
  await createDataDir(dir);
  writeFileSync(dir.vaultFile, first.bytes);
});
afterEach(() => folder.remove());

const open = () => openDescriptorFile(dir, vault.vaultKey, { sodium, warn: ({ code }) => void warnings.push(code) });
const adopt = (next: VerifiedDescriptor) => adoptDescriptor(dir, keys, next, sodium);
const codeOf = async (run: () => Promise<unknown>) => {
  try {
    await run();
    return undefined;
  } catch (error) {
    return isEdgeError(error) ? error.code : error;
  }
};

test('several generations are read, and the newest is the one to write with', async () => {
  await adopt(second);
  await adopt(third);
  const { keys: opened, descriptor } = await open();
  expect(descriptor.epoch).toBe(3);
  expect(opened.currentKeyId).toBe(3);
  expect(opened.generations.map(({ keyId }) => keyId)).toEqual([1, 2, 3]);
  expect(new Set(opened.generations.map(({ sealingKey }) => Buffer.from(sealingKey).toString('hex'))).size).toBe(3);
});

test('an older vault.edge that was put back is E_ROLLBACK, at each start', async () => {
  await open();
  await adopt(second);
  writeFileSync(dir.vaultFile, first.bytes);
  expect(await codeOf(open)).toBe('E_ROLLBACK');
  expect(await codeOf(open)).toBe('E_ROLLBACK');
  writeFileSync(dir.vaultFile, second.bytes);
  expect(await codeOf(open)).toBeUndefined();
});

test('another descriptor of the epoch that was seen is E_FORK', async () => {
  await adopt(second);
  writeFileSync(
    dir.vaultFile,
    fixtureDescriptor(sodium, vault, first, { criticalFeatures: [], keyTable: first.descriptor.keyTable }).bytes,
  );
  expect(await codeOf(open)).toBe('E_FORK');
});

test('a newer vault.edge from elsewhere is remembered when it is opened', async () => {
  await open();
  writeFileSync(dir.vaultFile, third.bytes);
  await open();
  writeFileSync(dir.vaultFile, second.bytes);
  expect(await codeOf(open)).toBe('E_ROLLBACK');
});

test('a kill at any step of adopting leaves the old one or the new one, never a data dir that refuses to open', async () => {
  await open();
  for (const point of ['durable.written', 'durable.synced', 'durable.renamed']) {
    for (const nth of [1, 2]) {
      let passed = 0;
      const disarm = armFailpoints((name) => {
        if (name === point && ++passed === nth) throw new Error('killed');
      });
      await codeOf(() => adopt(second));
      disarm();
      expect([1, 2]).toContain((await open()).descriptor.epoch);
    }
  }
});

test('a damaged memory is told and made again; it does not end the vault', async () => {
  await adopt(second);
  const bytes = readFileSync(dir.seenEpochFile);
  bytes[30]! ^= 1;
  for (const damaged of [bytes, new Uint8Array(3), new Uint8Array(10_000)]) {
    writeFileSync(dir.seenEpochFile, damaged);
    warnings = [];
    expect(await codeOf(open)).toBeUndefined();
    expect(warnings).toEqual(['W_EPOCH_MEMORY_DAMAGED']);
  }
  writeFileSync(dir.vaultFile, first.bytes);
  expect(await codeOf(open)).toBe('E_ROLLBACK');
});

test('a missing, damaged or endless descriptor is named with its path, and no memory is made of it', async () => {
  for (const bytes of [first.bytes.subarray(1), Buffer.concat([first.bytes, Buffer.alloc(200_000)])]) {
    writeFileSync(dir.vaultFile, bytes);
    expect(await codeOf(open)).toMatch(/^E_(FORMAT|INTEGRITY)$/);
  }
  rmSync(dir.vaultFile);
  expect(await codeOf(open)).toBe('E_INTEGRITY');
  expect(existsSync(dir.seenEpochFile)).toBe(false);
});
