/** Brings one holder up to date: hold batch → missing → frames → receipt, and the records last (P2). */
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { toHex } from '../core/ids.ts';
import { HOLD_BATCH_ENTRIES_MAX, MIB } from '../core/limits.ts';
import type { Member, OutgoingFrame, PeerLink } from '../core/ports/peer.ts';
import { compareHeads } from '../log/check-chain.ts';
import { encodeHoldBatch, holdBatchHash } from '../log/hold-batch.ts';
import { verifyReceipt } from '../log/receipt.ts';
import { decodeEnvelope } from '../log/record.ts';
import type { Head } from '../log/record-body.ts';
import { rememberAck } from './acknowledged.ts';
import { unplacedChunks, type WantedChunk } from './reachable-chunks.ts';
import type { ReplicateDeps, ReplicateReport } from './replicate-deps.ts';
import { describeChunks, type SuppliedChunk, supplyChunks } from './sealed-supply.ts';

/** Sealed bytes in one batch: what a broken connection makes us send again. */
const BATCH_BYTES_MAX = 48 * MIB;
/** Chunks that are collected before they are described; small, so that memory is. */
const COLLECT_MAX = HOLD_BATCH_ENTRIES_MAX;
const RECORDS_AT_ONCE_BYTES = 4 * MIB;

/**
 * Everything that this agent's live snapshots reach, then its log. Resumes where an earlier pass stopped. E_ROLLBACK when the peer knows a newer
 * record of this agent than this machine has; E_FORK when another one; E_NO_SPACE when the peer is full; E_STORE when it is away.
 */
export async function replicateToPeer(
  member: Member,
  link: PeerLink,
  deps: ReplicateDeps,
  signal?: AbortSignal,
): Promise<ReplicateReport> {
  const { self, log, index } = deps;
  const target = member.agent;
  const end = log.head(self.agentId);
  const state = await link.state(signal);
  let peerHead = state.heads.find((one) => one.agent === self.agentId)?.head;
  refuseNewerHead(peerHead, end, link.label);
  if (peerHead !== undefined) await requireSameLog(peerHead, link.label, deps);
  const batches = openBatches(member, link, state.lastOp, deps, signal);
  let records = 0;

  if (end !== undefined) {
    // What the peer's copy of the log reaches is stored there (P2), so only later snapshots are walked; forgotten ones too, since their records go along.
    for (const snapshot of index.log.snapshots({ agent: self.agentId, includeForgotten: true })) {
      if (snapshot.branch || compareHeads(snapshot, end) > 0) continue;
      if (peerHead !== undefined && compareHeads(snapshot, peerHead) <= 0) continue;
      const walk = { sources: deps.sources, opener: deps.opener, isPlaced: batches.isPlaced };
      for await (const chunk of unplacedChunks(snapshot.body, 'all', walk, signal)) await batches.add(chunk);
      await batches.flush();
      const sent = await sendRecords(
        link,
        peerHead,
        { incarnation: snapshot.incarnation, seq: snapshot.seq },
        deps,
        signal,
      );
      records += sent.count;
      peerHead = sent.head ?? peerHead;
      rememberAck(index.kv, target, peerHead);
    }
    const sent = await sendRecords(link, peerHead, end, deps, signal);
    records += sent.count;
    peerHead = sent.head ?? peerHead;
    rememberAck(index.kv, target, peerHead);
  }
  const theirs = new Set(state.slots);
  const slots = (await deps.files.slots()).filter((slot) => !theirs.has(slot.slotId));
  if (slots.length > 0)
    await link.sendSlots(
      slots.map((slot) => slot.bytes),
      signal,
    );
  return { target, ...batches.totals(), records, head: peerHead };
}

function refuseNewerHead(theirs: Head | undefined, ours: Head | undefined, label: string): void {
  if (theirs === undefined || (ours !== undefined && compareHeads(theirs, ours) <= 0)) return;
  throw new EdgeError(
    'E_ROLLBACK',
    `${label} has record ${theirs.incarnation}/${theirs.seq} of this agent, newer than anything here (${ours === undefined ? 'nothing' : `${ours.incarnation}/${ours.seq}`})`,
    {
      hint: 'This machine was put back to an older state, or its identity was taken over. Recover it with `edgestore recover`, so that it gets a new incarnation.',
      context: { theirs, ours: ours ?? null },
    },
  );
}

/** The peer's newest record of this agent has to be one of ours: otherwise two machines write under one identity. */
async function requireSameLog(theirs: Head, label: string, deps: ReplicateDeps): Promise<void> {
  const before = { incarnation: theirs.incarnation, seq: theirs.seq - 1 };
  for await (const record of deps.log.read(deps.self.agentId, { after: before })) {
    const ours = decodeEnvelope(record);
    // Records that a checkpoint replaced are no longer here to be compared.
    if (compareHeads(ours, theirs) !== 0 || ours.hash === theirs.hash) return;
    throw new EdgeError(
      'E_FORK',
      `${label} has another record ${theirs.incarnation}/${theirs.seq} of this agent than this machine`,
      {
        hint: 'Two machines write under one identity (a copied data dir?), or one was put back to an older state. Stop one of them.',
        context: { theirs, ours: { incarnation: ours.incarnation, seq: ours.seq, hash: ours.hash } },
      },
    );
  }
}

interface Batches {
  isPlaced(ids: readonly Uint8Array[]): Uint8Array;
  add(chunk: WantedChunk): Promise<void>;
  /** Resolves when everything added has a receipt. */
  flush(): Promise<void>;
  totals(): { chunks: number; bytes: number; sentBytes: number };
}

function openBatches(
  member: Member,
  link: PeerLink,
  lastOp: number,
  deps: ReplicateDeps,
  signal: AbortSignal | undefined,
): Batches {
  const target = member.agent;
  const seen = new Set<string>();
  let collected: WantedChunk[] = [];
  // One batch is under way while the walk collects the next; a failure is met at the next turn.
  let underWay: Promise<void> = Promise.resolve();
  const totals = { chunks: 0, bytes: 0, sentBytes: 0 };
  let op = Math.max(lastOp, Number(deps.index.kv.get(`holds.op.${target}`) ?? '0'));

  async function send(wanted: readonly WantedChunk[]): Promise<void> {
    const described = await describeChunks(wanted, { index: deps.index.chunks, sources: deps.sources }, signal);
    for (const entries of groupsOf(described)) {
      // The number is spent before the batch leaves: it must never stand for two different ones.
      op++;
      deps.index.kv.set(`holds.op.${target}`, String(op));
      const report = (sentNow: number): void =>
        deps.progress?.({ phase: 'replicate', bytesDone: totals.bytes + sentNow, detail: link.name });
      const sent = await holdAt(member, link, op, entries, report, deps, signal);
      totals.chunks += entries.length;
      totals.sentBytes += sent;
      for (const entry of entries) totals.bytes += entry.sealedBytes;
      report(0);
    }
  }

  async function turn(): Promise<void> {
    await underWay;
    const batch = collected;
    collected = [];
    seen.clear();
    if (batch.length === 0) return;
    underWay = send(batch);
    underWay.catch(() => {});
  }

  return {
    isPlaced: (ids) => deps.index.placements.placed(target, ids),
    async add(chunk) {
      const hex = toHex(chunk.id);
      if (seen.has(hex)) return;
      seen.add(hex);
      collected.push(chunk);
      if (collected.length >= COLLECT_MAX) await turn();
    },
    async flush() {
      await turn();
      await underWay;
    },
    totals: () => totals,
  };
}

/** One batch to its receipt; then its chunks are placed. Returns the bytes that had to be sent. */
async function holdAt(
  member: Member,
  link: PeerLink,
  op: number,
  entries: readonly SuppliedChunk[],
  report: (sentBytes: number) => void,
  deps: ReplicateDeps,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { self } = deps;
  const head = deps.log.head(self.agentId) ?? { incarnation: self.incarnation, seq: 0, hash: '0'.repeat(64) };
  const batch = encodeHoldBatch(
    deps.sodium,
    { verb: 'hold', vault: deps.vault, owner: self.agentId, holder: member.agent, head, op, entries },
    self.signSeed,
  );
  const reply = await link.hold(batch, signal);
  const missing = reply.missing.map((position) => {
    const entry = entries[position];
    if (entry === undefined)
      throw new EdgeError('E_FORMAT', `${link.label} asks for chunk ${position} of ${entries.length}`);
    return entry;
  });
  let sentBytes = 0;
  async function* frames(): AsyncGenerator<OutgoingFrame> {
    for await (const chunk of supplyChunks(missing, { index: deps.index.chunks, sources: deps.sources }, signal)) {
      yield chunk;
      sentBytes += chunk.sealed.length;
      report(sentBytes);
    }
  }
  const receiptBytes = reply.receipt ?? (await link.sendFrames(op, frames(), signal));
  const receipt = verifyReceipt(deps.sodium, receiptBytes, member.signPublicKey);
  const isOurs =
    receipt.vault === deps.vault &&
    receipt.owner === self.agentId &&
    receipt.holder === member.agent &&
    receipt.op === op &&
    receipt.batchHash === holdBatchHash(batch) &&
    receipt.count === entries.length;
  if (!isOurs) throw new EdgeError('E_INTEGRITY', `${link.label} gave a receipt for something else`);
  failpoint('replicate.receipt');
  deps.index.placements.addPlacements(
    member.agent,
    entries.map((entry) => entry.id),
    deps.clock.nowNs(),
  );
  return sentBytes;
}

/** Records after `from` up to and with `to`. */
async function sendRecords(
  link: PeerLink,
  from: Head | undefined,
  to: Pick<Head, 'incarnation' | 'seq'>,
  deps: ReplicateDeps,
  signal: AbortSignal | undefined,
): Promise<{ readonly count: number; readonly head: Head | undefined }> {
  let head: Head | undefined;
  let count = 0;
  let group: Uint8Array[] = [];
  let bytes = 0;
  const send = async (): Promise<void> => {
    if (group.length === 0) return;
    const last = decodeEnvelope(group.at(-1)!);
    head = await link.sendRecords(group, signal);
    if (compareHeads(head, last) < 0) throw new EdgeError('E_INTEGRITY', `${link.label} did not take the records`);
    count += group.length;
    group = [];
    bytes = 0;
  };
  for await (const record of deps.log.read(deps.self.agentId, { after: from })) {
    if (compareHeads(decodeEnvelope(record), to) > 0) break;
    if (bytes + record.length > RECORDS_AT_ONCE_BYTES) await send();
    group.push(record);
    bytes += record.length;
  }
  await send();
  return { count, head };
}

function* groupsOf(entries: readonly SuppliedChunk[]): Generator<SuppliedChunk[]> {
  let group: SuppliedChunk[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (group.length === HOLD_BATCH_ENTRIES_MAX || (group.length > 0 && bytes + entry.sealedBytes > BATCH_BYTES_MAX)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(entry);
    bytes += entry.sealedBytes;
  }
  if (group.length > 0) yield group;
}
