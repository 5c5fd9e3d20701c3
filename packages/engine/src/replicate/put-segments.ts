/** Puts what a bucket lacks of the own chain: whole entries, hold bodies too, in segments of one incarnation that are never overwritten. */
import { encodeChainSegment, segmentKey } from '../chain/chain-segment.ts';
import { HEAD_BYTES } from '../chain/entry-head.ts';
import type { WholeEntry } from '../chain/record-entry.ts';
import { EdgeError } from '../core/errors.ts';
import { MIB } from '../core/limits.ts';
import type { BucketVault, ListedSegment } from '../store/bucket/bucket-vault.ts';
import { type JudgeSegmentsDeps, judgeSegments, nameOf } from './judge-segments.ts';

const SEGMENT_BYTES_TARGET = 4 * MIB;

export interface SeqRange {
  readonly first: number;
  readonly last: number;
}

export interface PutSegmentsDeps extends Omit<JudgeSegmentsDeps, 'vault'> {
  readonly vault: Pick<BucketVault, 'label' | 'getSegment' | 'putSegment' | 'segments'>;
}

/** Seqs from 1 to `end` that no segment has. */
export function missingRanges(segments: readonly SeqRange[], end: number): SeqRange[] {
  const missing: SeqRange[] = [];
  let next = 1;
  for (const { first, last } of [...segments].sort((a, b) => a.first - b.first)) {
    if (first > next) missing.push({ first: next, last: Math.min(first - 1, end) });
    next = Math.max(next, last + 1);
    if (next > end) return missing;
  }
  if (next <= end) missing.push({ first: next, last: end });
  return missing;
}

/**
 * Puts the entries of the ranges, then lists from the first of them on: a segment of another writer with the same numbers, or of a newer incarnation, shows
 * up there whoever of the two put first. Answers how many entries were put.
 */
export async function putSegments(
  ranges: readonly SeqRange[],
  deps: PutSegmentsDeps,
  signal?: AbortSignal,
): Promise<number> {
  const put: ListedSegment[] = [];
  let count = 0;
  for (const range of ranges) {
    for await (const entries of groupsOf(range, deps)) {
      signal?.throwIfAborted();
      const segment = await putGroup(entries, deps, signal);
      put.push(segment);
      count += entries.length;
    }
  }
  const [firstPut] = put;
  if (firstPut === undefined) return 0;
  const from = put.reduce(
    (a, b) => (b.incarnation < a.incarnation || (b.incarnation === a.incarnation && b.first < a.first) ? b : a),
    firstPut,
  );
  // Before and after the listing: what was put into another place meanwhile is not in the listing of this one.
  await deps.requireSame();
  const listed: ListedSegment[] = [];
  const options = signal === undefined ? {} : { signal };
  for await (const segment of deps.vault.segments(deps.self.agentId, {
    from: { incarnation: from.incarnation, seq: from.first },
    ...options,
  }))
    listed.push(segment);
  await deps.requireSame();
  requireListed(put, listed, deps);
  deps.index.addSegments(deps.target, put);
  await requireNoOther(listed, deps, signal);
  return count;
}

/** The bucket must show at once what was put, or two writers could pass each other unseen. */
function requireListed(put: readonly ListedSegment[], listed: readonly ListedSegment[], deps: PutSegmentsDeps): void {
  const names = new Map(listed.map((segment) => [nameOf(segment), segment.bytes]));
  const hidden = put.find((segment) => names.get(nameOf(segment)) !== segment.bytes);
  if (hidden === undefined) return;
  throw new EdgeError(
    'E_STORE',
    `${deps.vault.label}: the listing does not show the chain segment ${nameOf(hidden)}, which was put just now`,
    {
      hint: 'The store does not list what was put before. Copies there count for no level.',
      context: { store: deps.vault.label },
      retryable: true,
    },
  );
}

/** Verified segments before the listed ones stay known: only what was listed is judged. */
async function requireNoOther(
  listed: readonly ListedSegment[],
  deps: PutSegmentsDeps,
  signal: AbortSignal | undefined,
): Promise<void> {
  const known = new Set(deps.index.segments(deps.target).map(nameOf));
  const others = listed.filter((segment) => !known.has(nameOf(segment)));
  if (others.length === 0) return;
  const { index } = deps;
  await judgeSegments(
    others,
    { ...deps, index: { segments: () => [], addSegments: index.addSegments, removeSegments: () => {} } },
    signal,
  );
}

async function putGroup(
  entries: readonly WholeEntry[],
  deps: PutSegmentsDeps,
  signal: AbortSignal | undefined,
): Promise<ListedSegment> {
  const bytes = encodeChainSegment(entries);
  const segment: ListedSegment = { ...segmentKey(entries, bytes), bytes: bytes.length };
  await deps.vault.putSegment(segment, bytes, signal);
  return segment;
}

/** Entries of one incarnation that follow one another. An entry whose body no store had at a takeover is left out: nobody can put it whole. */
async function* groupsOf(range: SeqRange, deps: PutSegmentsDeps): AsyncGenerator<readonly WholeEntry[]> {
  const { chains, self } = deps;
  let group: WholeEntry[] = [];
  let bytes = 0;
  for await (const { head, body } of chains.entries(self.agentId, {
    afterSeq: range.first - 1,
    untilSeq: range.last,
  })) {
    const size = HEAD_BYTES + (body?.length ?? 0);
    const isOther = group[0]?.head.header.incarnation !== head.header.incarnation;
    if (group.length > 0 && (body === undefined || isOther || bytes + size > SEGMENT_BYTES_TARGET)) {
      yield group;
      group = [];
      bytes = 0;
    }
    if (body === undefined) continue;
    group.push({ head, body });
    bytes += size;
  }
  if (group.length > 0) yield group;
}
