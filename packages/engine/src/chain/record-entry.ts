/** Records as entries of the chain: kind 1, sealed (docs/formats/chain.md and record.md). */
import type { Sodium } from '../codec/sodium.ts';
import type { Zstd } from '../codec/zstd.ts';
import { EdgeError } from '../core/errors.ts';
import { fromHex, toHex } from '../core/ids.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { RecordBody } from '../log/record-body.ts';
import { decodeRecordBody, encodeRecordBody } from '../log/record-encoding.ts';
import { EntryKind, type EntryPlace, encodeEntry, entryError, type SignedHead } from './entry-head.ts';
import type { Link } from './position.ts';
import { openBody, sealBody } from './sealed-body.ts';

/** An entry with its body, as it is stored and sent. */
export interface WholeEntry {
  readonly head: SignedHead;
  readonly body: Uint8Array;
}

/** The place of a sealed entry, and with what it is written. */
export interface SealedEntryInput extends Omit<EntryPlace, 'kind' | 'shard'> {
  readonly shard?: number;
  readonly keys: VaultKeys;
  readonly signSeed: Uint8Array;
  /** 24 fresh random bytes. */
  readonly random24: Uint8Array;
  readonly zstd?: Zstd;
}

/** Encodes, seals and signs a record. E_LIMIT when it is too long; E_FAILED for a body that no reader would take, or a snapshot without its shard. */
export function encodeRecordEntry(sodium: Sodium, input: SealedEntryInput & { readonly body: RecordBody }): WholeEntry {
  const { body, shard = 0, ...rest } = input;
  if ((body.type === 'snapshot') !== (shard !== 0))
    throw new EdgeError('E_FAILED', `a ${body.type} record in shard ${shard}`);
  return sealEntry(sodium, EntryKind.record, { ...rest, shard, plain: encodeRecordBody(body) });
}

/** Opens a record whose signature the caller has verified. E_INTEGRITY, E_WRONG_KEY, E_FORMAT, E_NEWER_FORMAT. */
export function openRecordEntry(sodium: Sodium, { head, body }: WholeEntry, keys: VaultKeys, zstd?: Zstd): RecordBody {
  if (head.header.kind !== EntryKind.record) throw entryError(head.header, `kind ${head.header.kind} is not a record`);
  const record = decodeRecordBody(openBody(sodium, head, body, keys, zstd));
  if ((record.type === 'snapshot') !== (head.header.shard !== 0))
    throw entryError(head.header, `a ${record.type} record in shard ${head.header.shard}`);
  return record;
}

/** Seals a plaintext for its place, and signs the entry. */
export function sealEntry(
  sodium: Sodium,
  kind: EntryKind,
  input: SealedEntryInput & { readonly plain: Uint8Array },
): WholeEntry {
  const { plain, keys, signSeed, random24, zstd, shard = 0, ...rest } = input;
  const header: EntryPlace = { ...rest, kind, shard };
  const body = sealBody(sodium, { header, plain, keys, random24, ...(zstd === undefined ? {} : { zstd }) });
  return encodeEntry(sodium, { ...header, body, signSeed });
}

/** The body of a drop-branch entry: the link of the branch's tip. */
export function encodeDropBranch(tip: Link): Uint8Array {
  return fromHex(tip, 32);
}

/** The tip that a drop-branch entry names; its header has bounded the length. */
export function decodeDropBranch(body: Uint8Array): Link {
  return toHex(body.subarray(0, 32));
}
