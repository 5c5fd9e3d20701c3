/**
 * The holder's side of replication: keeps what other agents of the vault ask to hold. The order is DESIGN's: batch → hold log, fsync, index → what is
 * missing → frames, verified, into packs, fsync, index → receipt. Records come last. Every call may be sent again: nothing is done twice.
 */
import type { ClassedChunk } from '../codec/opens-to-its-id.ts';
import type { Sodium } from '../codec/sodium.ts';
import { bytesEqual } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { type AgentId, type ChunkId, type HexId, type PackName, toHex, type VaultId } from '../core/ids.ts';
import { FREE_SPACE_FLOOR_BYTES, MIB } from '../core/limits.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { ChunkIndex, ChunkLocation, CopyMark } from '../core/ports/index.ts';
import type { HoldReply, OutgoingFrame, VerifiedBytes } from '../core/ports/peer.ts';
import { type HoldBatch, holdBatchHash, verifyHoldBatch } from '../log/hold-batch.ts';
import { encodeReceipt } from '../log/receipt.ts';
import type { HashedEnvelope } from '../log/record.ts';
import type { Head, RecordBody } from '../log/record-body.ts';
import { addRecords } from './add-records.ts';
import { requireFreeSpace } from './chunk-store/free-space.ts';
import type { DataDir } from './data-dir.ts';
import type { HashPlaintexts } from './hash-plaintexts.ts';
import { appendHoldBatch } from './hold-log.ts';
import { refuseStaleBatch } from './hold-rules.ts';
import type { IdentifyFrames } from './identify-frames.ts';
import type { LogStore } from './log-store.ts';
import type { AppliedHoldBatch } from './rebuild-holds.ts';
import { receiveFrames } from './receive-frames.ts';

/** An owner as its newest admin-signed card says; the connection proved the card's key. */
export interface HoldOwner {
  readonly agent: AgentId;
  readonly incarnation: number;
  /** Ed25519, 32 bytes. */
  readonly signPublicKey: Uint8Array;
}

export interface Holder {
  /** See `PeerLink.hold`. E_DENIED, E_ROLLBACK, E_FORK, E_NO_SPACE, E_INTEGRITY for a wrong signature. */
  hold(owner: HoldOwner, batch: Uint8Array): Promise<HoldReply>;
  /**
   * Takes the frames that a batch lacked and answers the receipt. A frame that is not what the owner signed, or does not open to what its id names, is
   * E_INTEGRITY; what came before it is kept. E_FAILED (retryable) when some are still missing, or the batch is to be sent again first.
   */
  receive(
    owner: HoldOwner,
    op: number,
    frames: AsyncIterable<OutgoingFrame>,
    signal?: AbortSignal,
  ): Promise<Uint8Array>;
  /** Appends records of the owner's log, oldest first, and answers its head here. E_FORK, E_DENIED, E_INTEGRITY; E_FAILED where one is missing in between. */
  addRecords(owner: HoldOwner, records: readonly Uint8Array[]): Promise<Head>;
  /** See `PeerLink.verify`. Re-reads the local packs from the medium: what is in memory is as it was written, whatever the disk made of it. */
  verify(
    nonce: Uint8Array,
    ids: readonly ChunkId[],
    of: VerifiedBytes,
    signal?: AbortSignal,
  ): Promise<(Uint8Array | undefined)[]>;
}

export interface HolderDeps {
  readonly sodium: Sodium;
  readonly vault: VaultId;
  readonly self: AgentId;
  /** This agent's log seed: signs receipts. */
  readonly signSeed: Uint8Array;
  readonly clock: Clock;
  readonly dataDir: Pick<DataDir, 'holdLogFile' | 'packDir'>;
  readonly index: {
    readonly chunks: ChunkIndex & {
      noteIdentified(copies: readonly { readonly id: ChunkId; readonly pack: string }[]): void;
    };
    readonly holds: HolderHoldIndex;
    readonly log: { applyRecord(record: HashedEnvelope, body: RecordBody | undefined): void };
  };
  readonly chunks: ChunkStore;
  readonly log: LogStore;
  /** Opens frames and says which are what their ids name; undefined on a blind holder. */
  readonly identify: IdentifyFrames | undefined;
  /** Opens chunks and hashes what is in them; undefined on a blind holder. */
  readonly hashPlaintexts: HashPlaintexts | undefined;
  /** Opens a verified record; undefined on a blind holder. */
  readonly openRecord: ((record: Uint8Array) => RecordBody) | undefined;
  /** The log key of an earlier incarnation, from its card. */
  readonly signKeyOf: (agent: AgentId, incarnation: number) => Uint8Array | undefined;
  readonly floorBytes?: number;
}

export interface HolderHoldIndex {
  applyBatch(batch: AppliedHoldBatch): void;
  batchHash(owner: AgentId, incarnation: number, op: number): string | undefined;
  ownerState(
    owner: AgentId,
  ):
    | { readonly incarnation: number; readonly lastOp: number; readonly head: Head; readonly logBytes: number }
    | undefined;
  incomplete(): string | undefined;
}

/** Batches whose frames may still come, kept so that `receive` knows what to expect; an older one is sent again by its owner. */
const OPEN_BATCHES_MAX = 16;
/** Sealed bytes that are opened at a time for `verify`. */
const OPENED_BYTES = 16 * MIB;

export function createHolder(deps: HolderDeps): Holder {
  const open = new Map<string, OpenBatch>();
  // One call at a time for each owner: ops are applied in order.
  const last = new Map<AgentId, Promise<unknown>>();
  const inTurn = <T>(owner: HoldOwner, work: () => Promise<T>): Promise<T> => {
    const turn = (last.get(owner.agent) ?? Promise.resolve()).then(work);
    last.set(
      owner.agent,
      turn.catch(() => {}),
    );
    return turn;
  };

  return {
    hold: (owner, bytes) =>
      inTurn(owner, async () => {
        const batch = await acceptBatch(owner, bytes, deps);
        const opened: OpenBatch = { batch, hash: holdBatchHash(bytes) };
        const key = keyOf(owner, batch.op);
        open.delete(key);
        open.set(key, opened);
        if (open.size > OPEN_BATCHES_MAX) open.delete(open.keys().next().value!);
        const missing = await missingOf(batch, deps);
        return { missing, receipt: missing.length === 0 ? receiptFor(opened, deps) : undefined };
      }),
    receive: (owner, op, frames, signal) =>
      inTurn(owner, async () => {
        const opened = open.get(keyOf(owner, op));
        if (opened === undefined) {
          throw new EdgeError('E_FAILED', `hold batch ${op} is not open here; send it first`, {
            context: { op },
            retryable: true,
          });
        }
        await receiveFrames(opened.batch.entries, frames, deps, signal);
        failpoint('hold.frames-stored');
        const missing = await missingOf(opened.batch, deps);
        if (missing.length === 0) return receiptFor(opened, deps);
        throw new EdgeError(
          'E_FAILED',
          `${missing.length} of ${opened.batch.entries.length} chunks of hold batch ${op} did not come`,
          {
            context: { op, missing: missing.length },
            retryable: true,
          },
        );
      }),
    addRecords: (owner, records) => inTurn(owner, () => addRecords(owner, records, deps)),
    verify: (nonce, ids, of, signal) =>
      of === 'sealed' ? sealedHashes(nonce, ids, deps, signal) : plainHashes(nonce, ids, deps, signal),
  };
}

interface OpenBatch {
  readonly batch: HoldBatch;
  readonly hash: string;
}

function keyOf(owner: HoldOwner, op: number): string {
  return `${owner.agent}/${owner.incarnation}/${op}`;
}

async function acceptBatch(owner: HoldOwner, bytes: Uint8Array, deps: HolderDeps): Promise<HoldBatch> {
  const batch = verifyHoldBatch(deps.sodium, bytes, owner.signPublicKey);
  if (batch.vault !== deps.vault || batch.owner !== owner.agent || batch.holder !== deps.self) {
    throw new EdgeError('E_DENIED', 'a hold batch of another vault, owner or holder', {
      context: { owner: batch.owner, holder: batch.holder },
    });
  }
  if (batch.verb !== 'hold')
    throw new EdgeError('E_NEWER_FORMAT', 'this holder does not know releases yet; nothing was released');
  const hash = holdBatchHash(bytes);
  const state = deps.index.holds.ownerState(owner.agent);
  const isKnown = refuseStaleBatch(batch, hash, owner, {
    state,
    knownHash: deps.index.holds.batchHash(owner.agent, batch.head.incarnation, batch.op),
    recordHead: deps.log.head(owner.agent),
  });
  if (isKnown) return batch;
  const path = deps.dataDir.holdLogFile(owner.agent);
  // Appending would cut off what lies behind the damage, which may be mended yet.
  const incomplete = deps.index.holds.incomplete();
  if (incomplete?.includes(path)) throw new EdgeError('E_INTEGRITY', `new holds are not taken: ${incomplete}`);
  await requireFreeSpace(deps.dataDir.packDir, deps.floorBytes ?? FREE_SPACE_FLOOR_BYTES);
  const logBytes = await appendHoldBatch(path, bytes, state?.logBytes ?? 0);
  failpoint('hold.logged');
  deps.index.holds.applyBatch({
    owner: owner.agent,
    incarnation: batch.head.incarnation,
    op: batch.op,
    hash,
    head: batch.head,
    entries: batch.entries,
    logBytes,
  });
  failpoint('hold.indexed');
  return batch;
}

/** Positions of the chunks that this store lacks. The holds are there already, so nothing that is found here can be dropped any more. */
async function missingOf(batch: HoldBatch, deps: HolderDeps): Promise<number[]> {
  const { entries } = batch;
  const located = deps.index.chunks.locate(entries.map((entry) => entry.id));
  const missing: number[] = [];
  const opened: OpenedCopies = { good: [], bad: [] };
  for (const [i, entry] of entries.entries()) {
    const copies = located[i]!;
    const isOurs = copies.some((copy) => copy.identified || bytesEqual(copy.sealedSha256, entry.sealedSha256));
    if (!isOurs && !(await identifyCopy(copies, opened, deps))) missing.push(i);
  }
  // One transaction for all of them: each is an fsync.
  if (opened.good.length > 0) deps.index.chunks.noteIdentified(opened.good);
  if (opened.bad.length > 0) deps.index.chunks.markCopies(opened.bad);
  return missing;
}

interface OpenedCopies {
  readonly good: { id: ChunkId; pack: PackName }[];
  readonly bad: CopyMark[];
}

/** A copy that came from another owner, or was found again by a rebuild, counts only after this agent opened it. */
async function identifyCopy(
  copies: readonly ChunkLocation[],
  opened: OpenedCopies,
  deps: HolderDeps,
): Promise<boolean> {
  if (deps.identify === undefined) return false;
  for (const copy of copies.filter((one) => one.store === '')) {
    const { id, keyId, sealedBytes, pack, offset, packClass } = copy;
    for await (const outcome of deps.chunks.fetch([{ id, keyId, sealedBytes, pack, offset }])) {
      if (!('sealed' in outcome)) continue;
      const [isGood] = await deps.identify([{ id, keyId, packClass, sealed: outcome.sealed }]);
      if (isGood === true) {
        opened.good.push({ id, pack });
        return true;
      }
      opened.bad.push({ id, pack, reason: 'damaged', why: 'it does not open to what its id names' });
    }
  }
  return false;
}

function receiptFor({ batch, hash }: OpenBatch, deps: HolderDeps): Uint8Array {
  return encodeReceipt(
    deps.sodium,
    {
      vault: deps.vault,
      owner: batch.owner,
      holder: deps.self,
      op: batch.op,
      batchHash: hash,
      count: batch.entries.length,
      timeNs: deps.clock.nowNs(),
    },
    deps.signSeed,
  );
}

async function sealedHashes(
  nonce: Uint8Array,
  ids: readonly ChunkId[],
  deps: HolderDeps,
  signal: AbortSignal | undefined,
): Promise<(Uint8Array | undefined)[]> {
  const addresses = (await deps.chunks.locate(ids, signal)).filter((address) => address !== undefined);
  const hashes = new Map<string, Uint8Array>();
  for await (const outcome of deps.chunks.verify(addresses, signal)) {
    if ('sealed' in outcome)
      hashes.set(toHex(outcome.address.id), deps.sodium.crypto_generichash(32, outcome.sealed, nonce));
  }
  return ids.map((id) => hashes.get(toHex(id)));
}

async function plainHashes(
  nonce: Uint8Array,
  ids: readonly ChunkId[],
  deps: HolderDeps,
  signal: AbortSignal | undefined,
): Promise<(Uint8Array | undefined)[]> {
  const { hashPlaintexts } = deps;
  if (hashPlaintexts === undefined) return ids.map(() => undefined);
  const hashes = new Map<HexId, Uint8Array>();
  let group: ClassedChunk[] = [];
  let bytes = 0;
  const hashGroup = async (): Promise<void> => {
    signal?.throwIfAborted();
    const answers = await hashPlaintexts(nonce, group);
    for (const [i, answer] of answers.entries()) if (answer !== undefined) hashes.set(toHex(group[i]!.id), answer);
    group = [];
    bytes = 0;
  };
  const classOf = new Map(
    deps.index.chunks.locate(ids).flatMap((copies) => copies.map((copy) => [toHex(copy.id), copy.packClass] as const)),
  );
  const addresses = (await deps.chunks.locate(ids, signal)).filter((address) => address !== undefined);
  for await (const outcome of deps.chunks.verify(addresses, signal)) {
    if (!('sealed' in outcome)) continue;
    const { id, keyId } = outcome.address;
    group.push({ id, keyId, packClass: classOf.get(toHex(id)) ?? 'data', sealed: outcome.sealed });
    bytes += outcome.sealed.length;
    if (bytes >= OPENED_BYTES) await hashGroup();
  }
  if (group.length > 0) await hashGroup();
  return ids.map((id) => hashes.get(toHex(id)));
}
