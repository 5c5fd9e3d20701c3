/** Decides what moves to the cold tier, without moving anything. */
import { createHash, type Hash } from 'node:crypto';
import { EdgeError } from '../core/errors.ts';
import { PACK_BUCKET_BYTES_TARGET } from '../core/limits.ts';
import type { ChunkLocation, StoreName } from '../core/ports/index.ts';
import { FRAME_HEADER_BYTES, INDEX_ENTRY_BYTES } from '../pack/layout.ts';
import type { ReachedChunk } from './age-table.ts';
import { type ChunkAges, readChunkAges } from './chunk-ages.ts';
import { chunkTier } from './chunk-tier.ts';
import type { ColdStore, DemotePart, DemotePlan, TierDeps, TierInput, TierPolicy } from './demote-types.ts';
import { copiesById, type OpenPlannedChunks, plannedChunks } from './planned-chunks.ts';

/** Rows looked up at a time. */
const LOCATE_AT_ONCE = 1000;

interface OpenPart {
  readonly store: StoreName | undefined;
  readonly policy: TierPolicy;
  readonly put: OpenPlannedChunks;
  readonly check: OpenPlannedChunks;
  /** Over the ids of both. */
  readonly putHash: Hash;
  readonly checkHash: Hash;
}

/**
 * Chunks on the own disk that are colder than their policy's warm age. Those that the cold store does not have are to be put there; the others only
 * verified and dropped. E_CONFIG when a policy names a store that is not configured.
 */
export async function planDemote(
  input: TierInput,
  deps: TierDeps & { readonly buckets: ReadonlyMap<StoreName, ColdStore> },
  signal?: AbortSignal,
): Promise<DemotePlan> {
  const nowNs = deps.clock.nowNs();
  const ages = await readChunkAges(input, deps, signal);
  const parts = new Map<string, OpenPart>();
  let oldestAgeNs = -1n;
  let heldForOthers = 0;
  for (let from = 0; from < ages.count; from += LOCATE_AT_ONCE) {
    signal?.throwIfAborted();
    const rows = Array.from({ length: Math.min(LOCATE_AT_ONCE, ages.count - from) }, (_, i) => from + i);
    const chunks = rows.map((row) => ages.at(row));
    const located = deps.index.chunks.locateKeys(chunks.map(({ key }) => key));
    for (const [i, chunk] of chunks.entries()) {
      for (const copies of copiesById(located[i] ?? [])) consider(rows[i]!, chunk, copies);
    }
  }

  function consider(row: number, chunk: ReachedChunk, copies: readonly ChunkLocation[]): void {
    const local = copies.find((copy) => copy.store === '');
    const { policy } = chunk;
    if (local === undefined || policy === undefined) return;
    const { tier, ageNs } = chunkTier(local.id, chunk, copies, { nowNs, lastRead: deps.index.chunks.lastRead });
    if (tier !== 'cold') return;
    if (policy.cold !== undefined && !deps.buckets.has(policy.cold)) {
      throw new EdgeError(
        'E_CONFIG',
        `the tiering ${policy.name} names the store ${policy.cold}, which is not configured`,
        {
          hint: `Add [stores.${policy.cold}], or correct tiering.${policy.name}.cold.`,
        },
      );
    }
    if (policy.cold === undefined && deps.index.holds.isHeldByOthers(local.id)) {
      heldForOthers += 1;
      return;
    }
    const part = partOf(parts, policy, ages, deps);
    const isChecked = policy.cold === undefined || isIn(policy.cold, copies);
    (isChecked ? part.check : part.put).add(row, local);
    (isChecked ? part.checkHash : part.putHash).update(local.id);
    if (ageNs > oldestAgeNs) oldestAgeNs = ageNs;
  }
  const notes = [...new Set(ages.broken)].map((problem) => `not looked at: ${problem}`);
  if (heldForOthers > 0)
    notes.push(
      `${heldForOthers} cold chunks stay: other agents hold them here, and no store is configured to move them to`,
    );
  return finishPlan([...parts.values()], oldestAgeNs < 0n ? undefined : nowNs - oldestAgeNs, notes);
}

function isIn(store: StoreName | undefined, copies: readonly ChunkLocation[]): boolean {
  return copies.some((copy) => copy.store !== '' && copy.store === store);
}

function partOf(parts: Map<string, OpenPart>, policy: TierPolicy, ages: ChunkAges, deps: TierDeps): OpenPart {
  const key = `${policy.cold ?? ''}/${policy.copies}/${policy.sites}`;
  const known = parts.get(key);
  if (known !== undefined) return known;
  const { cold } = policy;
  const { chunks } = deps.index;
  const part: OpenPart = {
    store: cold,
    policy,
    put: plannedChunks(ages, chunks, (copies) => !isIn(cold, copies)),
    check: plannedChunks(ages, chunks, (copies) => cold === undefined || isIn(cold, copies)),
    putHash: createHash('sha256'),
    checkHash: createHash('sha256'),
  };
  parts.set(key, part);
  return part;
}

function finishPlan(open: readonly OpenPart[], oldestNs: bigint | undefined, notes: readonly string[]): DemotePlan {
  const hash = createHash('sha256').update('edgestore demote plan v1\0');
  const parts: DemotePart[] = [];
  let requests = 0;
  const put = { chunks: 0, bytes: 0 };
  const drop = { chunks: 0, bytes: 0 };
  for (const { store, policy, put: toPut, check, putHash, checkHash } of open) {
    hash.update(JSON.stringify([store ?? null, policy.copies, policy.sites, toPut.count, check.count]));
    hash.update(putHash.digest()).update(checkHash.digest());
    parts.push({ store, copies: policy.copies, sites: policy.sites, put: toPut, check });
    put.chunks += toPut.count;
    put.bytes += toPut.bytes;
    drop.chunks += toPut.count + check.count;
    drop.bytes += toPut.bytes + check.bytes;
    const packed = toPut.bytes + toPut.count * (FRAME_HEADER_BYTES + INDEX_ENTRY_BYTES);
    requests += 2 * Math.ceil(packed / PACK_BUCKET_BYTES_TARGET);
    if (store !== undefined) requests += Math.ceil(check.bytes / PACK_BUCKET_BYTES_TARGET);
  }
  return { id: hash.digest('hex'), parts, put, drop, requests, oldestNs, notes };
}
