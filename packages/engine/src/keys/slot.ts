/** Key slots: the vault key wrapped under one secret each, so that any one of them opens the vault. See docs/formats/keys.md. */
import { createHash } from 'node:crypto';
import type { Sodium } from '../codec/sodium.ts';
import { decrypt, encrypt } from '../codec/xchacha20poly1305.ts';
import { ByteReader, ByteWriter, bytesEqual } from '../core/bytes.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { fromHex, toHex, type VaultId } from '../core/ids.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from './ed25519.ts';
import { checkArgonCost } from './passphrase-master.ts';

/** Which kind of secret opens a slot. */
export const SLOT_TYPES = ['passphrase', 'keyfile', 'recovery'] as const;
export type SlotType = (typeof SLOT_TYPES)[number];

/**
 * `shared` slots are signed by the admin key and kept by every member and bucket. A `local` slot never leaves the data dir that it was made in: its
 * secret lies there too (the stored key file), or the agent has no admin key to sign with.
 */
export const SLOT_SCOPES = ['shared', 'local'] as const;
export type SlotScope = (typeof SLOT_SCOPES)[number];

/** What a slot says in the clear. */
export interface SlotHeader {
  readonly type: SlotType;
  readonly scope: SlotScope;
  /** 32 hex digits; also its file name. */
  readonly slotId: string;
  readonly vaultId: VaultId;
  /** From 1 on, raised with each new version of the slot. A version with a lower number never replaces one with a higher. */
  readonly number: number;
  /** Up to 32 bytes of UTF-8 without NUL, for the user. */
  readonly label: string;
  /** Argon2id passes; 0 for slots that need no stretching. */
  readonly opsLimit: number;
  /** Argon2id memory in KiB; 0 for slots that need no stretching. */
  readonly memLimitKib: number;
  /** 16 bytes. */
  readonly salt: Uint8Array;
}

export interface Slot extends SlotHeader {
  /** Tells a wrong secret from a damaged slot, before anything is decrypted; 32 bytes. */
  readonly commitment: Uint8Array;
  readonly nonce: Uint8Array;
  /** The vault key, sealed: 48 bytes. */
  readonly wrapped: Uint8Array;
  /** Everything before the nonce. */
  readonly associatedData: Uint8Array;
}

export const SLOT_BYTES = 308;

const WHAT = 'key slot';
const MAGIC = Buffer.from('EDGESLOT', 'latin1');
const VERSION = 1;
const DOMAIN = 'edgestore slot v1';
const LABEL_BYTES = 32;
const SUM_BYTES = 32;
/** Before the signature: header 140, nonce 24, sealed vault key 48. */
const SIGNED_BYTES = SLOT_BYTES - SIGNATURE_BYTES - SUM_BYTES;
const KEY_ENCRYPTION_SUBKEY = 1;
const COMMITMENT_SUBKEY = 2;

/**
 * Wraps a vault key under a master secret (`passphraseMaster…` or `masterOfStrongSecret` of the same header).
 *
 * @param adminSeed signs a shared slot; E_DENIED without it
 */
export function encodeSlot(
  sodium: Sodium,
  header: SlotHeader,
  master: Uint8Array,
  secrets: { readonly vaultKey: Uint8Array; readonly adminSeed?: Uint8Array | undefined },
  random: RandomBytes,
): Uint8Array {
  const { keyEncryptionKey, commitment } = deriveSlotKeys(sodium, master);
  const label = Buffer.from(header.label, 'utf8');
  if (label.length > LABEL_BYTES || label.includes(0)) {
    throw new EdgeError('E_USAGE', `a key label has at most ${LABEL_BYTES} bytes and no NUL`);
  }
  checkCost(header);
  const clear = new ByteWriter()
    .bytes(MAGIC)
    .u16(VERSION)
    .u8(SLOT_TYPES.indexOf(header.type) + 1)
    .u8(SLOT_SCOPES.indexOf(header.scope) + 1)
    .bytes(fromHex(header.slotId, 16))
    .bytes(fromHex(header.vaultId, 16))
    .u64(header.number)
    .bytes(Buffer.concat([label], LABEL_BYTES))
    .u32(header.opsLimit)
    .u32(header.memLimitKib)
    .bytes(header.salt)
    .bytes(commitment)
    .finish();
  const nonce = random(24);
  const signed = Buffer.concat([clear, nonce, encrypt(sodium, secrets.vaultKey, clear, nonce, keyEncryptionKey)]);
  const body = Buffer.concat([signed, signatureOf(sodium, header, signed, secrets.adminSeed)]);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

/**
 * Reads a slot without believing it: for who does not know the admin key yet. E_INTEGRITY when its checksum fails (damaged), E_FORMAT when it is no
 * slot or asks for an absurd cost, E_NEWER_FORMAT.
 */
export function decodeSlot(bytes: Uint8Array): Slot {
  const reader = new ByteReader(bytes, WHAT);
  reader.magic(MAGIC);
  if (bytes.length !== SLOT_BYTES) throw formatError(WHAT, `${bytes.length} bytes instead of ${SLOT_BYTES}`);
  checkSum(bytes);
  const version = reader.u16();
  if (version > VERSION) throw newerFormatError(WHAT, `version ${version}`);
  if (version !== VERSION) throw formatError(WHAT, `version ${version} does not exist`);
  const typeNumber = reader.u8();
  const type = SLOT_TYPES[typeNumber - 1];
  if (type === undefined) throw newerFormatError(WHAT, `type ${typeNumber}`);
  const scopeNumber = reader.u8();
  const scope = SLOT_SCOPES[scopeNumber - 1];
  if (scope === undefined) throw newerFormatError(WHAT, `scope ${scopeNumber}`);
  const header: SlotHeader = {
    type,
    scope,
    slotId: toHex(reader.bytes(16)),
    vaultId: toHex(reader.bytes(16)),
    number: reader.u64(),
    label: decodeLabel(reader.bytes(LABEL_BYTES)),
    opsLimit: reader.u32(),
    memLimitKib: reader.u32(),
    salt: reader.bytes(16),
  };
  if (header.number < 1) throw formatError(WHAT, 'its number is 0');
  checkCost(header);
  const commitment = reader.bytes(32);
  const associatedData = bytes.subarray(0, reader.offset);
  return { ...header, commitment, associatedData, nonce: reader.bytes(24), wrapped: reader.bytes(48) };
}

/**
 * The slot when it is shared and the admin key signed it: what members, buckets and stores without the vault key take. Nothing of it is parsed
 * before.
 *
 * @throws E_INTEGRITY for damage and for another key, E_DENIED for another vault or a local slot, E_FORMAT, E_NEWER_FORMAT
 */
export function verifySlot(sodium: Sodium, bytes: Uint8Array, adminPublicKey: Uint8Array, vault: VaultId): Slot {
  if (bytes.length !== SLOT_BYTES) throw formatError(WHAT, `${bytes.length} bytes instead of ${SLOT_BYTES}`);
  checkSum(bytes);
  const signature = bytes.subarray(SIGNED_BYTES, SIGNED_BYTES + SIGNATURE_BYTES);
  if (!verifyInDomain(sodium, DOMAIN, bytes.subarray(0, SIGNED_BYTES), signature, adminPublicKey))
    throw new EdgeError('E_INTEGRITY', 'a key slot is not signed by the admin key of this vault');
  const slot = decodeSlot(bytes);
  if (slot.vaultId !== vault) throw new EdgeError('E_DENIED', 'a key slot is of another vault');
  if (slot.scope !== 'shared') throw new EdgeError('E_DENIED', 'a key slot is for one data dir only');
  return slot;
}

/** The vault key, 32 bytes; E_WRONG_KEY when the master secret is not this slot's, E_INTEGRITY when it is but the rest was altered. */
export function openSlot(sodium: Sodium, slot: Slot, master: Uint8Array): Uint8Array {
  const { keyEncryptionKey, commitment } = deriveSlotKeys(sodium, master);
  if (!sodium.memcmp(commitment, new Uint8Array(slot.commitment))) {
    throw new EdgeError('E_WRONG_KEY', `wrong ${NAME_OF_SECRET[slot.type]}`, {
      context: { slot: slot.slotId, type: slot.type },
    });
  }
  const vaultKey = decrypt(sodium, slot.wrapped, slot.associatedData, slot.nonce, keyEncryptionKey);
  if (vaultKey === undefined) {
    throw new EdgeError('E_INTEGRITY', `key slot ${slot.slotId.slice(0, 8)} is damaged: its tag does not verify`, {
      hint: 'Take the slot from another store of the vault, or use another secret.',
    });
  }
  return vaultKey;
}

/**
 * The master secret of a slot whose secret has full entropy (a key file's 32 bytes, the admin seed for a recovery slot): no
 * stretching, only separation by slot.
 */
export function masterOfStrongSecret(sodium: Sodium, header: SlotHeader, secret: Uint8Array): Uint8Array {
  const type = SLOT_TYPES.indexOf(header.type) + 1;
  const message = Buffer.concat([Buffer.from('edgestore slot v1\0', 'latin1'), Uint8Array.of(type), header.salt]);
  return sodium.crypto_generichash(32, message, secret);
}

const NAME_OF_SECRET: Record<SlotType, string> = {
  passphrase: 'passphrase',
  keyfile: 'key file',
  recovery: 'recovery code',
};

/** A local slot is signed by nobody: who can write into the data dir can do more than plant a slot. */
function signatureOf(
  sodium: Sodium,
  header: SlotHeader,
  signed: Uint8Array,
  adminSeed: Uint8Array | undefined,
): Uint8Array {
  if (header.scope === 'local') return new Uint8Array(SIGNATURE_BYTES);
  if (adminSeed === undefined) {
    throw new EdgeError('E_DENIED', 'this agent does not have the admin key, which signs key slots for all members', {
      hint: 'Run the command on the agent that made the vault.',
    });
  }
  return signInDomain(sodium, DOMAIN, signed, adminSeed);
}

function deriveSlotKeys(sodium: Sodium, master: Uint8Array): { keyEncryptionKey: Uint8Array; commitment: Uint8Array } {
  return {
    keyEncryptionKey: sodium.crypto_kdf_derive_from_key(32, KEY_ENCRYPTION_SUBKEY, 'edgeslot', master),
    commitment: sodium.crypto_kdf_derive_from_key(32, COMMITMENT_SUBKEY, 'edgeslot', master),
  };
}

function checkSum(bytes: Uint8Array): void {
  const body = bytes.subarray(0, SLOT_BYTES - SUM_BYTES);
  if (!bytesEqual(createHash('sha256').update(body).digest(), bytes.subarray(SLOT_BYTES - SUM_BYTES))) {
    throw new EdgeError('E_INTEGRITY', 'a key slot is damaged: its checksum does not match', {
      hint: 'This is not a wrong passphrase. Take the slot from another store of the vault, or use another secret.',
    });
  }
}

function checkCost(header: SlotHeader): void {
  if (header.type === 'passphrase') {
    checkArgonCost(header.opsLimit, header.memLimitKib);
  } else if (header.opsLimit !== 0 || header.memLimitKib !== 0) {
    throw formatError(WHAT, 'it states a cost although its secret needs no stretching');
  }
}

function decodeLabel(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const used = end === -1 ? bytes : bytes.subarray(0, end);
  if (bytes.subarray(used.length).some((byte) => byte !== 0))
    throw formatError(WHAT, 'its label is not padded with zeros');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(used);
  } catch {
    throw formatError(WHAT, 'its label is not UTF-8');
  }
}
