/** The engine's public names, for the agent and the command line. */
export { type Clock, formatTimeNs, type RandomBytes } from './core/clock.ts';
export { EdgeError, type ErrorCode, errnoOf, EXIT_BY_CODE, isEdgeError, toEdgeError } from './core/errors.ts';
export * as ids from './core/ids.ts';
export type { Progress, ReportProgress, ReportWarning, Warning } from './core/ports/progress.ts';
export { asBuffer, ByteReader, ByteWriter, bytesEqual, concatBytes } from './core/bytes.ts';
export { formatError, newerFormatError } from './core/errors.ts';
export { type AgentId, type ChunkId, fromHex, type HexId, type RecordHash, toHex, type VaultId } from './core/ids.ts';
export { CHUNK_SEALED_BYTES_MAX, HOLD_BATCH_ENTRIES_MAX, RECORD_BYTES_MAX } from './core/limits.ts';
export type {
  HoldReply,
  Member,
  OutgoingFrame,
  PeerDirectory,
  PeerLink,
  PeerState,
  RecordPlace,
  RecoverySource,
} from './core/ports/peer.ts';
export type { SealedAddress, SealedFrame, SealedMiss, SealedSource } from './core/ports/sealed-source.ts';
export type { Head } from './log/record-body.ts';
export { decodeFrameHeader, encodeFrameHeader, type FrameHeader } from './pack/frame-header.ts';
export { FRAME_HEADER_BYTES } from './pack/layout.ts';
export { loadSodium, type Sodium } from './codec/sodium.ts';
export { type Card, CARD_BYTES_MAX, type CardRole, decodeCard, encodeCard, verifyCard } from './keys/card.ts';
export { publicKeyOf, signInDomain, verifyInDomain } from './keys/ed25519.ts';
export type { AgentIdentity } from './keys/identity.ts';
export { proveRecovery, verifyRecoveryProof } from './keys/recovery-proof.ts';
export { type DataDir, readFolder } from './store/data-dir.ts';
export { removeIfThere, writeFileDurably } from './store/durable-write.ts';
