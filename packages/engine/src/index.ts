/** The engine's public names, for the agent and the command line. */

export { catFile } from './browse/cat-file.ts';
export { catTar } from './browse/cat-tar.ts';
export type { ChunkReaderDeps } from './browse/chunk-reader.ts';
export { diffTrees, type TreeDifference } from './browse/diff-trees.ts';
export { findInTree } from './browse/find-in-tree.ts';
export { listTree } from './browse/list-tree.ts';
export { resolvePath } from './browse/resolve-path.ts';
export { openTreeReader, type TreeReader } from './browse/tree-reader.ts';
export { storeOfTarget, whereIs } from './browse/where-is.ts';
export { capture } from './capture/capture.ts';
export type { CaptureReport, MaxDelete } from './capture/capture-types.ts';
export { decodeChainSegment } from './chain/chain-segment.ts';
export { PARTS } from './chain/checkpoint-parts.ts';
export { decodeHead, ENTRY_BODY_BYTES_MAX, EntryKind, HEAD_BYTES, isHoldKind } from './chain/entry-head.ts';
export { FORM_BYTES, FORMS_MAX, type Form, readForm, writeForm } from './chain/forms.ts';
export type { Position } from './chain/position.ts';
export type { Backing } from './chain/statement.ts';
export { loadSodium, type Sodium } from './codec/sodium.ts';
export { type CollectReport, collectReleased, DEFAULT_COLLECT_POLICY } from './collect/collect-released.ts';
export { forgetUnwanted } from './collect/forget-unwanted.ts';
export { readClock } from './collect/grace-clock.ts';
export { type AskedChunks, createAskedChunks } from './core/asked-chunks.ts';
export { asBuffer, ByteReader, ByteWriter, bytesEqual, concatBytes } from './core/bytes.ts';
export { type Clock, formatTimeNs, type RandomBytes } from './core/clock.ts';
export {
  EdgeError,
  type ErrorCode,
  EXIT_BY_CODE,
  errnoOf,
  formatError,
  isEdgeError,
  newerFormatError,
  toEdgeError,
} from './core/errors.ts';
export { noteIfRoom } from './core/full-disk.ts';
export * as ids from './core/ids.ts';
export { type AgentId, type ChunkId, fromHex, type HexId, type RecordHash, toHex, type VaultId } from './core/ids.ts';
export {
  CHUNK_SEALED_BYTES_MAX,
  FREE_SPACE_FLOOR_BYTES,
  PEER_ITEMS_MAX,
} from './core/limits.ts';
export type { ChunkStore } from './core/ports/chunk-store.ts';
export type { KeyValue, PackMark, SnapshotRow, SnapshotSummary, StoreName } from './core/ports/index.ts';
export type { ObjectStore } from './core/ports/object-store.ts';
export type {
  EntryBodies,
  EntryBody,
  Member,
  OutgoingFrame,
  PartOfCheckpoint,
  PeerDirectory,
  PeerLink,
  PeerState,
  RecoverySource,
  StatementAnswer,
  StatementQuestion,
  VerifiedBytes,
} from './core/ports/peer.ts';
export type { Progress, ReportProgress, ReportWarning, Warning } from './core/ports/progress.ts';
export type { MissReason, SealedAddress, SealedFrame, SealedMiss, SealedSource } from './core/ports/sealed-source.ts';
export { endRelearning, isRelearned, noteRelearned, relearningSince } from './core/relearn.ts';
export { applyDemote } from './demote/apply-demote.ts';
export type {
  ColdStore,
  DemoteDeps,
  DemotePlan,
  DemoteReport,
  TierDeps,
  TierInput,
  TierPolicy,
} from './demote/demote-types.ts';
export { planDemote } from './demote/plan-demote.ts';
export { applyRecall, planRecall, type RecallPlan, type RecallReport } from './demote/recall.ts';
export {
  explainTier,
  type TierExplanation,
  type TierPlace,
  type TierStatus,
  tierStatus,
} from './demote/tier-status.ts';
export { type Engine, type EngineOptions, openEngine } from './engine.ts';
export { isThere } from './files/is-there.ts';
export { makeFolders } from './files/make-folders.ts';
export { fetchFound } from './give-up/fetch-found.ts';
export { findReach } from './give-up/find-reach.ts';
export { forgetCopies, type GivenUp, giveUp } from './give-up/give-up.ts';
export { type CheckedHolds, checkHolds } from './hold/check-holds.ts';
export { createHeard, type Heard } from './hold/heard.ts';
export { type HoldFinding, holdFindings } from './hold/hold-findings.ts';
export { createHolder, type Holder } from './hold/holder.ts';
export { createRunningTime, type RunningTime } from './hold/running-time.ts';
export { openIndex } from './index/open-index.ts';
export { type IndexPeek, peekIndex } from './index/peek-index.ts';
export { openAdminSeed, sealAdminSeed } from './keys/admin-seed.ts';
export { CARD_BYTES_MAX, type Card, type CardRole, encodeCard, requireSameLog, verifyCard } from './keys/card.ts';
export { compareDescriptors, type VerifiedDescriptor } from './keys/descriptor-succession.ts';
export { publicKeyOf, signInDomain, verifyInDomain } from './keys/ed25519.ts';
export type { AgentIdentity } from './keys/identity.ts';
export { decodeIdentity, encodeIdentity } from './keys/identity.ts';
export { decodeKeyFile, encodeKeyFile, KEY_FILE_BYTES_MAX } from './keys/key-file.ts';
export { wrapGeneration } from './keys/key-generation.ts';
export { encodeRecoveryCode } from './keys/recovery-code.ts';
export { proveRecovery, recoveryProofPublicKey, verifyRecoveryProof } from './keys/recovery-proof.ts';
export {
  formatRecoverySheet,
  isRecoverySheet,
  type ParsedRecoverySheet,
  parseRecoverySheet,
  RECOVERY_SHEET_BYTES_MAX,
} from './keys/recovery-sheet.ts';
export {
  decodeSlot,
  SLOT_BYTES,
  type Slot,
  type SlotHeader,
  type SlotScope,
  type SlotType,
  verifySlot,
} from './keys/slot.ts';
export { encodeSlotRemoval, SLOT_REMOVAL_BYTES, type SlotRemoval, verifySlotRemoval } from './keys/slot-removal.ts';
export {
  acceptsRemoval,
  acceptsSlot,
  type KnownRemoval,
  type KnownSlot,
  LOCAL_SLOTS_MAX,
  publishedSlots,
  SHARED_SLOTS_MAX,
  SLOT_REMOVALS_MAX,
} from './keys/slot-set.ts';
export { createSlot, type SlotSecret, unlockWithSlots } from './keys/unlock.ts';
export {
  DESCRIPTOR_BYTES_MAX,
  encodeVaultDescriptor,
  FIRST_EPOCH,
  openVaultDescriptor,
  readVaultDescriptor,
  VAULT_FORMAT_VERSION,
  type VaultDescriptor,
} from './keys/vault-descriptor.ts';
export {
  deriveBaseKeys,
  deriveVaultKeys,
  FIRST_KEY_ID,
  type GenerationSecret,
  type VaultBaseKeys,
  type VaultKeys,
} from './keys/vault-keys.ts';
export { numberRoots } from './log/number-roots.ts';
export { bringBackChains, missingEnds } from './log-repair/bring-back.ts';
export type { ChainRepair } from './log-repair/chain-repair-types.ts';
export { type CheckedChain, mendOtherChains } from './log-repair/mend-other-chains.ts';
export { type MendedTail, mendTail } from './log-repair/mend-tail.ts';
export { type ChainSource, repairOwnChain } from './log-repair/repair-own-chain.ts';
export { decodeFrameHeader, encodeFrameHeader, type FrameHeader } from './pack/frame-header.ts';
export { FRAME_HEADER_BYTES } from './pack/layout.ts';
export { hashPlaintextsInWorkers } from './pipeline/hash-plaintexts-in-workers.ts';
export { identifyInWorkers } from './pipeline/identify-in-workers.ts';
export { escapeName, jsonPath, unescapeName } from './policy/escape-name.ts';
export { compileGlob } from './policy/glob.ts';
export {
  createIgnoreRules,
  type FolderIgnore,
  IGNORE_FILE_BYTES_MAX,
  IGNORE_FILE_NAME,
} from './policy/ignore-rules.ts';
export { parseTime } from './policy/parse-time.ts';
export { storageClassProblem } from './policy/storage-class.ts';
export {
  formatBytes,
  formatDuration,
  parseDuration,
  parseDurationMs,
  parsePercent,
  parseRate,
  parseSize,
} from './policy/units.ts';
export type { Branch, ChainEntry, Chains, FormsOfEntry, OwnChain, OwnerKeys } from './ports/chains.ts';
export type { CheckpointPolicy, MadeCheckpoint, WantedParts } from './ports/checkpoints.ts';
export type { PutBack } from './ports/put-back.ts';
export type { Witnesses } from './ports/witnesses.ts';
export { abandonRecover, applyRecover, beginRecover, RECOVERY_SPOOL } from './recover/apply-recover.ts';
export { openBucketRecovery } from './recover/bucket-recovery.ts';
export { planRecover } from './recover/plan-recover.ts';
export type { ApplyRecoverInput, NewLife, RecoverGap, RecoverInput, RecoverPlan } from './recover/recover-types.ts';
export type { PeerAnswer } from './replicate/answers.ts';
export {
  type Durability,
  type DurabilityLevel,
  durabilityOf,
  formatDurabilityLevel,
  isReached,
  notEnoughCopies,
  parseDurabilityLevel,
} from './replicate/durability.ts';
export { refuseWhenPutBack } from './replicate/own-trail.ts';
export type { VaultFileKind } from './replicate/put-vault-files.ts';
export type { ReplicateReport } from './replicate/replicate-deps.ts';
export { type BucketTarget, replicateToBucket } from './replicate/replicate-to-bucket.ts';
export type { Replicator } from './replicate/replicator.ts';
export { createReplicator, type RecordRef, type ReplicatorDeps, type TargetStatus } from './replicate/replicator.ts';
export { planTargets, type ReplicationPolicy, type Target, widestPolicy } from './replicate/targets.ts';
export { applyRestore } from './restore/apply-restore.ts';
export { restoreExitCode } from './restore/failure-list.ts';
export { planRestore } from './restore/plan-restore.ts';
export type { RestoreDeps, RestoreInput, RestorePlan, RestoreReport } from './restore/restore-types.ts';
export { scrub } from './scrub/scrub.ts';
export { scrubSegments } from './scrub/scrub-segments.ts';
export type { ScrubPlace, ScrubPlaces, ScrubReport, ScrubStore } from './scrub/scrub-types.ts';
export { type BucketPacks, openBucketPacks } from './store/bucket/bucket-packs.ts';
export { createBucketSource } from './store/bucket/bucket-source.ts';
export { type BucketVault, openBucketVault } from './store/bucket/bucket-vault.ts';
export { createIndexedSource } from './store/bucket/indexed-source.ts';
export { learnPacks } from './store/bucket/learn-packs.ts';
export { locationOf } from './store/bucket/location.ts';
export { type Bucket, openBucket } from './store/bucket/open-bucket.ts';
export { knownStoreId, requireKnownStore, requireStoreId } from './store/bucket/store-id.ts';
export { beginChain } from './store/chains/begin-chain.ts';
export { type EntrySpool, openEntrySpool } from './store/chains/entry-spool.ts';
export { type ChainInspection, inspectChains } from './store/chains/inspect-chains.ts';
export { type ProvedCheckpoint, proveCheckpoints } from './store/chains/prove-checkpoints.ts';
export { remakeHolds } from './store/chains/remake-holds.ts';
export { damagedRanges, verifyFiles } from './store/chains/verify-files.ts';
export {
  createDataDir,
  cutOffRecovery,
  type DataDir,
  dataDirAt,
  dataDirExists,
  RECOVERY_MARKER,
  readFolder,
  requireDataDir,
} from './store/data-dir.ts';
export { type DataDirLock, lockDataDir, readLockHolder } from './store/data-dir-lock.ts';
export { adoptDescriptor } from './store/descriptor-file.ts';
export { makeFolderDurably, removeIfThere, syncFolder, writeFileDurably } from './store/durable-write.ts';
export { createStoreCounts, type StoreCounts } from './store/objects/measured.ts';
export { openObjectStore } from './store/objects/open-object-store.ts';
export { createRateLimiter, type RateLimiter } from './store/objects/throttled.ts';
export { openPutBack } from './store/put-back.ts';
export { readFileUpTo } from './store/read-file-up-to.ts';
export type { Entry } from './tree/entry.ts';
