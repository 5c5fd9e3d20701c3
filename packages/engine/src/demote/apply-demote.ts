/**
 * Carries a plan out. For each pack: read the chunks here and check them, PUT, verify what lies in the bucket, index it there; then verify as many
 * further copies as the policy asks for; and only then drop the local ones (P5). A crash at any moment leaves every chunk here, or here and there:
 * what was put but not indexed is put again under the same name, what was indexed but not dropped is verified by reading and dropped by the next run.
 */
import { type CoveredStore, distinctCopies } from '../chain/cover.ts';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import { MIB, PACK_BUCKET_BYTES_TARGET, PACK_FRAMES_TARGET } from '../core/limits.ts';
import type { StoreName } from '../core/ports/index.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import { FRAME_HEADER_BYTES, INDEX_ENTRY_BYTES, PACK_FOOTER_BYTES, PACK_HEADER_BYTES } from '../pack/layout.ts';
import { createPackBuilder } from '../pack/pack-builder.ts';
import type { BucketWitness } from '../ports/witnesses.ts';
import type { ColdStore, DemoteDeps, DemotePart, DemotePlan, DemoteReport, PlannedChunk } from './demote-types.ts';
import { dropVerified, type VerifiedChunk } from './drop-verified.ts';
import { type ReadGroup, readHere } from './read-here.ts';
import { type HeldChunk, verifyAtPeers } from './verify-at-peers.ts';

/** Chunks are dropped when this much can go: dropping rewrites the packs that lost a part. */
const DROP_BYTES = 256 * MIB;
/** Or so many: what is kept of each until then is some 500 bytes. */
const DROP_CHUNKS = 2 * PACK_FRAMES_TARGET;

/**
 * Throws what the store says (E_STORE, E_DENIED, E_NO_BUCKET, E_INTEGRITY); whatever was verified until then is
 * dropped first, if the store still shows the id
 * that it had when the job began.
 */
export async function applyDemote(plan: DemotePlan, deps: DemoteDeps, signal?: AbortSignal): Promise<DemoteReport> {
  const state: State = {
    moved: { chunks: 0, bytes: 0 },
    dropped: { chunks: 0, bytes: 0 },
    kept: { chunks: 0, bytes: 0 },
    freedBytes: 0,
    notes: new Map(),
    witnessed: new Map(),
    verified: [],
    verifiedBytes: 0,
    doneBytes: 0,
    totalBytes: plan.drop.bytes,
  };
  try {
    for (const part of plan.parts) await applyPart(part, state, deps, signal);
  } finally {
    // Also after a failure: these copies were verified in this job.
    await dropGathered(state, deps, signal);
  }
  const { moved, dropped, kept, freedBytes, notes } = state;
  return { moved, dropped, kept, freedBytes, notes: [...notes].map(([note, chunks]) => noteText(note, chunks)) };
}

interface State {
  readonly moved: { chunks: number; bytes: number };
  readonly dropped: { chunks: number; bytes: number };
  readonly kept: { chunks: number; bytes: number };
  freedBytes: number;
  /** Each with the chunks that it is about; 0 when it is not about chunks. */
  readonly notes: Map<string, number>;
  /** Buckets that count in this job. */
  readonly witnessed: Map<StoreName, BucketWitness>;
  /** Chunks with enough verified copies, not dropped yet. */
  verified: VerifiedChunk[];
  verifiedBytes: number;
  doneBytes: number;
  readonly totalBytes: number;
}

function noteText(note: string, chunks: number): string {
  return chunks === 0 ? note : `${chunks} ${chunks === 1 ? 'chunk' : 'chunks'}: ${note}`;
}

async function applyPart(
  part: DemotePart,
  state: State,
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<void> {
  const store = part.store === undefined ? undefined : deps.buckets.get(part.store);
  if (part.store !== undefined && store === undefined)
    throw new EdgeError('E_CONFIG', `the store ${part.store} is not configured`);
  const witness = part.store === undefined ? undefined : await witnessOf(part.store, state, deps, signal);
  for (const group of groupsOf(part.put)) {
    signal?.throwIfAborted();
    const read = await readHere(group, deps, signal);
    if (read.held.length > 0 && store !== undefined) await putPack(read, store, state, deps, signal);
    await finishGroup(group, read.held, { chunks: read.held, witness }, part, state, deps, signal);
  }
  for (const group of groupsOf(part.check)) {
    signal?.throwIfAborted();
    const { held } = await readHere(group, deps, signal);
    const inStore = store === undefined ? [] : await readBack(held, store.source, signal);
    await finishGroup(group, held, { chunks: inStore, witness }, part, state, deps, signal);
  }
}

/** Once in each job: the id of the bucket and a clean listing, before anything is dropped because of it (docs/chain.md 2.6, 6.1). */
async function witnessOf(
  store: StoreName,
  { witnessed }: State,
  { witnesses }: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<BucketWitness> {
  const witness = witnessed.get(store) ?? (await witnesses.bucket(store, signal));
  if (witness === undefined) throw new EdgeError('E_CONFIG', `the store ${store} is no target of this agent`);
  witnessed.set(store, witness);
  return witness;
}

/** Chunks of which a copy in the cold store was verified in this run. */
interface InStore {
  readonly chunks: readonly HeldChunk[];
  readonly witness: BucketWitness | undefined;
}

async function finishGroup(
  group: readonly PlannedChunk[],
  held: readonly HeldChunk[],
  inStore: InStore,
  part: DemotePart,
  state: State,
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stores = new Map<HexId, CoveredStore[]>();
  const count = ({ id }: HeldChunk, store: CoveredStore): void =>
    void stores.set(toHex(id), [...(stores.get(toHex(id)) ?? []), store]);
  const cold = inStore.witness === undefined ? undefined : ({ type: 'bucket', ...inStore.witness } as const);
  if (cold !== undefined) for (const chunk of inStore.chunks) count(chunk, cold);
  const isEnough = ({ id }: HeldChunk): boolean => {
    const { copies, sites } = distinctCopies(stores.get(toHex(id)) ?? []);
    return copies >= Math.max(1, part.copies) && sites >= Math.max(1, part.sites);
  };
  const note = (text: string, chunks = 0): void => void state.notes.set(text, (state.notes.get(text) ?? 0) + chunks);
  await verifyAtPeers(held, { isEnough, count, note }, deps, signal);
  for (const chunk of held) {
    if (!isEnough(chunk)) continue;
    // Without its bytes: those of many groups would pile up.
    const { id, sealedBytes, holds } = chunk;
    const isCold = stores.get(toHex(id))!.some(({ type }) => type === 'bucket');
    state.verified.push({ id, sealedBytes, holds, cold: isCold ? part.store : undefined });
    state.verifiedBytes += chunk.sealedBytes;
  }
  const enough = new Set(held.filter(isEnough).map(({ id }) => toHex(id)));
  for (const chunk of group) {
    state.doneBytes += chunk.sealedBytes;
    if (enough.has(toHex(chunk.id))) continue;
    state.kept.chunks += 1;
    state.kept.bytes += chunk.sealedBytes;
  }
  deps.progress?.({ phase: 'demote', bytesDone: state.doneBytes, bytesTotal: state.totalBytes });
  if (state.verifiedBytes >= DROP_BYTES || state.verified.length >= DROP_CHUNKS)
    await dropGathered(state, deps, signal);
}

async function dropGathered(state: State, deps: DemoteDeps, signal: AbortSignal | undefined): Promise<void> {
  if (state.verified.length === 0) return;
  const going = state.verified;
  state.verified = [];
  state.verifiedBytes = 0;
  // Behind the last look at a copy there: what was verified in an empty folder in place of the store is no copy.
  for (const store of new Set(going.flatMap(({ cold }) => cold ?? [])))
    await deps.buckets.get(store)!.requireStoreId(state.witnessed.get(store)!.storeId, signal);
  const { bytesFreed, kept } = await dropVerified(going, deps);
  state.freedBytes += bytesFreed;
  // A sync that began meanwhile relies on them, another owner does, or they were released and added again.
  const stays = new Set(kept);
  for (const [i, { sealedBytes }] of going.entries()) {
    const counted = stays.has(i) ? state.kept : state.dropped;
    counted.chunks += 1;
    counted.bytes += sealedBytes;
  }
}

/** One pack in the order given: PUT, verified by the store's own digest or by reading, then indexed. */
async function putPack(
  group: ReadGroup,
  store: ColdStore,
  state: State,
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { held } = group;
  const builder = createPackBuilder(deps.vault, 'data');
  const parts: Uint8Array[] = [builder.header()];
  let createdNs = 0n;
  for (const chunk of held) {
    const sealed = {
      id: chunk.id,
      packClass: 'data',
      keyId: chunk.keyId,
      bytes: chunk.sealed,
      sha256: chunk.sealedSha256,
      identified: true,
    } as const;
    parts.push(builder.frameHeader(sealed), chunk.sealed);
    builder.add(sealed);
    // Moving does not make data young; nor does the pack make its youngest chunk old.
    if (chunk.createdNs > createdNs) createdNs = chunk.createdNs;
  }
  const { name, bytes, frames, tail } = builder.finish(createdNs);
  await store.packs.put(
    { name, packClass: 'data' },
    group.isWhole ? fillIn(group.body, parts, tail) : Buffer.concat([...parts, tail], bytes),
    signal,
  );
  failpoint('demote.pack-verified');
  deps.index.chunks.addPack(
    { name, store: store.name, packClass: 'data', bytes, frames: frames.length, createdNs },
    frames,
  );
  failpoint('demote.pack-indexed');
  state.moved.chunks += held.length;
  state.moved.bytes += held.reduce((sum, chunk) => sum + chunk.sealedBytes, 0);
}

/** The sealed bytes lie in their places already; what goes between them is small. */
function fillIn(body: Buffer, parts: readonly Uint8Array[], tail: Uint8Array): Buffer {
  let at = 0;
  for (const part of parts) {
    if (part.buffer !== body.buffer) body.set(part, at);
    at += part.length;
  }
  body.set(tail, at);
  return body;
}

/** Those of which the source gives exactly the bytes that lie here. */
async function readBack(
  held: readonly HeldChunk[],
  source: SealedSource,
  signal: AbortSignal | undefined,
): Promise<HeldChunk[]> {
  const byHex = new Map(held.map((chunk) => [toHex(chunk.id), chunk]));
  const located = await source.locate(
    held.map(({ id }): ChunkId => id),
    signal,
  );
  const same: HeldChunk[] = [];
  const addresses = located.filter((address) => address !== undefined);
  for await (const answer of source.fetch(addresses, signal)) {
    const chunk = byHex.get(toHex(answer.address.id));
    // A copy that was sealed at another time has other bytes, and is as good; only the same bytes are taken for verified without opening them.
    if (chunk !== undefined && 'sealed' in answer && bytesEqual(answer.sealed, chunk.sealed)) same.push(chunk);
  }
  return same;
}

/** As many chunks as fit into one pack of a bucket. */
function* groupsOf(chunks: Iterable<PlannedChunk>): Generator<PlannedChunk[]> {
  const empty = PACK_HEADER_BYTES + PACK_FOOTER_BYTES;
  let group: PlannedChunk[] = [];
  let bytes = empty;
  for (const chunk of chunks) {
    const more = FRAME_HEADER_BYTES + chunk.sealedBytes + INDEX_ENTRY_BYTES;
    if (group.length > 0 && (bytes + more > PACK_BUCKET_BYTES_TARGET || group.length >= PACK_FRAMES_TARGET)) {
      yield group;
      group = [];
      bytes = empty;
    }
    group.push(chunk);
    bytes += more;
  }
  if (group.length > 0) yield group;
}
