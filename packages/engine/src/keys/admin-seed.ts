/** The admin seed where an agent keeps it (`admin.edge`), sealed under a key that follows from the vault key. */

import type { Sodium } from '../codec/sodium.ts';
import { decrypt, encrypt } from '../codec/xchacha20poly1305.ts';
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { fromHex, toHex } from '../core/ids.ts';
import type { VaultBaseKeys } from './vault-keys.ts';

type AdminKeys = Pick<VaultBaseKeys, 'vaultId' | 'adminWrapKey'>;

const WHAT = 'admin seed';
const MAGIC = Buffer.from('EDGEADMN', 'latin1');
const VERSION = 1;

/** magic 8 ‖ version u16 ‖ vault id 16 ‖ nonce 24 ‖ sealed seed 48; the associated data is all before the nonce. */
export function sealAdminSeed(sodium: Sodium, keys: AdminKeys, adminSeed: Uint8Array, random: RandomBytes): Uint8Array {
  const clear = new ByteWriter().bytes(MAGIC).u16(VERSION).bytes(fromHex(keys.vaultId, 16)).finish();
  const nonce = random(24);
  return Buffer.concat([clear, nonce, encrypt(sodium, adminSeed, clear, nonce, keys.adminWrapKey)]);
}

/** The seed, 32 bytes; E_INTEGRITY when it was altered or is of another vault. */
export function openAdminSeed(sodium: Sodium, keys: AdminKeys, bytes: Uint8Array): Uint8Array {
  const reader = new ByteReader(bytes, WHAT);
  reader.magic(MAGIC);
  const version = reader.u16();
  if (version > VERSION) throw newerFormatError(WHAT, `version ${version}`);
  if (version !== VERSION) throw formatError(WHAT, `version ${version} does not exist`);
  const vaultId = toHex(reader.bytes(16));
  const clear = bytes.subarray(0, reader.offset);
  const nonce = reader.bytes(24);
  const sealed = reader.bytes(48);
  reader.end();
  const seed = vaultId === keys.vaultId ? decrypt(sodium, sealed, clear, nonce, keys.adminWrapKey) : undefined;
  if (seed === undefined) throw new EdgeError('E_INTEGRITY', 'the stored admin seed is damaged or of another vault');
  return seed;
}
