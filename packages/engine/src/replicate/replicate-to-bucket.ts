/**
 * Brings a bucket up to date and says what it has (docs/chain.md 6): its id, a listing of everything below the own prefix, packs of what it lacks, segments of
 * the chain, and what an empty machine needs to begin. Nothing is believed from an earlier job: a pack or segment that is gone is put again.
 */
import { EntryKind } from '../chain/entry-head.ts';
import { decodeAdd, type Form } from '../chain/forms.ts';
import type { Position } from '../chain/position.ts';
import type { EdgeError } from '../core/errors.ts';
import type { HexId } from '../core/ids.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import type { SealedAddress } from '../core/ports/sealed-source.ts';
import type { BucketIndex, LackingForms } from '../ports/bucket-index.ts';
import type { BucketPacks, ListedPack } from '../store/bucket/bucket-packs.ts';
import type { BucketVault, ListedSegment } from '../store/bucket/bucket-vault.ts';
import { comparePacks } from '../store/bucket/compare-packs.ts';
import { adoptStore, requireStoreId } from '../store/bucket/store-id.ts';
import { type BucketPackWriter, openBucketPackWriter } from './bucket-pack-writer.ts';
import { type SupplyRequest, supplyBucket } from './bucket-supply.ts';
import { judgeSegments, nameOf, putBackError } from './judge-segments.ts';
import { noteLostSegments, verifiedKey } from './lost-segments.ts';
import { missingRanges, putSegments } from './put-segments.ts';
import { putVaultFiles } from './put-vault-files.ts';
import type { ReplicateDeps, ReplicateReport } from './replicate-deps.ts';

export interface BucketTarget {
  /** `[stores.<name>]` */
  readonly store: string;
  /** `store:<name>`, or `store-meta:<name>` for trees and chain only. */
  readonly target: string;
  readonly scope: 'all' | 'meta';
  readonly objects: ObjectStore;
  readonly packs: Pick<BucketPacks, 'list' | 'put' | 'readContents' | 'settle'>;
  readonly vault: BucketVault;
  /** Of endpoint and bucket, for a store with this id. */
  readonly location: (storeId: HexId) => HexId;
  readonly adminPublicKey: Uint8Array;
  /** Objects that were looked into and are not part of what this agent put: kept for the life of a process. */
  readonly passedOver: Set<string>;
  readonly warn: ReportWarning;
}

export interface BucketDeps extends ReplicateDeps {
  readonly index: ReplicateDeps['index'] & {
    readonly chunks: Pick<
      ChunkIndex,
      | 'locate'
      | 'addPack'
      | 'addresses'
      | 'packs'
      | 'framesOf'
      | 'forgetPack'
      | 'liftPackMarks'
      | 'markCopies'
      | 'markPacks'
      | 'settleLosses'
    >;
    readonly buckets: BucketIndex;
  };
}

/** Entries of adds whose forms are looked up at a time: at most 16,384 forms. */
const ENTRIES_AT_ONCE = 4;

/** E_ROLLBACK for a machine that was put back or whose identity was taken over; E_NO_BUCKET for another store; E_STORE, E_DENIED from the store. */
export async function replicateToBucket(
  bucket: BucketTarget,
  deps: BucketDeps,
  signal?: AbortSignal,
): Promise<ReplicateReport> {
  const { chain, index, self } = deps;
  const putBack = deps.putBack.get();
  if (putBack !== undefined) throw putBackError(putBack.position, putBack.shownBy, self.incarnation);
  const asked = chain.position();
  const check = { name: bucket.store, store: bucket.objects, vault: deps.vault };
  const storeId = await adoptStore(
    check,
    {
      kv: index.kv,
      random: deps.random,
      warn: bucket.warn,
      onOther: () => forget(bucket, deps),
      showsWhatWasPut: async () => showsWhatWasPut(await listOwn(bucket, deps, signal), bucket, deps),
    },
    signal,
  );
  // A disk can go at any moment, and leave an empty folder. Nothing is noted of what was found or put before the store
  // showed its id again after it.
  const requireSame = (): Promise<void> => requireStoreId(check, storeId, signal);
  const there = await listOwn(bucket, deps, signal);
  await requireSame();
  // What is listed counts from here on, whoever put it.
  await bucket.packs.settle(signal);
  const segmentDeps = {
    ...deps,
    ...bucket,
    vaultId: deps.vault,
    index: index.buckets,
    vault: bucket.vault,
    requireSame,
  };
  const known = index.buckets.segments(bucket.target);
  const segments = await judgeSegments(there.segments, segmentDeps, signal);
  const lost = noteLostSegments(bucket.target, known, segments, index);
  if (lost > 0)
    bucket.warn({
      code: 'W_BUCKET_LOST',
      message: `${bucket.objects.label} lost ${lost} chain segment(s) that were there; they are put again`,
    });
  const compared = await comparePacks(
    { store: bucket.store, label: bucket.objects.label, packs: bucket.packs, listed: there.packs },
    {
      index: index.chunks,
      nowNs: deps.clock.nowNs(),
      passedOver: bucket.passedOver,
      ...(deps.progress === undefined ? {} : { progress: deps.progress }),
    },
    signal,
  );
  if (compared.gone.length > 0)
    bucket.warn({
      code: 'W_BUCKET_LOST',
      message: `${bucket.objects.label} lost ${compared.gone.length} pack(s) that were there; they are put again as far as copies are left`,
    });
  rejectDamagedPacks(bucket, deps);
  await putVaultFiles(bucket.vault, { ...deps, requireSame }, signal);

  const writer = openBucketPackWriter({
    store: bucket.store,
    vault: deps.vault,
    clock: deps.clock,
    index: index.chunks,
    put: (name, body, packClass) => bucket.packs.put({ name, packClass }, body, signal),
    progress: deps.progress,
  });
  if (asked !== undefined) await compareAdds(bucket, asked.seq, deps);
  const unreachable = await sendLacking(bucket, writer, deps, signal);
  const entries = asked === undefined ? 0 : await putSegments(missingRanges(segments, asked.seq), segmentDeps, signal);
  const position = asked === undefined ? undefined : wholeUpTo(asked, bucket, deps);
  const isWhole = position?.seq === asked?.seq;
  await requireSame();
  // Where the bucket has all that is held, nothing needs what nobody can read. Packs that tiers put are not asked for
  // by the chain.
  if (!isWhole || bucket.scope === 'meta')
    for (const { message } of compared.damaged) bucket.warn({ code: 'store-damaged', message });
  if (isWhole) forgetLost(bucket, deps);
  index.chunks.settleLosses();
  // What is lost is told by what the bucket lacks. What only cannot be reached now makes the job fail, and it is tried again.
  if (!isWhole && unreachable !== undefined) throw unreachable;
  return {
    target: bucket.target,
    ...writer.totals(),
    entries,
    position,
    bucket: { storeId, location: bucket.location(storeId) },
  };
}

/** Another store answers under the name for good: its rows were of the old one. */
function forget(bucket: BucketTarget, { index }: BucketDeps): void {
  index.buckets.forget(bucket.target);
  index.beliefs.delete(bucket.target);
  index.kv.delete(verifiedKey(bucket.target));
}

async function listOwn(
  bucket: BucketTarget,
  { self }: BucketDeps,
  signal: AbortSignal | undefined,
): Promise<{ readonly packs: readonly ListedPack[]; readonly segments: readonly ListedSegment[] }> {
  const withSignal = signal === undefined ? {} : { signal };
  const segments: ListedSegment[] = [];
  for await (const segment of bucket.vault.segments(self.agentId, withSignal)) segments.push(segment);
  const packs: ListedPack[] = [];
  for await (const pack of bucket.packs.list(self.agentId, signal)) packs.push(pack);
  return { packs, segments };
}

/** Segments that were put once stay: a store of which the id is gone shows all of them, and an empty folder none. */
function showsWhatWasPut(
  there: Awaited<ReturnType<typeof listOwn>>,
  { target, store }: BucketTarget,
  { index }: BucketDeps,
): boolean {
  const segments = new Set(there.segments.map(nameOf));
  const put = index.buckets.segments(target);
  if (put.length > 0) return put.every((segment) => segments.has(nameOf(segment)));
  const packs = new Set(there.packs.map(({ name }) => name));
  return index.chunks.packs(store).every(({ name }) => packs.has(name));
}

/** Notes forms of adds since the last job that the bucket does not have. Packs that tiers or another target put there count. */
async function compareAdds(bucket: BucketTarget, untilSeq: number, deps: BucketDeps): Promise<void> {
  const { chains, index, self } = deps;
  const { target, store, scope } = bucket;
  const afterSeq = index.buckets.comparedUntil(target);
  let lacking: LackingForms[] = [];
  for await (const { head, body } of chains.entries(self.agentId, { afterSeq, untilSeq })) {
    const { kind, seq, shard } = head.header;
    if (kind !== EntryKind.add || body === undefined) continue;
    const forms = decodeAdd(body);
    const there = index.chunks.addresses(
      store,
      forms.map(({ id }) => id),
    );
    const positions = forms.flatMap((form, i) => (!isThere(there[i]) && isWanted(form, scope) ? [i] : []));
    if (positions.length > 0) lacking.push({ shard, seq, positions });
    if (lacking.length < ENTRIES_AT_ONCE) continue;
    index.buckets.noteLacking(target, lacking, seq);
    lacking = [];
  }
  if (lacking.length > 0 || untilSeq > afterSeq) index.buckets.noteLacking(target, lacking, untilSeq);
}

/** A marked copy is a place to try, and does not count. */
function isThere(address: SealedAddress | undefined): boolean {
  return address !== undefined && address.marked === undefined;
}

function isWanted({ formClass }: Form, scope: BucketTarget['scope']): boolean {
  return scope === 'all' || classOf({ formClass }) === 'meta';
}

function classOf({ formClass }: Pick<Form, 'formClass'>): 'data' | 'meta' {
  return formClass === 'meta' || formClass === 'meta-delta' ? 'meta' : 'data';
}

/** Sends what the bucket lacks, oldest adds first. Answers the first error of a source that could not be asked. */
async function sendLacking(
  bucket: BucketTarget,
  writer: BucketPackWriter,
  deps: BucketDeps,
  signal: AbortSignal | undefined,
): Promise<EdgeError | undefined> {
  const { chains, index, self } = deps;
  let unreachable: EdgeError | undefined;
  const supply = {
    index: index.chunks,
    sources: deps.sources,
    heldForms: (ids: Parameters<typeof chains.heldForms>[1]) => chains.heldForms(self.agentId, ids),
    onUnreachable: (error: EdgeError) => {
      unreachable ??= error;
    },
  };
  let afterSeq = 0;
  for (;;) {
    const page = index.buckets.lacking(bucket.target, afterSeq, ENTRIES_AT_ONCE);
    const last = page.at(-1);
    if (last === undefined) break;
    afterSeq = last.seq;
    const wanted: SupplyRequest[] = [];
    for (const forms of page) wanted.push(...stillLacking(forms, bucket, deps));
    for await (const chunk of supplyBucket(wanted, supply, signal)) await writer.add(chunk);
  }
  await writer.flush();
  clearSent(bucket, deps);
  return unreachable;
}

/** Clears what the bucket has, what is not held any more, and what it need not have; answers the rest. */
function stillLacking(forms: LackingForms, bucket: BucketTarget, { chains, index, self }: BucketDeps): SupplyRequest[] {
  const { seq, shard, positions } = forms;
  const listed = chains.forms(self.agentId, seq, positions);
  const ids = listed.map(({ id }) => id);
  const there = index.chunks.addresses(bucket.store, ids);
  const held = chains.isHeld(self.agentId, shard, ids);
  const needed = listed.map((form, i) => !isThere(there[i]) && held[i] === 1 && isWanted(form, bucket.scope));
  const done = positions.filter((_, i) => needed[i] !== true);
  if (done.length > 0) index.buckets.clearLacking(bucket.target, [{ seq, shard, positions: done }]);
  return listed.flatMap((form, i) => (needed[i] === true ? [{ id: form.id, packClass: classOf(form) }] : []));
}

function clearSent(bucket: BucketTarget, deps: BucketDeps): void {
  let afterSeq = 0;
  for (;;) {
    const page = deps.index.buckets.lacking(bucket.target, afterSeq, ENTRIES_AT_ONCE);
    const last = page.at(-1);
    if (last === undefined) return;
    afterSeq = last.seq;
    for (const forms of page) stillLacking(forms, bucket, deps);
  }
}

/** Everything that is held is in the bucket: what was in packs that are gone is there again, or nobody holds it any more. */
function forgetLost({ store, scope }: BucketTarget, { index }: BucketDeps): void {
  for (const { name, packClass, marked } of index.chunks.packs(store))
    if (marked !== undefined && marked !== 'unreadable' && (scope === 'all' || packClass === 'meta'))
      index.chunks.forgetPack(name, store);
}

/**
 * A pack of which the own index is damaged serves no recovery, although its frames can be read from here: what it has
 * counts as damaged, and is put again.
 */
function rejectDamagedPacks({ store, scope }: BucketTarget, { index }: BucketDeps): void {
  for (const { name, packClass, marked } of index.chunks.packs(store)) {
    if (marked !== 'damaged' || (scope === 'meta' && packClass === 'data')) continue;
    const why = 'the index of its pack is damaged';
    const frames = index.chunks.framesOf(name, store);
    index.chunks.markCopies(
      frames.map(({ id }) => ({ id, pack: name, reason: 'damaged', why })),
      store,
    );
  }
}

/** The newest own entry before the first add with a form that the bucket lacks. */
function wholeUpTo(asked: Position, { target }: BucketTarget, { chain, index }: BucketDeps): Position | undefined {
  const first = index.buckets.lacking(target, 0, 1)[0]?.seq;
  if (first === undefined || first > asked.seq) return asked;
  return first > 1 ? chain.positionAt(first - 1) : undefined;
}
