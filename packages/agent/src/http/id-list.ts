/** Lists of chunk ids and of answers about them, as the peer protocol sends them. */
import { ByteReader, ByteWriter, formatError, PEER_ITEMS_MAX } from '@edgestore/engine';

/** Ids in one request. */
export const IDS_MAX = PEER_ITEMS_MAX;
export const ID_LIST_BYTES_MAX = 4 + IDS_MAX * 32;

/** u32 count ‖ 32 bytes each. */
export function encodeIds(ids: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter().u32(ids.length);
  for (const id of ids) writer.bytes(id);
  return writer.finish();
}

export function decodeIds(bytes: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(bytes, 'id list');
  const ids = readIds(reader);
  reader.end();
  return ids;
}

export function readIds(reader: ByteReader): Uint8Array[] {
  const count = reader.u32();
  if (count > IDS_MAX) throw formatError('id list', `${count} ids; at most ${IDS_MAX} go into one request`);
  const ids: Uint8Array[] = [];
  for (let i = 0; i < count; i++) ids.push(reader.bytes(32));
  return ids;
}
