/**
 * A hold batch asks a holder to keep chunks (or to let them go), signed by their owner. Byte by byte in `docs/formats/hold-log.md`; when a holder
 * applies or refuses one is in the replicate flow.
 */
import { createHash } from 'node:crypto';
import type { Sodium } from '../codec/sodium.ts';
import { asBuffer, ByteReader, ByteWriter, concatBytes } from '../core/bytes.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { type AgentId, type ChunkId, fromHex, type PackClass, toHex, type VaultId } from '../core/ids.ts';
import { CHUNK_SEALED_BYTES_MAX, HOLD_BATCH_ENTRIES_MAX } from '../core/limits.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from '../keys/ed25519.ts';
import { CLASS_CODE, packClassOfCode } from '../pack/layout.ts';
import type { Head } from './record-body.ts';
import { frameItem, splitItems } from './split-items.ts';

const WHAT = 'hold batch';
const VERSION = 1;
export const HOLD_MAGIC: Uint8Array = Buffer.from('EDGEHOLD', 'latin1');
const DOMAIN = 'edgestore hold v1';
/** magic 8, version 2, verb 1, critical 1, vault 16, owner 16, holder 16, incarnation 4, head seq 8, head hash 32, op 8, count 4. */
const HEADER_BYTES = 116;
/** id 32, SHA-256 32, length 4, key id 4, class 1, zeros 3. */
const ENTRY_BYTES = 76;
const BATCH_BYTES_MAX = HEADER_BYTES + HOLD_BATCH_ENTRIES_MAX * ENTRY_BYTES + SIGNATURE_BYTES;
const VERB_CODE = { hold: 1, release: 2 } as const;

export interface HoldEntry {
  readonly id: ChunkId;
  /** SHA-256 of the sealed chunk: what a holder without the key accepts and serves. */
  readonly sealedSha256: Uint8Array;
  readonly sealedBytes: number;
  readonly keyId: number;
  readonly packClass: PackClass;
}

export interface HoldBatch {
  readonly verb: 'hold' | 'release';
  readonly vault: VaultId;
  readonly owner: AgentId;
  readonly holder: AgentId;
  /** The owner's newest record when it signed: fences off a machine that was put back to an older state. `seq` 0 and a zero hash before its first one. */
  readonly head: Head;
  /** Rises with every batch of this owner to this holder. */
  readonly op: number;
  /** 1 to HOLD_BATCH_ENTRIES_MAX. */
  readonly entries: readonly HoldEntry[];
}

/** Encodes and signs with the owner's log seed. E_LIMIT for too many entries. */
export function encodeHoldBatch(sodium: Sodium, batch: HoldBatch, signSeed: Uint8Array): Uint8Array {
  const { entries, head } = batch;
  if (entries.length < 1 || entries.length > HOLD_BATCH_ENTRIES_MAX)
    throw new EdgeError('E_LIMIT', `a hold batch of ${entries.length} chunks`);
  const writer = new ByteWriter().bytes(HOLD_MAGIC).u16(VERSION).u8(VERB_CODE[batch.verb]).u8(0);
  writer.bytes(fromHex(batch.vault, 16)).bytes(fromHex(batch.owner, 16)).bytes(fromHex(batch.holder, 16));
  writer.u32(head.incarnation).u64(head.seq).bytes(fromHex(head.hash, 32)).u64(batch.op).u32(entries.length);
  const covered = concatBytes([writer.finish(), encodeEntries(entries)]);
  return concatBytes([covered, signInDomain(sodium, DOMAIN, covered, signSeed)]);
}

/** Reads a batch without checking its signature. E_FORMAT, E_NEWER_FORMAT. */
export function decodeHoldBatch(bytes: Uint8Array): HoldBatch {
  if (bytes.length > BATCH_BYTES_MAX) throw formatError(WHAT, `${bytes.length} bytes are too many`);
  const reader = new ByteReader(bytes, WHAT);
  reader.magic(HOLD_MAGIC);
  const version = reader.u16();
  if (version > VERSION) throw newerFormatError(WHAT, `version ${version}`);
  if (version < 1) throw formatError(WHAT, 'version 0');
  const verb = verbOf(reader.u8());
  const critical = reader.u8();
  if (critical !== 0) throw newerFormatError(WHAT, `critical features 0x${critical.toString(16)}`);
  const vault = toHex(reader.bytes(16));
  const owner = toHex(reader.bytes(16));
  const holder = toHex(reader.bytes(16));
  const head = { incarnation: reader.u32(), seq: reader.u64(), hash: toHex(reader.bytes(32)) };
  const op = reader.u64();
  const count = reader.u32();
  if (head.incarnation < 1) throw formatError(WHAT, 'incarnations begin at 1');
  if (count < 1 || count > HOLD_BATCH_ENTRIES_MAX) throw formatError(WHAT, `${count} chunks`);
  if (reader.remaining !== count * ENTRY_BYTES + SIGNATURE_BYTES)
    throw formatError(WHAT, `${count} chunks in ${bytes.length} bytes`);
  const entries = decodeEntries(reader.bytes(count * ENTRY_BYTES));
  return { verb, vault, owner, holder, head, op, entries };
}

/** The batch when the owner's key signed it; E_INTEGRITY otherwise. */
export function verifyHoldBatch(sodium: Sodium, bytes: Uint8Array, ownerPublicKey: Uint8Array): HoldBatch {
  const batch = decodeHoldBatch(bytes);
  const covered = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  const signature = bytes.subarray(bytes.length - SIGNATURE_BYTES);
  if (!verifyInDomain(sodium, DOMAIN, covered, signature, ownerPublicKey)) {
    throw new EdgeError(
      'E_INTEGRITY',
      `hold batch ${batch.op} is damaged or not signed by agent ${batch.owner.slice(0, 8)}`,
      {
        context: { owner: batch.owner, op: batch.op },
      },
    );
  }
  return batch;
}

/** SHA-256 of a whole batch, as hex: what a receipt names. */
export function holdBatchHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A batch with its length before it: what is appended to a hold log. */
export function encodeHoldLogItem(batch: Uint8Array): Uint8Array {
  return frameItem(batch);
}

export interface DecodedHoldLog {
  /** Whole batches in order, as views; their framing is checked, their signatures are not. */
  readonly batches: readonly Uint8Array[];
  /** Ranges that hold no whole batch although whole ones follow: damage, not a crash. */
  readonly damaged: readonly { readonly offset: number; readonly length: number }[];
  /** Where an unfinished last batch begins; no receipt was given for it. */
  readonly tornAt?: number;
}

/** Takes a hold log apart; never throws E_FORMAT, as any part may be damaged. E_NEWER_FORMAT for a batch of a later version. */
export function decodeHoldLog(bytes: Uint8Array): DecodedHoldLog {
  const { items, ...rest } = splitItems(bytes, {
    magic: HOLD_MAGIC,
    bytesMax: BATCH_BYTES_MAX,
    check: decodeHoldBatch,
  });
  return { batches: items, ...rest };
}

function verbOf(code: number): HoldBatch['verb'] {
  if (code === VERB_CODE.hold) return 'hold';
  if (code === VERB_CODE.release) return 'release';
  throw code === 0 ? formatError(WHAT, 'verb 0') : newerFormatError(WHAT, `verb ${code}`);
}

function encodeEntries(entries: readonly HoldEntry[]): Uint8Array {
  const out = Buffer.alloc(entries.length * ENTRY_BYTES);
  let at = 0;
  for (const { id, sealedSha256, sealedBytes, keyId, packClass } of entries) {
    out.set(id.subarray(0, 32), at);
    out.set(sealedSha256.subarray(0, 32), at + 32);
    out.writeUInt32LE(sealedBytes, at + 64);
    out.writeUInt32LE(keyId, at + 68);
    out.writeUInt8(CLASS_CODE[packClass], at + 72);
    at += ENTRY_BYTES;
  }
  return out;
}

function decodeEntries(bytes: Uint8Array): HoldEntry[] {
  const view = asBuffer(bytes);
  const entries: HoldEntry[] = [];
  for (let at = 0; at < view.length; at += ENTRY_BYTES) {
    const sealedBytes = view.readUInt32LE(at + 64);
    const packClass = packClassOfCode(view[at + 72]!);
    if (sealedBytes < 1 || sealedBytes > CHUNK_SEALED_BYTES_MAX)
      throw formatError(WHAT, `a sealed chunk of ${sealedBytes} bytes`);
    if (packClass === undefined) throw formatError(WHAT, `class ${view[at + 72]} is unknown`);
    if (view.readUIntLE(at + 73, 3) !== 0) throw formatError(WHAT, 'reserved bytes are not zero');
    entries.push({
      id: new Uint8Array(view.subarray(at, at + 32)),
      sealedSha256: new Uint8Array(view.subarray(at + 32, at + 64)),
      sealedBytes,
      keyId: view.readUInt32LE(at + 68),
      packClass,
    });
  }
  return entries;
}
