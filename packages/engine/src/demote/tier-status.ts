/** How much lies in which tier, and why one file does. */

import { resolvePath } from '../browse/resolve-path.ts';
import { openTreeReader } from '../browse/tree-reader.ts';
import type { ChunkId } from '../core/ids.ts';
import type { ChunkLocation, SnapshotRow, StoreName } from '../core/ports/index.ts';
import type { Tier } from '../policy/tier.ts';
import { formatDuration } from '../policy/units.ts';
import type { ReachedChunk } from './age-table.ts';
import { type ChunkAges, readChunkAges } from './chunk-ages.ts';
import { chunkTier } from './chunk-tier.ts';
import type { ChunkTotals, TierDeps, TierInput } from './demote-types.ts';
import { copiesById } from './planned-chunks.ts';

/** Where chunks of a tier are: the own disk, a store, or only with peers. */
export type TierPlace =
  | { readonly place: 'local' }
  | { readonly place: 'store'; readonly store: StoreName }
  | { readonly place: 'peers' };

export interface TierRow extends ChunkTotals {
  readonly tier: Tier;
  readonly where: TierPlace;
}

export interface TierStatus {
  /** Data chunks of live snapshots by tier and place; a chunk that is in two places is in both rows. Bytes are of sealed chunks; 0 for peers. */
  readonly rows: readonly TierRow[];
  /** Trees and lists on the own disk, which stay. */
  readonly metaBytes: number;
  readonly notes: readonly string[];
}

const LOCATE_AT_ONCE = 1000;

export async function tierStatus(input: TierInput, deps: TierDeps, signal?: AbortSignal): Promise<TierStatus> {
  const ages = await readChunkAges(input, deps, signal);
  const nowNs = deps.clock.nowNs();
  const rows = new Map<string, { readonly tier: Tier; readonly where: TierPlace; chunks: number; bytes: number }>();
  for (let from = 0; from < ages.count; from += LOCATE_AT_ONCE) {
    signal?.throwIfAborted();
    const batch = Array.from({ length: Math.min(LOCATE_AT_ONCE, ages.count - from) }, (_, i) => ages.at(from + i));
    const located = deps.index.chunks.locateKeys(batch.map(({ key }) => key));
    for (const [i, chunk] of batch.entries()) {
      const groups = copiesById(located[i] ?? []);
      for (const copies of groups.length === 0 ? [[]] : groups) count(chunk, copies);
    }
  }

  function count(chunk: ReachedChunk, copies: readonly ChunkLocation[]): void {
    const { tier } = chunkTier(copies[0]?.id, chunk, copies, { nowNs, lastRead: deps.index.chunks.lastRead });
    for (const { where, bytes } of placesOf(copies)) {
      const key = JSON.stringify([tier, where]);
      const row = rows.get(key) ?? { tier, where, chunks: 0, bytes: 0 };
      row.chunks += 1;
      row.bytes += bytes;
      rows.set(key, row);
    }
  }
  const metaBytes = deps.index.chunks
    .packs('')
    .filter((pack) => pack.packClass === 'meta')
    .reduce((sum, pack) => sum + pack.bytes, 0);
  const order: readonly Tier[] = ['hot', 'warm', 'cold'];
  return {
    rows: [...rows.values()].sort(
      (a, b) =>
        order.indexOf(a.tier) - order.indexOf(b.tier) || (JSON.stringify(a.where) < JSON.stringify(b.where) ? -1 : 1),
    ),
    metaBytes,
    notes: [...new Set(ages.broken)].map((problem) => `not looked at: ${problem}`),
  };
}

function placesOf(copies: readonly ChunkLocation[]): { readonly where: TierPlace; readonly bytes: number }[] {
  if (copies.length === 0) return [{ where: { place: 'peers' }, bytes: 0 }];
  const stores = new Map<StoreName, number>();
  for (const copy of copies) stores.set(copy.store, copy.sealedBytes);
  return [...stores].map(([store, bytes]) => ({
    where: store === '' ? { place: 'local' } : { place: 'store', store },
    bytes,
  }));
}

export interface TierExplanation {
  readonly tier: Tier;
  readonly reasons: readonly string[];
}

/** Why a file of a snapshot is in its tier: that of its youngest chunk. E_NOT_FOUND when the snapshot has no such path. */
export async function explainTier(
  input: TierInput & { readonly snapshot: SnapshotRow; readonly path: Uint8Array },
  deps: TierDeps,
  signal?: AbortSignal,
): Promise<TierExplanation> {
  const reader = openTreeReader({ sources: deps.sources, opener: deps.opener, warn: deps.warn });
  const { entry } = await resolvePath(reader, input.snapshot.body.entry, input.path, signal);
  const policy = input.policyOf(input.snapshot.body.root);
  if (policy === undefined)
    return {
      tier: 'hot',
      reasons: [`no [tiering] applies to the root ${input.snapshot.body.root}: everything stays here`],
    };
  if (entry.type !== 'file')
    return { tier: 'hot', reasons: ['only the content of files is tiered; trees and metadata stay here'] };
  const ages = await readChunkAges(input, deps, signal);
  const ids: ChunkId[] = [];
  for await (const refs of reader.refs(entry, signal)) for (const { id } of refs) ids.push(id);
  const found = summarize(ids, ages, deps);
  const reasons = [
    `the tiering ${policy.name}: hot up to ${age(policy.hotNs)}, warm up to ${age(policy.warmNs)}, then ${policy.cold === undefined ? 'dropped here when peers have it' : `to the store ${policy.cold}`}`,
    `its youngest chunk was changed, stored or read ${age(found.youngestNs)} ago`,
  ];
  if (found.staying > 0)
    reasons.push(`${found.staying} of its chunks are pinned, not matched, or shared with a file that is not tiered`);
  for (const [where, chunks] of found.places) reasons.push(`${chunks} of ${ids.length} chunks ${where}`);
  return { tier: found.tier, reasons };
}

function summarize(ids: readonly ChunkId[], ages: ChunkAges, deps: TierDeps) {
  const order: readonly Tier[] = ['hot', 'warm', 'cold'];
  const nowNs = deps.clock.nowNs();
  const places = new Map<string, number>();
  let tier: Tier = ids.length === 0 ? 'hot' : 'cold';
  let youngestNs = -1n;
  let staying = 0;
  for (const [i, copies] of deps.index.chunks.locate(ids).entries()) {
    const chunk = ages.find(ids[i] as ChunkId);
    if (chunk === undefined) continue;
    const one = chunkTier(ids[i], chunk, copies, { nowNs, lastRead: deps.index.chunks.lastRead });
    if (order.indexOf(one.tier) < order.indexOf(tier)) tier = one.tier;
    if (youngestNs < 0n || one.ageNs < youngestNs) youngestNs = one.ageNs;
    if (chunk.policy === undefined) staying += 1;
    for (const { where } of placesOf(copies)) {
      const text =
        where.place === 'local'
          ? 'are on this disk'
          : where.place === 'peers'
            ? 'are only with peers'
            : `are in the store ${where.store}`;
      places.set(text, (places.get(text) ?? 0) + 1);
    }
  }
  return { tier, youngestNs: youngestNs < 0n ? 0n : youngestNs, staying, places };
}

function age(ns: bigint): string {
  return formatDuration(Number(ns / 1_000_000n));
}
