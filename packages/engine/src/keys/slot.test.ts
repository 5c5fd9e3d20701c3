import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { EdgeError } from '../core/errors.ts';
import { goldenJson } from '../testing/golden-json.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { derivePassphraseMasterInWorker } from './argon2-in-worker.ts';
import { publicKeyOf } from './ed25519.ts';
import { decodeKeyFile, encodeKeyFile } from './key-file.ts';
import { derivePassphraseMaster } from './passphrase-master.ts';
import {
  decodeSlot,
  encodeSlot,
  masterOfStrongSecret,
  openSlot,
  SLOT_BYTES,
  type SlotHeader,
  verifySlot,
} from './slot.ts';
import { encodeSlotRemoval, verifySlotRemoval } from './slot-removal.ts';
import { createSlot, type NewSlot, type SlotSecret, unlockSlot, unlockWithSlots } from './unlock.ts';

const sodium = await loadSodium();
const VAULT = '000102030405060708090a0b0c0d0e0f';
const VAULT_KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const random = createSeededRandom('slots');
/** The cheapest cost that is accepted; in this thread, as the worker has a test of its own. */
const cheap = { opsLimit: 1, memLimitKib: 8192 };
const inThread = async (passphrase: string, cost: Parameters<typeof derivePassphraseMaster>[2]) =>
  derivePassphraseMaster(sodium, passphrase, cost);
const ADMIN_SEED = new Uint8Array(32).fill(8);
const adminPublicKey = publicKeyOf(sodium, ADMIN_SEED);
const make = async (secret: SlotSecret, label = 'mine', change: Partial<NewSlot> = {}) => {
  const slot: NewSlot = {
    vaultId: VAULT,
    label,
    scope: 'shared',
    vaultKey: VAULT_KEY,
    adminSeed: ADMIN_SEED,
    ...cheap,
  };
  return (await createSlot(sodium, secret, { ...slot, ...change }, random, inThread)).bytes;
};

const keyFileSecret: SlotSecret = { type: 'keyfile', secret: new Uint8Array(32).fill(3) };
const recoverySecret: SlotSecret = { type: 'recovery', secret: new Uint8Array(32).fill(4) };
const passphraseSecret: SlotSecret = { type: 'passphrase', passphrase: 'correct horse' };

async function codeOf(run: () => unknown): Promise<string | undefined> {
  try {
    await run();
  } catch (error) {
    if (error instanceof EdgeError) return error.code;
    throw error;
  }
  return undefined;
}

test.each([passphraseSecret, keyFileSecret, recoverySecret])(
  'a $type opens its slot, no other secret does',
  async (secret) => {
    const bytes = await make(secret, 'späte Schicht');
    expect(bytes.length).toBe(SLOT_BYTES);
    const slot = decodeSlot(bytes);
    expect(slot).toMatchObject({
      type: secret.type,
      scope: 'shared',
      number: 1,
      vaultId: VAULT,
      label: 'späte Schicht',
    });
    expect(await unlockSlot(sodium, slot, secret, inThread)).toEqual(VAULT_KEY);
    const wrong: SlotSecret =
      secret.type === 'passphrase'
        ? { type: 'passphrase', passphrase: 'correct Horse' }
        : { type: secret.type, secret: new Uint8Array(32).fill(9) };
    expect(await codeOf(() => unlockSlot(sodium, slot, wrong, inThread))).toBe('E_WRONG_KEY');
  },
);

test('a passphrase is the same however its accents are composed', async () => {
  const bytes = await make({ type: 'passphrase', passphrase: 'caf\u00e9' });
  const decomposed: SlotSecret = { type: 'passphrase', passphrase: 'cafe\u0301' };
  expect(await unlockSlot(sodium, decodeSlot(bytes), decomposed, inThread)).toEqual(VAULT_KEY);
});

test('an empty passphrase, a very long one and a label that does not fit are refused', async () => {
  expect(await codeOf(() => make({ type: 'passphrase', passphrase: '' }))).toBe('E_USAGE');
  expect(await codeOf(() => make({ type: 'passphrase', passphrase: 'x'.repeat(100_000) }))).toBe('E_USAGE');
  expect(await codeOf(() => make(keyFileSecret, 'x'.repeat(33)))).toBe('E_USAGE');
});

test('damage is E_INTEGRITY and never taken for a wrong secret: every flipped bit', async () => {
  const bytes = await make(keyFileSecret);
  const found = new Map<string | undefined, number>();
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = new Uint8Array(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const code = await codeOf(() => unlockWithSlots(sodium, [flipped], keyFileSecret, inThread));
    found.set(code, (found.get(code) ?? 0) + 1);
  }
  // Without its magic it is no slot at all.
  expect(Object.fromEntries(found)).toEqual({ E_FORMAT: 64, E_INTEGRITY: (SLOT_BYTES - 8) * 8 });
});

test('an altered key under a mended checksum is found by its tag, an absurd cost before it is allocated', async () => {
  const bytes = await make(passphraseSecret);
  const mended = (change: (slot: Buffer) => void) => {
    const slot = Buffer.from(bytes);
    change(slot);
    sodium.crypto_hash_sha256(slot.subarray(0, SLOT_BYTES - 32)).forEach((byte, at) => {
      slot[SLOT_BYTES - 32 + at] = byte;
    });
    return slot;
  };
  const open = (slot: Uint8Array) => codeOf(() => unlockWithSlots(sodium, [slot], passphraseSecret, inThread));
  expect(await open(mended((slot) => slot.writeUInt8(slot[170]! ^ 1, 170)))).toBe('E_INTEGRITY');
  const decode = (slot: Uint8Array) => codeOf(() => decodeSlot(slot));
  expect(await decode(mended((slot) => slot.writeUInt32LE(16 * 2 ** 20, 88)))).toBe('E_FORMAT');
  expect(await decode(mended((slot) => slot.writeUInt32LE(8, 88)))).toBe('E_FORMAT');
  expect(await decode(mended((slot) => slot.writeUInt32LE(11, 84)))).toBe('E_FORMAT');
  expect(await decode(mended((slot) => slot.writeUInt8(2, 10)))).toBe('E_FORMAT');
  expect(await open(mended((slot) => slot.writeUInt16LE(2, 8)))).toBe('E_NEWER_FORMAT');
  expect(await open(mended((slot) => slot.writeUInt8(4, 10)))).toBe('E_NEWER_FORMAT');
  expect(await open(mended((slot) => slot.writeUInt8(3, 11)))).toBe('E_NEWER_FORMAT');
  expect(await open(mended((slot) => slot.writeUInt8(65, 83)))).toBe('E_FORMAT');
  expect(await open(mended((slot) => slot.writeBigUInt64LE(0n, 44)))).toBe('E_FORMAT');
  // Both factors are within their bounds, the product is not.
  expect(await decode(mended((slot) => slot.writeUInt32LE(10, 84) && slot.writeUInt32LE(2 ** 20, 88)))).toBe(
    'E_FORMAT',
  );
});

test('arbitrary bytes are no slot', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, withMagic) => {
      const slot = withMagic ? Buffer.concat([Buffer.from('EDGESLOT'), bytes]) : bytes;
      expect(['E_FORMAT', 'E_INTEGRITY', 'E_NEWER_FORMAT']).toContain(await codeOf(() => decodeSlot(slot)));
    }),
  );
});

test('of several slots the right one opens; a damaged one is named only when none does', async () => {
  const damaged = Buffer.from(await make(keyFileSecret));
  damaged[100]! ^= 1;
  const slots = [await make(passphraseSecret), damaged, await make(keyFileSecret)];
  expect((await unlockWithSlots(sodium, slots, keyFileSecret, inThread)).vaultKey).toEqual(VAULT_KEY);
  expect(await codeOf(() => unlockWithSlots(sodium, [damaged], keyFileSecret, inThread))).toBe('E_INTEGRITY');
  expect(await codeOf(() => unlockWithSlots(sodium, [slots[0]!], keyFileSecret, inThread))).toBe('E_WRONG_KEY');
  expect(await codeOf(() => unlockWithSlots(sodium, [], keyFileSecret, inThread))).toBe('E_WRONG_KEY');
});

test('the worker derives what the function derives', async () => {
  const cost = { ...cheap, salt: new Uint8Array(16).fill(7) };
  expect(await derivePassphraseMasterInWorker('secret', cost)).toEqual(derivePassphraseMaster(sodium, 'secret', cost));
  expect(await codeOf(() => derivePassphraseMasterInWorker('secret', { ...cost, memLimitKib: 2 ** 30 }))).toBe(
    'E_FORMAT',
  );
});

test('a key file comes back, whatever surrounds its line', () => {
  const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 7);
  const text = encodeKeyFile(secret);
  expect(text).toMatch(/^edgestore-key-1:[\w-]{43}:[0-9a-f]{8}\n$/);
  for (const form of [text, text.trimEnd(), `${text.trimEnd()}\r\n`]) expect(decodeKeyFile(form)).toEqual(secret);
});

test('a flipped character of a key file is E_INTEGRITY or E_FORMAT, a cut one E_FORMAT, a newer one E_NEWER_FORMAT', async () => {
  const text = encodeKeyFile(new Uint8Array(32).fill(200)).trimEnd();
  for (let at = 0; at < text.length; at++) {
    for (const character of ['A', '0', '-', '~']) {
      if (text[at] === character) continue;
      const changed = text.slice(0, at) + character + text.slice(at + 1);
      const code = await codeOf(() => decodeKeyFile(changed));
      expect(['E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT']).toContain(code);
      if (at > 16 && at < 59 && /[\w-]/.test(character)) expect(code).toBe('E_INTEGRITY');
    }
    expect(await codeOf(() => decodeKeyFile(text.slice(0, at)))).toBe('E_FORMAT');
  }
  expect(await codeOf(() => decodeKeyFile(text.replace('-1:', '-2:')))).toBe('E_NEWER_FORMAT');
  expect(await codeOf(() => decodeKeyFile('x'.repeat(10_000)))).toBe('E_FORMAT');
});

test('a shared slot counts only under the signature of the admin key of this vault, whatever its checksum says', async () => {
  const bytes = await make(keyFileSecret);
  const verify = (slot: Uint8Array, vault = VAULT, key = adminPublicKey) =>
    codeOf(() => verifySlot(sodium, slot, key, vault));
  expect(await verify(bytes)).toBeUndefined();
  expect(await verify(bytes, VAULT, publicKeyOf(sodium, new Uint8Array(32)))).toBe('E_INTEGRITY');
  expect(await verify(bytes, 'f'.repeat(32))).toBe('E_DENIED');
  for (let at = 0; at < SLOT_BYTES - 32; at++) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1;
    sodium.crypto_hash_sha256(changed.subarray(0, SLOT_BYTES - 32)).forEach((byte, index) => {
      changed[SLOT_BYTES - 32 + index] = byte;
    });
    expect(await verify(changed), `byte ${at}`).toBe('E_INTEGRITY');
  }
  expect(await verify(bytes.subarray(1))).toBe('E_FORMAT');
});

test('a local slot is no slot for others, and a shared one is not made without the admin key', async () => {
  const local = await make(keyFileSecret, 'stored', { scope: 'local', adminSeed: undefined });
  expect(await codeOf(() => verifySlot(sodium, local, adminPublicKey, VAULT))).toBe('E_INTEGRITY');
  expect((await unlockWithSlots(sodium, [local], keyFileSecret, inThread)).vaultKey).toEqual(VAULT_KEY);
  expect(await codeOf(() => make(keyFileSecret, 'x', { adminSeed: undefined }))).toBe('E_DENIED');
});

test('an unlocking tries the cheapest slots first, and no more work than one may spend', async () => {
  const wrong: SlotSecret = { type: 'passphrase', passphrase: 'wrong' };
  const costs: number[] = [];
  const counting: typeof inThread = async (passphrase, cost) => {
    costs.push(cost.opsLimit * cost.memLimitKib);
    return derivePassphraseMaster(sodium, passphrase, { ...cost, opsLimit: 1, memLimitKib: 8192 });
  };
  const slotOf = async (opsLimit: number, memLimitKib: number) => {
    const slot: NewSlot = { vaultId: VAULT, label: '', scope: 'local', vaultKey: VAULT_KEY, opsLimit, memLimitKib };
    return (await createSlot(sodium, passphraseSecret, slot, random, counting)).bytes;
  };
  const planted = await Promise.all(Array.from({ length: 30 }, () => slotOf(4, 2 ** 20)));
  const slots = [...planted, await make(passphraseSecret)];
  costs.length = 0;
  const error = await unlockWithSlots(sodium, slots, wrong, counting).catch((thrown: EdgeError) => thrown);
  expect(error).toMatchObject({
    code: 'E_WRONG_KEY',
    message: expect.stringContaining('27 of 31 key slots ask for too much work'),
  });
  expect(costs[0]).toBe(8192);
  expect(costs.length).toBe(4);
  expect((await unlockWithSlots(sodium, slots, passphraseSecret, counting)).vaultKey).toEqual(VAULT_KEY);
});

describe('removal marks', () => {
  const removal = { vaultId: VAULT, slotId: '11'.repeat(16), timeS: 1_790_000_000 };
  const bytes = encodeSlotRemoval(sodium, removal, ADMIN_SEED);
  const verify = (mark: Uint8Array, vault = VAULT) => verifySlotRemoval(sodium, mark, adminPublicKey, vault);

  test('come back as they were, under the admin key and vault only', async () => {
    expect(verify(bytes)).toEqual(removal);
    expect(await codeOf(() => verify(bytes, 'f'.repeat(32)))).toBe('E_DENIED');
    expect(await codeOf(() => verify(encodeSlotRemoval(sodium, removal, new Uint8Array(32))))).toBe('E_INTEGRITY');
  });

  test('any flipped bit and any other length is found', async () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(await codeOf(() => verify(flipped))).toBe('E_INTEGRITY');
    }
    for (const other of [bytes.subarray(1), Buffer.concat([bytes, Buffer.alloc(1)]), new Uint8Array(0)]) {
      expect(await codeOf(() => verify(other))).toBe('E_FORMAT');
    }
  });
});

interface GoldenSlot {
  readonly type: SlotSecret['type'];
  readonly secret: string;
  readonly slot: string;
}

test('golden: slots of version 1 still open, and are written to the same bytes', () => {
  const header = (type: SlotSecret['type']): SlotHeader => ({
    type,
    scope: 'shared',
    slotId: '11'.repeat(16),
    vaultId: VAULT,
    number: 1,
    label: `golden ${type}`,
    opsLimit: type === 'passphrase' ? 2 : 0,
    memLimitKib: type === 'passphrase' ? 8192 : 0,
    salt: new Uint8Array(16).fill(0x22),
  });
  const masterOf = (type: SlotSecret['type'], secret: string) =>
    type === 'passphrase'
      ? derivePassphraseMaster(sodium, secret, header(type))
      : masterOfStrongSecret(sodium, header(type), Buffer.from(secret, 'hex'));
  const encode = (type: SlotSecret['type'], secret: string) =>
    Buffer.from(
      encodeSlot(
        sodium,
        header(type),
        masterOf(type, secret),
        { vaultKey: VAULT_KEY, adminSeed: ADMIN_SEED },
        createSeededRandom(type),
      ),
    ).toString('hex');
  const golden = goldenJson<GoldenSlot[]>(new URL('./golden/slots-1.json', import.meta.url), () =>
    (
      [
        ['passphrase', 'correct horse'],
        ['keyfile', '33'.repeat(32)],
        ['recovery', '44'.repeat(32)],
      ] as const
    ).map(([type, secret]) => ({ type, secret, slot: encode(type, secret) })),
  );
  expect(golden.map((each) => each.type)).toEqual(['passphrase', 'keyfile', 'recovery']);
  for (const { type, secret, slot } of golden) {
    expect(openSlot(sodium, decodeSlot(Buffer.from(slot, 'hex')), masterOf(type, secret))).toEqual(VAULT_KEY);
    expect(encode(type, secret)).toBe(slot);
  }
});
