/**
 * Compares a bucket with what was verified there (docs/chain.md 6.1): entries of the own chain that no segment has any
 * more, and files of the vault that are gone or are other bytes. Packs have their own comparison. Nothing is put.
 */
import { createHash } from 'node:crypto';
import { isEdgeError } from '../core/errors.ts';
import { type BucketVault, type ListedSegment, VAULT_FILE_BYTES_MAX } from '../store/bucket/bucket-vault.ts';
import { requireKnownStore } from '../store/bucket/store-id.ts';
import { isMadeOfOwnEntries, type JudgeSegmentsDeps, nameOf } from './judge-segments.ts';
import { verifiedKey } from './lost-segments.ts';
import { missingRanges, type SeqRange } from './put-segments.ts';
import { GONE, noteGone, putNames, type VaultFile, wantedFiles } from './put-vault-files.ts';
import type { BucketDeps, BucketTarget } from './replicate-to-bucket.ts';

interface FileProblem {
  readonly name: string;
  readonly problem: string;
}

/**
 * What is missing, in words. With `notes` the bucket counts for nothing until a pass put it again: rows of segments
 * that are gone go, and so does the newest answer. What the store throws; E_NO_BUCKET for another store.
 */
export async function checkBucket(
  bucket: BucketTarget,
  { notes }: { readonly notes: boolean },
  deps: BucketDeps,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const { index, self, vault } = deps;
  const check = { name: bucket.store, store: bucket.objects, vault };
  // Before the listings: a pass that runs meanwhile adds, and takes nothing away.
  const rows = index.buckets.segments(bucket.target);
  const belief = index.beliefs.get(bucket.target);
  const put = putNames(bucket.vault.label, index.kv);
  await requireKnownStore(check, index.kv, signal);
  const listed: ListedSegment[] = [];
  const options = signal === undefined ? {} : { signal };
  for await (const segment of bucket.vault.segments(self.agentId, options)) listed.push(segment);
  const files = await problemsOfFiles(bucket, put, { judges: notes }, deps, signal);
  const names = new Set(listed.map(nameOf));
  const gone = rows.filter((row) => !names.has(nameOf(row)));
  const known = new Set(rows.map(nameOf));
  const requireSame = (): Promise<void> => requireKnownStore(check, index.kv, signal);
  const judge: JudgeSegmentsDeps = {
    ...deps,
    ...bucket,
    vaultId: vault,
    index: index.buckets,
    vault: bucket.vault,
    requireSame,
  };
  const covered: ListedSegment[] = [];
  for (const segment of listed) if (known.has(nameOf(segment)) || (await isOwn(segment, judge))) covered.push(segment);
  const asked = belief?.kind === 'bucket' ? (belief.position?.seq ?? 0) : 0;
  const noted = Number(index.kv.get(verifiedKey(bucket.target)) ?? 0);
  const verified = rows.reduce((max, { last }) => Math.max(max, last), Math.max(asked, noted));
  const untilSeq = Math.min(verified, deps.chain.position()?.seq ?? 0);
  const segments: string[] = [];
  for (const range of missingRanges(covered, untilSeq))
    if (await hasWholeEntries(range, deps))
      segments.push(`entries ${range.first} to ${range.last} of the chain are gone: no segment there has them`);
  const missing = [...segments, ...files.map(({ problem }) => problem)];
  if (missing.length === 0) return missing;
  // The place that was listed is still the one that answers.
  await requireKnownStore(check, index.kv, signal);
  if (notes) {
    // First what keeps it a finding until a pass put it again.
    index.kv.set(verifiedKey(bucket.target), String(untilSeq));
    if (files.length > 0) noteGone(bucket.vault.label, files, index.kv);
    index.beliefs.delete(bucket.target);
    index.buckets.removeSegments(bucket.target, gone);
  }
  return missing;
}

/** An own entry that is damaged here says nothing about the bucket. */
async function isOwn(segment: ListedSegment, deps: JudgeSegmentsDeps): Promise<boolean> {
  try {
    return await isMadeOfOwnEntries(segment, deps);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    return true;
  }
}

/** Entries whose bodies no store had at a takeover are in no segment. */
async function hasWholeEntries({ first, last }: SeqRange, { chains, self }: BucketDeps): Promise<boolean> {
  const range = { afterSeq: first - 1, untilSeq: last, omitsDamagedBodies: true, leavesGaps: true };
  for await (const { body } of chains.entries(self.agentId, range)) if (body !== undefined) return true;
  return false;
}

/**
 * Of files that were put there and are wanted as they were: those that are gone, and those that are other bytes now.
 */
async function problemsOfFiles(
  bucket: BucketTarget,
  put: ReadonlyMap<string, string>,
  { judges }: { readonly judges: boolean },
  deps: BucketDeps,
  signal: AbortSignal | undefined,
): Promise<FileProblem[]> {
  const there = await bucket.vault.vaultFiles(signal);
  const read = judges ? await readVaultFiles(bucket.vault, there, signal) : new Map<string, Uint8Array>();
  const problems: FileProblem[] = [];
  // After the listing: a slot that is removed meanwhile is not wanted.
  for (const file of await wantedFiles(bucket.vault, deps, signal)) {
    const { name } = file;
    const digest = put.get(name);
    if (digest !== digestOf(file.bytes) && digest !== GONE) continue;
    if (!there.has(name)) problems.push({ name, problem: `the ${name} of the vault is gone` });
    else if (judges && (await isOther(file, read.get(name), bucket, deps)))
      problems.push({ name, problem: `the ${name} of the vault is not what was put` });
  }
  return problems;
}

/** A newer file of another agent is learned, and no damage. */
async function isOther(
  file: VaultFile,
  stored: Uint8Array | undefined,
  bucket: BucketTarget,
  { files }: BucketDeps,
): Promise<boolean> {
  // Too large to be one, or gone since it was listed: the pass sees.
  if (stored === undefined) return true;
  if (digestOf(stored) === digestOf(file.bytes)) return false;
  return (await files.mayReplace?.(file.kind, stored, bucket.vault.label)) ?? true;
}

async function readVaultFiles(
  vault: Pick<BucketVault, 'descriptor' | 'slots' | 'slotRemovals' | 'cards'>,
  there: ReadonlyMap<string, number>,
  signal: AbortSignal | undefined,
): Promise<Map<string, Uint8Array>> {
  const isReadable = (there.get('descriptor') ?? 0) <= VAULT_FILE_BYTES_MAX;
  const descriptor = isReadable ? await vault.descriptor(signal) : undefined;
  return new Map([
    ...(descriptor === undefined ? [] : [['descriptor', descriptor] as const]),
    ...(await vault.slots(signal)).map(({ slotId, bytes }) => [`slot ${slotId}`, bytes] as const),
    ...(await vault.slotRemovals(signal)).map(({ slotId, bytes }) => [`slot-removal ${slotId}`, bytes] as const),
    ...(await vault.cards(signal)).map(
      ({ agent, incarnation, bytes }) => [`card ${agent}-${incarnation}`, bytes] as const,
    ),
  ]);
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
