/** Entries that other stores have of damaged ranges, spooled: a range may be a whole file. Nothing of them is believed before it is put in place. */
import { decodeChainItem, encodeChainItem } from '../chain/chain-segment.ts';
import { verifyHead } from '../chain/entry-head.ts';
import type { Sodium } from '../codec/sodium.ts';
import { isEdgeError, toEdgeError } from '../core/errors.ts';
import type { AgentId } from '../core/ids.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import type { ChainEntry } from '../ports/chains.ts';
import type { EntrySpool, SpooledItem } from '../store/chains/entry-spool.ts';
import type { ChainSource } from './chain-repair-types.ts';

export interface SeqRange {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export interface GatherEntriesDeps {
  readonly sodium: Sodium;
  readonly sources: readonly ChainSource[];
  readonly spool: EntrySpool;
  /** Log key of an incarnation; undefined where no card names it. */
  readonly signPublicKey: (incarnation: number) => Uint8Array | undefined;
  /** False for an entry that is known to be another one. */
  readonly isWanted: (entry: ChainEntry) => boolean;
  readonly warn: ReportWarning;
  readonly signal?: AbortSignal | undefined;
}

export interface GatheredEntries {
  entryOf(seq: number): Promise<ChainEntry | undefined>;
  /** Labels of sources that had something. */
  readonly from: readonly string[];
  /** Labels of sources that could not be asked. */
  readonly unasked: readonly string[];
  /** Labels of sources that showed another entry with the right signature in the place of one that is known. */
  readonly foreign: readonly string[];
  readonly lastSeq: number;
}

export async function gatherEntries(
  agent: AgentId,
  ranges: readonly SeqRange[],
  deps: GatherEntriesDeps,
): Promise<GatheredEntries> {
  const items = new Map<number, SpooledItem & { readonly hasBody: boolean }>();
  const from = new Set<string>();
  const unasked: string[] = [];
  const foreign = new Set<string>();
  for (const source of deps.sources) {
    try {
      for (const { firstSeq, lastSeq } of ranges) {
        const range = { afterSeq: firstSeq - 1, untilSeq: lastSeq };
        for await (const entry of source.entries(agent, range, deps.signal)) {
          deps.signal?.throwIfAborted();
          const { seq } = entry.head.header;
          if (seq < firstSeq || seq > lastSeq || !isSigned(entry, agent, deps)) continue;
          if (!deps.isWanted(entry)) {
            foreign.add(source.label);
            continue;
          }
          const known = items.get(seq);
          if (known !== undefined && (known.hasBody || entry.body === undefined)) continue;
          items.set(seq, { ...(await deps.spool.append(encodeChainItem(entry))), hasBody: entry.body !== undefined });
          from.add(source.label);
        }
      }
    } catch (error) {
      deps.signal?.throwIfAborted();
      const { code, message } = toEdgeError(error);
      if (code === 'E_NO_SPACE') throw error;
      unasked.push(source.label);
      deps.warn({ code, message: `${source.label} could not be asked for a chain: ${message}` });
    }
  }
  return {
    from: [...from],
    unasked,
    foreign: [...foreign],
    lastSeq: [...items.keys()].reduce((most, seq) => Math.max(most, seq), 0),
    async entryOf(seq) {
      const item = items.get(seq);
      // An item is its length and the entry behind it.
      return item === undefined ? undefined : decodeChainItem((await deps.spool.read(item)).subarray(4));
    },
  };
}

function isSigned({ head }: ChainEntry, agent: AgentId, deps: GatherEntriesDeps): boolean {
  if (head.header.agent !== agent) return false;
  const key = deps.signPublicKey(head.header.incarnation);
  if (key === undefined) return false;
  try {
    verifyHead(deps.sodium, head, key);
    return true;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    return false;
  }
}
