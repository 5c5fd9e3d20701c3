/** Slots, marks and descriptors as they come from members and buckets: what is taken, and what is refused. */

import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createDataDir,
  createSlot,
  type DataDir,
  dataDirAt,
  deriveBaseKeys,
  type EdgeError,
  encodeSlotRemoval,
  encodeVaultDescriptor,
  LOCAL_SLOTS_MAX,
  loadSodium,
  openVaultDescriptor,
  publicKeyOf,
  recoveryProofPublicKey,
  SHARED_SLOTS_MAX,
  type SlotScope,
  type SlotSecret,
  type VaultDescriptor,
  type Warning,
  wrapGeneration,
} from '@edgestore/engine';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { acceptHello, encodeHello } from '../http/hello.ts';
import { systemRandom } from '../operations/system.ts';
import { openCardStore } from './card-store.ts';
import { type DescriptorMemory, openDescriptorMemory } from './descriptor-memory.ts';
import { judgeVaultFiles } from './judge-vault-files.ts';
import { openSlotStore, type SlotStore } from './slot-store.ts';
import { createVaultSharing } from './vault-sharing.ts';

const sodium = await loadSodium();
const random = systemRandom;
const VAULT = '0f'.repeat(16);
const VAULT_KEY = new Uint8Array(32).fill(3);
const ADMIN = new Uint8Array(32).fill(7);
const OTHER = new Uint8Array(32).fill(8);
const base = deriveBaseKeys(sodium, VAULT, VAULT_KEY);
const adminPublicKey = publicKeyOf(sodium, ADMIN);

let folder: string;
let dir: DataDir;
let warnings: Warning[];
let slots: SlotStore;
let descriptors: DescriptorMemory;
const warn = (warning: Warning) => void warnings.push(warning);

const openSlots = () => openSlotStore({ dataDir: dir, sodium, vault: VAULT, adminPublicKey, warn });
const slotOf = (type: SlotSecret['type'] = 'keyfile', scope: SlotScope = 'shared', adminSeed = ADMIN) => {
  const secret: SlotSecret = type === 'passphrase' ? { type, passphrase: 'x' } : { type, secret: random(32) };
  return createSlot(sodium, secret, { vaultId: VAULT, label: '', scope, vaultKey: VAULT_KEY, adminSeed }, random);
};
const markOf = (slotId: string, seed = ADMIN, vaultId = VAULT) =>
  encodeSlotRemoval(sodium, { vaultId, slotId, timeS: 1 }, seed);
const ids = (store: SlotStore) => store.all().map(({ slot }) => slot.slotId);
const codes = (errors: readonly EdgeError[]) => errors.map(({ code }) => code);

function descriptorOf(before?: Uint8Array, change: Partial<VaultDescriptor> = {}, seed = ADMIN): Uint8Array {
  const old = before === undefined ? undefined : openVaultDescriptor(sodium, before, VAULT_KEY).descriptor;
  const keyId = (old?.epoch ?? 0) + 1;
  const row = { keyId, createdNs: 0n, wrapped: wrapGeneration(sodium, base, { keyId, secret: random(32) }, random) };
  const descriptor: VaultDescriptor = {
    vaultId: VAULT,
    formatVersion: 1,
    criticalFeatures: [],
    chunker: { name: 'fastcdc-1', min: 131_072, avg: 524_288, max: 2_097_152 },
    keyTable: [...(old?.keyTable ?? []), row],
    adminPublicKey: publicKeyOf(sodium, seed),
    proofPublicKey: recoveryProofPublicKey(sodium, base),
    epoch: keyId,
    previous: before === undefined ? undefined : createHash('sha256').update(before).digest(),
    ...change,
  };
  return encodeVaultDescriptor(sodium, descriptor, { macKey: base.macKey, adminSeed: seed });
}
const first = descriptorOf();
const second = descriptorOf(first);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'edgestore-slots-'));
  dir = dataDirAt(folder);
  warnings = [];
  await createDataDir(dir);
  writeFileSync(dir.vaultFile, first);
  slots = await openSlots();
  const { descriptor, keys } = openVaultDescriptor(sodium, first, VAULT_KEY);
  const engine = { vault: descriptor, vaultBytes: first, dataDir: dir, sodium, keys };
  descriptors = openDescriptorMemory(engine, VAULT_KEY, { warn });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('slots from others', () => {
  test('are taken under the signature of the admin key only; what is refused stops no other and writes nothing', async () => {
    const [good, forged, local] = [
      await slotOf(),
      await slotOf('keyfile', 'shared', OTHER),
      await slotOf('keyfile', 'local'),
    ];
    const list = [forged.bytes, local.bytes, new Uint8Array(10), new Uint8Array(100_000), good.bytes];
    expect(codes(await slots.learn({ slots: list }))).toEqual(['E_INTEGRITY', 'E_INTEGRITY', 'E_FORMAT', 'E_FORMAT']);
    expect(ids(slots)).toEqual([good.slotId]);
    expect(readdirSync(dir.slotsDir)).toEqual([`${good.slotId}.slot`]);
  });

  test('cannot fill the store: strangers by number, the admin beyond the bound', async () => {
    const forged = await Promise.all(Array.from({ length: 300 }, () => slotOf('keyfile', 'shared', OTHER)));
    expect((await slots.learn({ slots: forged.map(({ bytes }) => bytes) })).length).toBe(16);
    expect(readdirSync(dir.slotsDir)).toEqual([]);
    const many = await Promise.all(Array.from({ length: SHARED_SLOTS_MAX + 2 }, () => slotOf()));
    expect(codes(await slots.learn({ slots: many.map(({ bytes }) => bytes) }))).toEqual(['E_LIMIT', 'E_LIMIT']);
    expect(ids(slots).length).toBe(SHARED_SLOTS_MAX);
    for (let at = 0; at < LOCAL_SLOTS_MAX; at++) await slots.add((await slotOf('keyfile', 'local')).bytes);
    await expect(slots.add((await slotOf('keyfile', 'local')).bytes)).rejects.toMatchObject({ code: 'E_LIMIT' });
  });
});

describe('removal marks', () => {
  test('count for ever, also after a restart, and whatever comes back from elsewhere', async () => {
    const [slot, recovery] = [await slotOf(), await slotOf('recovery')];
    await slots.learn({ slots: [slot.bytes, recovery.bytes] });
    expect(await slots.learn({ removals: [markOf(slot.slotId), markOf(recovery.slotId)] })).toEqual([]);
    expect(ids(slots)).toEqual([recovery.slotId]);
    await slots.learn({ slots: [slot.bytes] });
    slots = await openSlots();
    await slots.learn({ slots: [slot.bytes] });
    expect(ids(slots)).toEqual([recovery.slotId]);
    expect(existsSync(dir.slotFile(slot.slotId))).toBe(false);
    expect(slots.published().map(({ slot: one }) => one.slotId)).toEqual([recovery.slotId]);
  });

  test('of anyone else, or of another vault, remove nothing', async () => {
    const slot = await slotOf();
    await slots.learn({ slots: [slot.bytes] });
    const marks = [markOf(slot.slotId, OTHER), markOf(slot.slotId, ADMIN, 'ff'.repeat(16)), new Uint8Array(0)];
    expect(codes(await slots.learn({ removals: marks }))).toEqual(['E_INTEGRITY', 'E_DENIED', 'E_FORMAT']);
    // An empty file of that name was a mark once.
    writeFileSync(dir.slotRemovalFile(slot.slotId), '');
    slots = await openSlots();
    expect(ids(slots)).toEqual([slot.slotId]);
    expect(warnings.map(({ code }) => code)).toEqual(['W_DAMAGED_SLOT']);
  });

  test('a removal that was cut off after its mark is finished by the next start', async () => {
    const slot = await slotOf();
    await slots.learn({ slots: [slot.bytes] });
    writeFileSync(dir.slotRemovalFile(slot.slotId), markOf(slot.slotId));
    slots = await openSlots();
    expect(ids(slots)).toEqual([]);
    expect(existsSync(dir.slotFile(slot.slotId))).toBe(false);
  });

  test('need the admin key for a shared slot, none for a local one, and never touch the recovery slot', async () => {
    const [shared, local, recovery] = [await slotOf(), await slotOf('keyfile', 'local'), await slotOf('recovery')];
    for (const { bytes } of [shared, local, recovery]) await slots.add(bytes);
    const without = { adminSeed: undefined, nowNs: 5_000_000_000n };
    await expect(slots.remove(shared.slotId, without)).rejects.toMatchObject({ code: 'E_DENIED' });
    await expect(slots.remove(recovery.slotId, { ...without, adminSeed: ADMIN })).rejects.toMatchObject({
      code: 'E_USAGE',
    });
    await slots.remove(local.slotId, without);
    await slots.remove(shared.slotId, { ...without, adminSeed: ADMIN });
    expect(ids(slots)).toEqual([recovery.slotId]);
    expect(slots.removals().map(({ removal }) => removal)).toEqual([
      { vaultId: VAULT, slotId: shared.slotId, timeS: 5 },
    ]);
  });
});

describe('the descriptor', () => {
  test('of a higher epoch is taken from anyone who shows it, is durable, and is shown on', async () => {
    expect(await descriptors.learn(second, 'dc-a')).toBe('newer');
    expect(await descriptors.learn(first, 'dc-b')).toBe('older');
    expect(descriptors.current().descriptor.epoch).toBe(2);
    expect(Buffer.compare(readFileSync(dir.vaultFile), second)).toBe(0);
    expect(warnings.map(({ code }) => code)).toEqual(['W_NEW_KEY_GENERATION']);
  });

  test('is refused when another key signed it, also with the right MAC, or when it contradicts the one here', async () => {
    const damaged = Buffer.from(second);
    damaged[30]! ^= 1;
    const refused = [
      [damaged, 'E_INTEGRITY'],
      [descriptorOf(first, {}, OTHER), 'E_INTEGRITY'],
      [descriptorOf(), 'E_FORK'],
      [descriptorOf(first, { previous: new Uint8Array(32) }), 'E_FORK'],
    ] as const;
    for (const [bytes, code] of refused) await expect(descriptors.learn(bytes, 'dc-a')).rejects.toMatchObject({ code });
    expect(Buffer.compare(readFileSync(dir.vaultFile), first)).toBe(0);
  });
});

test('a hello carries all of it, and what it shows is taken by both sides', async () => {
  const [slot, removed] = [await slotOf(), await slotOf()];
  await slots.learn({ slots: [slot.bytes, removed.bytes], removals: [] });
  await slots.remove(removed.slotId, { adminSeed: ADMIN, nowNs: 0n });
  const ours = createVaultSharing(descriptors, slots);
  const before = ours.digest();
  const hello = { vault: VAULT, agent: 'aa'.repeat(16), program: 'test', wallMs: 0, cards: [], ...ours.shown() };
  const heard = acceptHello(JSON.parse(encodeHello(hello).toString()), VAULT, 'peer');
  expect(heard.slots).toEqual([new Uint8Array(slot.bytes)]);
  expect(heard.removals?.length).toBe(1);
  expect(Buffer.compare(heard.descriptor!, first)).toBe(0);
  const more = await slotOf();
  const problems = await ours.heard(
    { descriptor: second, slots: [removed.bytes, more.bytes], removals: [new Uint8Array(3)] },
    'x',
  );
  expect(codes(problems)).toEqual(['E_FORMAT']);
  expect(ids(slots).sort()).toEqual([slot.slotId, more.slotId].sort());
  expect(ours.digest()).not.toBe(before);
});

test('what lies in a bucket is learned when it is newer, replaced when it is older or forged, and left when it contradicts', async () => {
  const cards = await openCardStore({ dataDir: dir, sodium, vault: VAULT, adminPublicKey, warn });
  const mayReplace = judgeVaultFiles({ descriptors, slots, cards, warn });
  expect(await mayReplace('descriptor', second, 's3://b')).toBe(false);
  expect(descriptors.current().descriptor.epoch).toBe(2);
  expect(await mayReplace('descriptor', first, 's3://b')).toBe(true);
  expect(await mayReplace('descriptor', descriptorOf(first), 's3://b')).toBe(false);
  expect(await mayReplace('descriptor', new Uint8Array(5), 's3://b')).toBe(true);
  const [slot, forged] = [await slotOf(), await slotOf('keyfile', 'shared', OTHER)];
  expect(await mayReplace('slot', slot.bytes, 's3://b')).toBe(false);
  expect(await mayReplace('slot', forged.bytes, 's3://b')).toBe(true);
  expect(await mayReplace('removal', markOf(slot.slotId, OTHER), 's3://b')).toBe(true);
  expect(await mayReplace('removal', markOf(slot.slotId), 's3://b')).toBe(false);
  expect(ids(slots)).toEqual([]);
});
