/** Removal marks: the admin's word that a key slot counts no more, for ever. See docs/formats/keys.md. */
import type { Sodium } from '../codec/sodium.ts';
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { fromHex, toHex, type VaultId } from '../core/ids.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from './ed25519.ts';

export interface SlotRemoval {
  readonly vaultId: VaultId;
  /** 32 hex digits; every version of this slot is removed, also one with a higher number. */
  readonly slotId: string;
  /** When, for people only: seconds since 1970. */
  readonly timeS: number;
}

export const SLOT_REMOVAL_BYTES = 114;

const WHAT = 'removal mark';
const MAGIC = Buffer.from('EDGESREM', 'latin1');
const VERSION = 1;
const DOMAIN = 'edgestore slot removal v1';

/** magic 8 ‖ version u16 ‖ vault id 16 ‖ slot id 16 ‖ time u64 ‖ signature of the admin key 64 */
export function encodeSlotRemoval(sodium: Sodium, removal: SlotRemoval, adminSeed: Uint8Array): Uint8Array {
  const signed = new ByteWriter()
    .bytes(MAGIC)
    .u16(VERSION)
    .bytes(fromHex(removal.vaultId, 16))
    .bytes(fromHex(removal.slotId, 16))
    .u64(removal.timeS)
    .finish();
  return Buffer.concat([signed, signInDomain(sodium, DOMAIN, signed, adminSeed)]);
}

/** The mark when the admin key signed it; nothing of it is parsed before. E_INTEGRITY, E_DENIED for another vault, E_FORMAT, E_NEWER_FORMAT. */
export function verifySlotRemoval(
  sodium: Sodium,
  bytes: Uint8Array,
  adminPublicKey: Uint8Array,
  vault: VaultId,
): SlotRemoval {
  if (bytes.length !== SLOT_REMOVAL_BYTES)
    throw formatError(WHAT, `${bytes.length} bytes instead of ${SLOT_REMOVAL_BYTES}`);
  const signed = bytes.subarray(0, SLOT_REMOVAL_BYTES - SIGNATURE_BYTES);
  if (!verifyInDomain(sodium, DOMAIN, signed, bytes.subarray(signed.length), adminPublicKey))
    throw new EdgeError('E_INTEGRITY', 'a removal mark is not signed by the admin key of this vault');
  const reader = new ByteReader(signed, WHAT);
  reader.magic(MAGIC);
  const version = reader.u16();
  if (version !== VERSION) throw newerFormatError(WHAT, `version ${version}`);
  const vaultId = toHex(reader.bytes(16));
  if (vaultId !== vault) throw new EdgeError('E_DENIED', 'a removal mark is of another vault');
  const slotId = toHex(reader.bytes(16));
  return { vaultId, slotId, timeS: reader.u64() };
}
