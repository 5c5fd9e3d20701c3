/** The nouns of repairing chains: where entries come from, and what became of the own chain. */
import type { Link } from '../chain/position.ts';
import type { AgentId } from '../core/ids.ts';
import type { ChainEntry } from '../ports/chains.ts';

/** Another store that may have entries of a chain: a peer or a bucket. */
export interface ChainSource {
  readonly label: string;
  /** Unverified, ascending by seq within each run; forks and branches may be among them. Throws when the store cannot be asked. */
  entries(
    agent: AgentId,
    range: { readonly afterSeq: number; readonly untilSeq: number },
    signal?: AbortSignal,
  ): AsyncIterable<ChainEntry>;
}

export interface RepairedSnapshot {
  readonly id: Link;
  readonly root: string;
  /** Undefined when only the header of its entry can be read. */
  readonly timeNs: bigint | undefined;
}

export interface ChainRepair {
  /** `whole`: every entry is there again. `cut`: what no store has is lost, and the agent is in a new incarnation. */
  readonly how: 'whole' | 'cut';
  /** Entries of the chain now. */
  readonly entries: number;
  /** Labels of those that had entries which were missing here. */
  readonly from: readonly string[];
  /** Where the damaged files lie now; empty where they lie beside the mended ones. */
  readonly aside: string;
  readonly kept: readonly RepairedSnapshot[];
  /** Their entries lay behind the damage. They stay listed and restorable, and count for no level. */
  readonly behind: readonly RepairedSnapshot[];
  readonly lost: readonly RepairedSnapshot[];
}
