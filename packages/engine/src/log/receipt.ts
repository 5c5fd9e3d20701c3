/** A receipt: a holder's signed word that every chunk of one hold batch is on its stable storage. Byte by byte in `docs/formats/receipt.md`. */
import { CborFields, textUpTo } from '../codec/bounded-cbor.ts';
import type { Sodium } from '../codec/sodium.ts';
import { concatBytes } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import { type AgentId, fromHex, toHex, type VaultId } from '../core/ids.ts';
import { HOLD_BATCH_ENTRIES_MAX } from '../core/limits.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from '../keys/ed25519.ts';
import {
  decodeStructure,
  encodeStructure,
  FEATURE_NAME_LENGTH_MAX,
  FEATURES_MAX,
  refuseUnknownFeatures,
  type StructureFormat,
} from '../keys/signed-structure.ts';

export interface Receipt {
  readonly vault: VaultId;
  readonly owner: AgentId;
  readonly holder: AgentId;
  /** The batch's op number and the SHA-256 of all its bytes, as hex. */
  readonly op: number;
  readonly batchHash: string;
  /** Chunks in the batch, all of which are held. */
  readonly count: number;
  /** Wall time of the holder, for people; nothing is decided by it. */
  readonly timeNs: bigint;
}

const WHAT = 'receipt';
const DOMAIN = 'edgestore receipt v1';
const FORMAT: StructureFormat = {
  what: WHAT,
  magic: 'EDGERCPT',
  version: 1,
  cborBytesMax: 4096,
  trailerBytes: SIGNATURE_BYTES,
};

/** Encodes and signs with the holder's log seed. */
export function encodeReceipt(sodium: Sodium, receipt: Receipt, signSeed: Uint8Array): Uint8Array {
  const covered = encodeStructure(
    FORMAT,
    new Map<number, unknown>([
      [0, fromHex(receipt.vault, 16)],
      [1, fromHex(receipt.owner, 16)],
      [2, fromHex(receipt.holder, 16)],
      [3, receipt.op],
      [4, fromHex(receipt.batchHash, 32)],
      [5, receipt.count],
      [6, receipt.timeNs],
      [7, []],
    ]),
  );
  return concatBytes([covered, signInDomain(sodium, DOMAIN, covered, signSeed)]);
}

/** Reads a receipt without checking its signature. E_FORMAT, E_NEWER_FORMAT. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  const fields = new CborFields(decodeStructure(FORMAT, bytes).map, WHAT);
  refuseUnknownFeatures(WHAT, fields.array(7, 'critical features', FEATURES_MAX, textUpTo(FEATURE_NAME_LENGTH_MAX)));
  return {
    vault: toHex(fields.bytes(0, 'vault id', 16)),
    owner: toHex(fields.bytes(1, 'owner', 16)),
    holder: toHex(fields.bytes(2, 'holder', 16)),
    op: fields.uint(3, 'op number', Number.MAX_SAFE_INTEGER),
    batchHash: toHex(fields.bytes(4, 'batch hash', 32)),
    count: fields.uint(5, 'count', HOLD_BATCH_ENTRIES_MAX),
    timeNs: fields.bigUint(6, 'time'),
  };
}

/** The receipt when the holder's key signed it; E_INTEGRITY otherwise. */
export function verifyReceipt(sodium: Sodium, bytes: Uint8Array, holderPublicKey: Uint8Array): Receipt {
  const { covered, trailer } = decodeStructure(FORMAT, bytes);
  if (!verifyInDomain(sodium, DOMAIN, covered, trailer, holderPublicKey)) {
    throw new EdgeError('E_INTEGRITY', 'a receipt is damaged or not signed by its holder');
  }
  return decodeReceipt(bytes);
}
