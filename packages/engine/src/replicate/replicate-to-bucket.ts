/**
 * Brings a bucket up to date: packs of what it lacks, then the log in segments (P2), and what an empty machine needs to begin: descriptor, slots, cards.
 * A bucket that is only a cold tier gets trees and log, not the content.
 */
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import {
  type AgentId,
  type ChunkId,
  type HexId,
  type PackClass,
  type PackName,
  toHex,
  type VaultId,
} from '../core/ids.ts';
import { PACK_LOCAL_BYTES_TARGET } from '../core/limits.ts';
import { compareHeads } from '../log/check-chain.ts';
import { decodeEnvelope } from '../log/record.ts';
import type { Head } from '../log/record-body.ts';
import { encodeSegment } from '../log/segment.ts';
import { createPackBuilder, type PackBuilder } from '../pack/pack-builder.ts';
import { acknowledgedHead, rememberAck } from './acknowledged.ts';
import { type BucketVaultFiles, putVaultFiles } from './put-vault-files.ts';
import { unplacedChunks, type WantedChunk } from './reachable-chunks.ts';
import type { ReplicateDeps, ReplicateReport } from './replicate-deps.ts';
import { describeChunks, isMeta, supplyChunks } from './sealed-supply.ts';

export interface BucketTarget {
  /** `[stores.<name>]` */
  readonly store: string;
  /** `store:<name>`, or `store-meta:<name>` for trees and log only: a page that is placed there says nothing about its files. */
  readonly target: string;
  readonly scope: 'all' | 'meta';
  readonly packs: { put(name: PackName, body: Uint8Array, signal?: AbortSignal): Promise<void> };
  readonly vault: BucketVaultFiles & {
    readonly label: string;
    segments(
      agent?: AgentId,
      signal?: AbortSignal,
    ): Promise<readonly { readonly incarnation: number; readonly firstSeq: number; readonly lastSeq: number }[]>;
    putSegment(
      segment: {
        readonly agent: AgentId;
        readonly incarnation: number;
        readonly firstSeq: number;
        readonly lastSeq: number;
      },
      bytes: Uint8Array,
      signal?: AbortSignal,
    ): Promise<boolean>;
  };
}

/** Chunks looked up at a time. */
const COLLECT_MAX = 4096;
/** Packs are held in memory until they are put, one of each class: half of what a bucket's pack may have. */
const PACK_BYTES_TARGET = PACK_LOCAL_BYTES_TARGET;
const SEGMENT_BYTES_TARGET = 4 * 1024 * 1024;

/** E_ROLLBACK and E_FORK as for a peer; E_STORE, E_DENIED, E_NO_BUCKET from the store. */
export async function replicateToBucket(
  bucket: BucketTarget,
  deps: ReplicateDeps,
  signal?: AbortSignal,
): Promise<ReplicateReport> {
  const { self, log, index } = deps;
  const end = log.head(self.agentId);
  await putVaultFiles(bucket.target, bucket.vault, deps, signal);
  const writer = openPackWriter(bucket, deps, signal);
  let last = await bucketHead(bucket, deps, signal);
  if (last !== undefined && (end === undefined || compareHeads(last, end) > 0)) {
    throw new EdgeError(
      'E_ROLLBACK',
      `${bucket.vault.label} has record ${last.incarnation}/${last.seq} of this agent, newer than anything here`,
      {
        hint: 'This machine was put back to an older state, or its identity was taken over. Recover it with `edgestore recover`.',
      },
    );
  }
  const acknowledged = acknowledgedHead(index.kv, bucket.target);
  let records = 0;
  if (end !== undefined) {
    for (const snapshot of index.log.snapshots({ agent: self.agentId, includeForgotten: true })) {
      if (snapshot.branch || compareHeads(snapshot, end) > 0) continue;
      // What an acknowledged record reaches lies there; a forgotten snapshot's record goes along, so its chunks do.
      if (acknowledged !== undefined && compareHeads(snapshot, acknowledged) <= 0) continue;
      const walk = {
        sources: deps.sources,
        opener: deps.opener,
        isPlaced: (ids: readonly Uint8Array[]) => index.placements.placed(bucket.target, ids),
      };
      for await (const chunk of unplacedChunks(snapshot.body, bucket.scope, walk, signal)) await writer.add(chunk);
      await writer.flush();
    }
    const put = await putSegments(bucket, last, end, deps, signal);
    records = put.count;
    last = put.head ?? last;
    if (records > 0 || acknowledgedHead(index.kv, bucket.target) === undefined)
      rememberAck(index.kv, bucket.target, end);
  }
  return { target: bucket.target, ...writer.totals(), records, head: acknowledgedHead(index.kv, bucket.target) };
}

interface PackWriter {
  add(chunk: WantedChunk): Promise<void>;
  /** Resolves when everything added is in the bucket, verified and placed. */
  flush(): Promise<void>;
  totals(): { chunks: number; bytes: number; sentBytes: number };
}

/** A pack in the making: its bytes are laid down once, where they are sent from. */
interface OpenPack {
  readonly builder: PackBuilder;
  readonly parts: Uint8Array[];
}

function openPackWriter(bucket: BucketTarget, deps: ReplicateDeps, signal: AbortSignal | undefined): PackWriter {
  const open = new Map<PackClass, OpenPack>();
  /** In an open pack or waiting to be described. */
  const pending = new Set<HexId>();
  /** Trees that lie in the bucket already; they may be called placed only when what they name is, too. */
  let storedTrees: ChunkId[] = [];
  let collected: WantedChunk[] = [];
  const totals = { chunks: 0, bytes: 0, sentBytes: 0 };

  function place(ids: readonly ChunkId[]): void {
    if (ids.length > 0) deps.index.placements.addPlacements(bucket.target, ids, deps.clock.nowNs());
  }

  /** Chunks that the bucket has already (demoted, or put by a pass that was cut off) are only noted. */
  function withoutStored(wanted: readonly WantedChunk[]): WantedChunk[] {
    const rows = deps.index.chunks.locate(wanted.map((one) => one.id));
    const missing: WantedChunk[] = [];
    const content: ChunkId[] = [];
    for (const [i, one] of wanted.entries()) {
      if (!rows[i]?.some((row) => row.store === bucket.store)) missing.push(one);
      else if (isMeta(one.kind)) storedTrees.push(one.id);
      else content.push(one.id);
    }
    place(content);
    return missing;
  }

  async function putPack(packClass: PackClass): Promise<void> {
    const pack = open.get(packClass);
    if (pack === undefined) return;
    open.delete(packClass);
    const finished = pack.builder.finish();
    const body = Buffer.concat([...pack.parts, finished.tail], finished.bytes);
    await bucket.packs.put(finished.name, body, signal);
    failpoint('replicate.bucket-pack-put');
    const { name, bytes, frames } = finished;
    deps.index.chunks.addPack(
      { name, store: bucket.store, packClass, bytes, frames: frames.length, createdNs: deps.clock.nowNs() },
      frames,
    );
    const ids = Array.from(frames, (frame) => frame.id);
    place(ids);
    for (const id of ids) pending.delete(toHex(id));
    totals.sentBytes += bytes;
    deps.progress?.({ phase: 'replicate', bytesDone: totals.sentBytes, detail: bucket.store });
  }

  /** Parents never reach the bucket before their children: the content that is open goes before any tree. */
  async function put(packClass: PackClass): Promise<void> {
    await putPack('data');
    if (packClass === 'data') return;
    await putPack('meta');
    place(storedTrees);
    storedTrees = [];
  }

  async function drain(): Promise<void> {
    const wanted = withoutStored(collected);
    collected = [];
    const described = await describeChunks(wanted, { index: deps.index.chunks, sources: deps.sources }, signal);
    for (const packClass of ['data', 'meta'] as const) {
      const ofClass = described.filter((chunk) => chunk.packClass === packClass);
      for await (const chunk of supplyChunks(ofClass, { index: deps.index.chunks, sources: deps.sources }, signal)) {
        const pack = open.get(packClass) ?? beginPack(deps.vault, packClass);
        open.set(packClass, pack);
        const { id, keyId, sealed: bytes, sealedSha256: sha256, identified } = chunk;
        pack.parts.push(pack.builder.frameHeader({ id, packClass, keyId, bytes, sha256, identified }), bytes);
        pack.builder.add({ id, packClass, keyId, bytes, sha256, identified });
        totals.chunks++;
        totals.bytes += bytes.length;
        if (pack.builder.bytes >= PACK_BYTES_TARGET) await put(packClass);
      }
    }
  }

  return {
    async add(chunk) {
      const hex = toHex(chunk.id);
      if (pending.has(hex)) return;
      pending.add(hex);
      collected.push(chunk);
      if (collected.length >= COLLECT_MAX) await drain();
    },
    async flush() {
      await drain();
      await put('meta');
      pending.clear();
    },
    totals: () => totals,
  };
}

function beginPack(vault: VaultId, packClass: PackClass): OpenPack {
  const builder = createPackBuilder(vault, packClass);
  return { builder, parts: [builder.header()] };
}

/** The newest record that lies there, by what this index knows or else by listing. */
async function bucketHead(
  bucket: BucketTarget,
  deps: ReplicateDeps,
  signal: AbortSignal | undefined,
): Promise<Pick<Head, 'incarnation' | 'seq'> | undefined> {
  const known = acknowledgedHead(deps.index.kv, bucket.target);
  if (known !== undefined) return known;
  let newest: { incarnation: number; seq: number } | undefined;
  for (const { incarnation, lastSeq } of await bucket.vault.segments(deps.self.agentId, signal)) {
    const place = { incarnation, seq: lastSeq };
    if (newest === undefined || compareHeads(place, newest) > 0) newest = place;
  }
  return newest;
}

/** Records after `from`, up to and with `to`, as objects of one incarnation each. */
async function putSegments(
  bucket: BucketTarget,
  from: Pick<Head, 'incarnation' | 'seq'> | undefined,
  to: Head,
  deps: ReplicateDeps,
  signal: AbortSignal | undefined,
): Promise<{ readonly count: number; readonly head: Head | undefined }> {
  const agent = deps.self.agentId;
  let group: Uint8Array[] = [];
  let bytes = 0;
  let count = 0;
  let head: Head | undefined;
  const put = async (): Promise<void> => {
    if (group.length === 0) return;
    const first = decodeEnvelope(group[0]!);
    const last = decodeEnvelope(group.at(-1)!);
    await bucket.vault.putSegment(
      { agent, incarnation: first.incarnation, firstSeq: first.seq, lastSeq: last.seq },
      encodeSegment(group),
      signal,
    );
    head = last;
    count += group.length;
    group = [];
    bytes = 0;
  };
  for await (const record of deps.log.read(agent, { after: from })) {
    const envelope = decodeEnvelope(record);
    if (compareHeads(envelope, to) > 0) break;
    const isOtherLife = group.length > 0 && decodeEnvelope(group[0]!).incarnation !== envelope.incarnation;
    if (isOtherLife || bytes + record.length > SEGMENT_BYTES_TARGET) await put();
    group.push(record);
    bytes += record.length;
  }
  await put();
  return { count, head };
}
