/**
 * Reads the chain segments of an agent in a bucket again. The name of a segment tells its content, so a pass takes it
 * for good without reading it; damage in it shows here, before a recovery needs it.
 */
import { encodeChainSegment, requireSegment, segmentKey } from '../chain/chain-segment.ts';
import type { WholeEntry } from '../chain/record-entry.ts';
import { isEdgeError } from '../core/errors.ts';
import type { AgentId } from '../core/ids.ts';
import type { Chains } from '../ports/chains.ts';
import type { BucketVault, ListedSegment } from '../store/bucket/bucket-vault.ts';

export interface ScrubSegmentsDeps {
  readonly vault: Pick<BucketVault, 'label' | 'segments' | 'getSegment' | 'putSegment'>;
  /** Throws unless it is the place that segments were put into. */
  readonly requireIdentity: (signal?: AbortSignal) => Promise<void>;
  readonly chains: Pick<Chains, 'entries'>;
  readonly signal: AbortSignal;
}

export interface ScrubbedSegments {
  /** What is damaged, in words. */
  readonly damaged: readonly string[];
  /** Of these, segments that were put again. */
  readonly repaired: number;
}

/** No segment is longer: some 4 MiB of entries and one body of at most 16 MiB. */
const SEGMENT_BYTES_MAX = 32 * 1024 * 1024;

/**
 * With `repair` a damaged segment is replaced where the own chain still has exactly what its name says. What the store
 * throws.
 */
export async function scrubSegments(
  { agent, repair }: { readonly agent: AgentId; readonly repair: boolean },
  deps: ScrubSegmentsDeps,
): Promise<ScrubbedSegments> {
  const { vault, signal } = deps;
  const damaged: string[] = [];
  let repaired = 0;
  for await (const segment of vault.segments(agent, { signal })) {
    const problem = await problemOf(segment, deps);
    if (problem === undefined) continue;
    // A segment that was listed a moment ago and is gone may have gone with its disk.
    await deps.requireIdentity(signal);
    damaged.push(`${vault.label}: ${problem}`);
    if (repair && (await putAgain(segment, agent, deps))) repaired++;
  }
  return { damaged, repaired };
}

async function problemOf(segment: ListedSegment, { vault, signal }: ScrubSegmentsDeps): Promise<string | undefined> {
  if (segment.bytes > SEGMENT_BYTES_MAX)
    return `the segment of entries ${segment.first} to ${segment.last} has ${segment.bytes} bytes`;
  try {
    requireSegment(segment, await vault.getSegment(segment, signal));
    return undefined;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    return error.message;
  }
}

async function putAgain(segment: ListedSegment, agent: AgentId, deps: ScrubSegmentsDeps): Promise<boolean> {
  const entries: WholeEntry[] = [];
  let bodyBytes = 0;
  try {
    const range = { afterSeq: segment.first - 1, untilSeq: segment.last };
    for await (const { head, body } of deps.chains.entries(agent, range)) {
      bodyBytes += body?.length ?? 0;
      if (body === undefined || bodyBytes > SEGMENT_BYTES_MAX) return false;
      entries.push({ head, body });
    }
  } catch (error) {
    // The own copy is damaged too: the mending of the chain says so.
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    return false;
  }
  if (entries.length === 0) return false;
  const bytes = encodeChainSegment(entries);
  const key = segmentKey(entries, bytes);
  const isTheSame =
    key.incarnation === segment.incarnation &&
    key.first === segment.first &&
    key.last === segment.last &&
    key.sha256 === segment.sha256;
  if (isTheSame) await deps.vault.putSegment(segment, bytes, deps.signal);
  return isTheSame;
}
