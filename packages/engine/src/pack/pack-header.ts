import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { formatError, newerFormatError } from '../core/errors.ts';
import { fromHex, type PackClass, toHex, type VaultId } from '../core/ids.ts';
import { CLASS_CODE, PACK_HEADER_BYTES, PACK_MAGIC, PACK_VERSION, packClassOfCode } from './layout.ts';

/** What the first 64 bytes of a pack say. */
export interface PackHeader {
  readonly vault: VaultId;
  readonly packClass: PackClass;
}

/** The 64 bytes that a pack begins with. */
export function encodePackHeader({ vault, packClass }: PackHeader): Uint8Array {
  return new ByteWriter()
    .bytes(PACK_MAGIC)
    .u16(PACK_VERSION)
    .u8(CLASS_CODE[packClass])
    .u8(0)
    .u32(0)
    .u32(0)
    .bytes(fromHex(vault, 16))
    .bytes(new Uint8Array(28))
    .finish();
}

/** Reads a pack's first 64 bytes. E_FORMAT when it is no pack, E_NEWER_FORMAT for a later version, class or critical feature. */
export function decodePackHeader(bytes: Uint8Array): PackHeader {
  const reader = new ByteReader(bytes.subarray(0, PACK_HEADER_BYTES), 'pack header');
  reader.magic(PACK_MAGIC);
  const version = reader.u16();
  if (version > PACK_VERSION) throw newerFormatError('pack', `version ${version}`);
  if (version < 1) throw formatError('pack header', 'version 0');
  const classCode = reader.u8();
  const packClass = packClassOfCode(classCode);
  const reserved = reader.u8();
  const critical = reader.u32();
  if (critical !== 0) throw newerFormatError('pack', `critical features 0x${critical.toString(16)}`);
  reader.u32(); // Optional features change nothing for a reader that does not know them.
  if (packClass === undefined) throw formatError('pack header', `class ${classCode} is unknown`);
  const vault = toHex(reader.bytes(16));
  if (reserved !== 0 || !reader.bytes(28).every((byte) => byte === 0)) {
    throw formatError('pack header', 'reserved bytes are not zero');
  }
  return { vault, packClass };
}
