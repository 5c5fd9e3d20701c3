/** Decides what moves to the cold tier, without moving anything. */
import { createHash } from 'node:crypto';
import { EdgeError } from '../core/errors.ts';
import { PACK_BUCKET_BYTES_TARGET } from '../core/limits.ts';
import type { ChunkLocation, StoreName } from '../core/ports/index.ts';
import { FRAME_HEADER_BYTES, INDEX_ENTRY_BYTES } from '../pack/layout.ts';
import { readChunkAges } from './chunk-ages.ts';
import { chunkTier } from './chunk-tier.ts';
import type {
  ChunkTotals,
  ColdStore,
  DemotePart,
  DemotePlan,
  PlannedChunk,
  TierDeps,
  TierInput,
  TierPolicy,
} from './demote-types.ts';

/** Rows looked up at a time. */
const LOCATE_AT_ONCE = 1000;

interface OpenPart {
  readonly store: StoreName | undefined;
  readonly policy: TierPolicy;
  readonly put: PlannedChunk[];
  readonly check: PlannedChunk[];
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
    const batch = Array.from({ length: Math.min(LOCATE_AT_ONCE, ages.count - from) }, (_, i) => ages.at(from + i));
    const locations = deps.index.chunks.locate(batch.map((chunk) => chunk.id));
    for (const [i, chunk] of batch.entries()) {
      const copies = locations[i] ?? [];
      const local = copies.find((copy) => copy.store === '');
      const { policy } = chunk;
      if (local === undefined || policy === undefined) continue;
      const { tier, ageNs } = chunkTier(chunk, copies, { nowNs, lastRead: deps.index.chunks.lastRead });
      if (tier !== 'cold') continue;
      if (policy.cold !== undefined && !deps.buckets.has(policy.cold)) {
        throw new EdgeError(
          'E_CONFIG',
          `the tiering ${policy.name} names the store ${policy.cold}, which is not configured`,
          {
            hint: `Add [stores.${policy.cold}], or correct tiering.${policy.name}.cold.`,
          },
        );
      }
      const isInStore = copies.some((copy) => copy.store !== '' && copy.store === policy.cold);
      if (policy.cold === undefined && deps.index.holds.isHeldByOthers(chunk.id)) {
        heldForOthers += 1;
        continue;
      }
      const part = partOf(parts, policy);
      (policy.cold === undefined || isInStore ? part.check : part.put).push(planned(local));
      if (ageNs > oldestAgeNs) oldestAgeNs = ageNs;
    }
  }
  const notes = [...new Set(ages.broken)].map((problem) => `not looked at: ${problem}`);
  if (heldForOthers > 0)
    notes.push(
      `${heldForOthers} cold chunks stay: other agents hold them here, and no store is configured to move them to`,
    );
  return finishPlan([...parts.values()], oldestAgeNs < 0n ? undefined : nowNs - oldestAgeNs, notes);
}

function partOf(parts: Map<string, OpenPart>, policy: TierPolicy): OpenPart {
  const key = `${policy.cold ?? ''}/${policy.copies}/${policy.sites}`;
  const part = parts.get(key) ?? { store: policy.cold, policy, put: [], check: [] };
  parts.set(key, part);
  return part;
}

function planned(local: ChunkLocation): PlannedChunk {
  const { id, keyId, sealedBytes, sealedSha256, pack, offset, createdNs } = local;
  return { id, keyId, sealedBytes, sealedSha256, pack, offset, createdNs };
}

function finishPlan(open: readonly OpenPart[], oldestNs: bigint | undefined, notes: readonly string[]): DemotePlan {
  const hash = createHash('sha256').update('edgestore demote plan v1\0');
  const parts: DemotePart[] = [];
  let requests = 0;
  const put = { chunks: 0, bytes: 0 };
  const drop = { chunks: 0, bytes: 0 };
  for (const { store, policy, put: toPut, check } of open) {
    hash.update(JSON.stringify([store ?? null, policy.copies, policy.sites, toPut.length, check.length]));
    for (const chunk of [...toPut, ...check]) hash.update(chunk.id);
    parts.push({ store, copies: policy.copies, sites: policy.sites, put: toPut, check });
    const bytes = total(toPut);
    put.chunks += toPut.length;
    put.bytes += bytes;
    drop.chunks += toPut.length + check.length;
    drop.bytes += bytes + total(check);
    const packed = bytes + toPut.length * (FRAME_HEADER_BYTES + INDEX_ENTRY_BYTES);
    requests += 2 * Math.ceil(packed / PACK_BUCKET_BYTES_TARGET);
    if (store !== undefined) requests += Math.ceil(total(check) / PACK_BUCKET_BYTES_TARGET);
  }
  return { id: hash.digest('hex'), parts, put, drop, requests, oldestNs, notes };
}

function total(chunks: readonly PlannedChunk[]): ChunkTotals['bytes'] {
  return chunks.reduce((sum, chunk) => sum + chunk.sealedBytes, 0);
}
