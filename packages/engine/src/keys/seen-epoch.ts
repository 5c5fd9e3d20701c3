/** The highest epoch of the descriptor that a data dir has seen (`vault.seen`). See docs/formats/vault.md. */
import type { Sodium } from '../codec/sodium.ts';
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { fromHex, toHex } from '../core/ids.ts';
import type { SeenEpoch } from './descriptor-succession.ts';
import type { VaultBaseKeys } from './vault-keys.ts';

type SeenKeys = Pick<VaultBaseKeys, 'vaultId' | 'macKey'>;

export const SEEN_EPOCH_BYTES = 98;

const WHAT = 'the memory of the vault epoch';
const MAGIC = Buffer.from('EDGESEEN', 'latin1');
const VERSION = 1;
const MAC_BYTES = 32;

/** magic 8 ‖ version u16 ‖ vault id 16 ‖ epoch u64 ‖ SHA-256 of the descriptor 32 ‖ MAC 32, BLAKE2b with the vault MAC key. */
export function encodeSeenEpoch(sodium: Sodium, keys: SeenKeys, { epoch, digest }: SeenEpoch): Uint8Array {
  const covered = new ByteWriter()
    .bytes(MAGIC)
    .u16(VERSION)
    .bytes(fromHex(keys.vaultId, 16))
    .u64(epoch)
    .bytes(digest)
    .finish();
  return Buffer.concat([covered, sodium.crypto_generichash(MAC_BYTES, covered, keys.macKey)]);
}

/** E_INTEGRITY when it was altered or is of another vault; nothing of it is parsed before. */
export function decodeSeenEpoch(sodium: Sodium, keys: SeenKeys, bytes: Uint8Array): SeenEpoch {
  const covered = bytes.subarray(0, SEEN_EPOCH_BYTES - MAC_BYTES);
  const isSound =
    bytes.length === SEEN_EPOCH_BYTES &&
    sodium.memcmp(sodium.crypto_generichash(MAC_BYTES, covered, keys.macKey), bytes.slice(covered.length));
  if (!isSound) throw new EdgeError('E_INTEGRITY', `${WHAT} is damaged: its MAC does not verify`);
  const reader = new ByteReader(covered, WHAT);
  reader.magic(MAGIC);
  const version = reader.u16();
  if (version !== VERSION) throw newerFormatError(WHAT, `version ${version}`);
  if (toHex(reader.bytes(16)) !== keys.vaultId) throw formatError(WHAT, 'it is of another vault');
  return { epoch: reader.u64(), digest: Uint8Array.from(reader.bytes(32)) };
}
