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
export { openAdminSeed, sealAdminSeed } from './keys/admin-seed.ts';
export { decodeIdentity, encodeIdentity } from './keys/identity.ts';
export { decodeKeyFile, encodeKeyFile, KEY_FILE_BYTES_MAX } from './keys/key-file.ts';
export { encodeRecoveryCode } from './keys/recovery-code.ts';
export { recoveryProofPublicKey } from './keys/recovery-proof.ts';
export { formatRecoverySheet, type ParsedRecoverySheet, parseRecoverySheet } from './keys/recovery-sheet.ts';
export { decodeSlot, type SlotHeader, type SlotType } from './keys/slot.ts';
export { createSlot, type SlotSecret, unlockWithSlots } from './keys/unlock.ts';
export {
  decodeVaultDescriptor,
  encodeVaultDescriptor,
  openVaultDescriptor,
  VAULT_FORMAT_VERSION,
  type VaultDescriptor,
} from './keys/vault-descriptor.ts';
export { deriveVaultKeys, type VaultKeys } from './keys/vault-keys.ts';
export { nextEnvelope } from './log/next-envelope.ts';
export { encodeRecord } from './log/record.ts';
export { createDataDir, dataDirAt, dataDirExists, requireDataDir } from './store/data-dir.ts';
export { type DataDirLock, lockDataDir, readLockHolder } from './store/data-dir-lock.ts';
export { makeFolderDurably } from './store/durable-write.ts';
export { type Engine, type EngineOptions, openEngine } from './engine.ts';
export { catFile } from './browse/cat-file.ts';
export { catTar } from './browse/cat-tar.ts';
export type { ChunkReaderDeps } from './browse/chunk-reader.ts';
export { diffTrees, type TreeDifference } from './browse/diff-trees.ts';
export { findInTree } from './browse/find-in-tree.ts';
export { listTree } from './browse/list-tree.ts';
export { resolvePath } from './browse/resolve-path.ts';
export { openTreeReader, type TreeReader } from './browse/tree-reader.ts';
export { whereIs } from './browse/where-is.ts';
export type { SnapshotRow } from './core/ports/index.ts';
export { escapeName, jsonPath, unescapeName } from './policy/escape-name.ts';
export { compileGlob } from './policy/glob.ts';
export {
  createIgnoreRules,
  type FolderIgnore,
  IGNORE_FILE_BYTES_MAX,
  IGNORE_FILE_NAME,
} from './policy/ignore-rules.ts';
export { parseTime } from './policy/parse-time.ts';
export { formatDurabilityLevel, parseDurabilityLevel } from './replicate/durability.ts';
export type { Replicator } from './replicate/replicator.ts';
export { applyRestore } from './restore/apply-restore.ts';
export { planRestore } from './restore/plan-restore.ts';
export type { RestoreDeps, RestoreInput, RestoreReport } from './restore/restore-types.ts';
export { syncFolder } from './store/durable-write.ts';
export { type LogStore, openLogStore } from './store/log-store.ts';
export type { Entry } from './tree/entry.ts';
export type { ObjectStore } from './core/ports/object-store.ts';
export { openRecord } from './log/record.ts';
export { acknowledgedHead } from './replicate/acknowledged.ts';
export {
  type Durability,
  type DurabilityLevel,
  durabilityOf,
  isReached,
  notEnoughCopies,
} from './replicate/durability.ts';
export { createReplicator, type RecordRef, type ReplicatorDeps, type TargetStatus } from './replicate/replicator.ts';
export { type BucketTarget, replicateToBucket } from './replicate/replicate-to-bucket.ts';
export type { ReplicateReport } from './replicate/replicate-deps.ts';
export { planTargets, type ReplicationPolicy, type Target, widestPolicy } from './replicate/targets.ts';
export { createBucketSource } from './store/bucket/bucket-source.ts';
export { type BucketPacks, openBucketPacks } from './store/bucket/bucket-packs.ts';
export { type BucketVault, openBucketVault } from './store/bucket/bucket-vault.ts';
export { createHolder, type Holder } from './store/holder.ts';
export { identifyWith } from './store/identify-frames.ts';
export { openObjectStore } from './store/objects/open-object-store.ts';
export { createRateLimiter, type RateLimiter } from './store/objects/throttled.ts';
export { createStoreCounts, type StoreCounts } from './store/objects/measured.ts';
export { formatBytes, formatDuration, parseDuration, parseDurationMs, parseRate, parseSize } from './policy/units.ts';
export { capture } from './capture/capture.ts';
export type { CaptureReport, MaxDelete } from './capture/capture-types.ts';
export { parsePercent } from './policy/units.ts';
export { restoreExitCode } from './restore/failure-list.ts';
export type { RestorePlan } from './restore/restore-types.ts';
export { scrub } from './scrub/scrub.ts';
export { applyDemote } from './demote/apply-demote.ts';
export type { ColdStore, DemoteDeps, DemotePlan, DemoteReport, TierDeps, TierInput, TierPolicy } from './demote/demote-types.ts';
export { planDemote } from './demote/plan-demote.ts';
export { applyRecall, planRecall, type RecallPlan, type RecallReport } from './demote/recall.ts';
export { explainTier, type TierExplanation, type TierPlace, type TierStatus, tierStatus } from './demote/tier-status.ts';
export { type LearnedPacks, learnPacks } from './store/bucket/learn-packs.ts';
export { type Bucket, openBucket } from './store/bucket/open-bucket.ts';
export { applyRecover } from './recover/apply-recover.ts';
export { openBucketRecovery } from './recover/bucket-recovery.ts';
export { planRecover } from './recover/plan-recover.ts';
export type { ApplyRecoverInput, NewLife, RecoverGap, RecoverInput, RecoverPlan } from './recover/recover-types.ts';
