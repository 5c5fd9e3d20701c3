/**
 * What is not satisfied here, since when, and whether somebody should know (docs/chain.md 3.7). Lost and unreadable are findings at once. Wanted is lag while
 * it shrinks, or while its owner is heard of within a day of running time.
 */
import type { AgentId } from '../core/ids.ts';
import type { KeyValue } from '../core/ports/index.ts';
import type { Chains, ShardState } from '../ports/chains.ts';
import type { Heard } from './heard.ts';
import type { RunningTime } from './running-time.ts';

export interface HoldFinding {
  readonly owner: AgentId;
  readonly shard: number;
  readonly wanted: number;
  readonly lost: number;
  readonly unreadable: number;
  /** Wall time since when something of the shard is not satisfied. */
  readonly sinceNs: bigint;
  /** False while it is only lag. */
  readonly isFinding: boolean;
}

export interface HoldFindingsDeps {
  readonly chains: Pick<Chains, 'agents' | 'shards'>;
  readonly kv: KeyValue;
  readonly heard: Pick<Heard, 'lastNs'>;
  readonly running: Pick<RunningTime, 'nowNs'>;
  /** Wall time, for people. */
  readonly nowNs: () => bigint;
}

/** A day of running time. */
const DAY_NS = 86_400_000_000_000n;

/** What is known of a shard that lacks something. */
interface Noted {
  readonly sinceNs: string;
  /** The least that was wanted, and the running time at which it fell to that. */
  readonly wanted: number;
  readonly shrankNs: string;
}

/** One item for each shard of the owners that lacks anything. Notes durably when a shard begins or ends to lack something. */
export function holdFindings(owners: readonly AgentId[], deps: HoldFindingsDeps): HoldFinding[] {
  const findings: HoldFinding[] = [];
  for (const owner of owners) {
    for (const state of deps.chains.shards(owner)) {
      const finding = findingOf(owner, state, deps);
      if (finding !== undefined) findings.push(finding);
    }
  }
  return findings;
}

function findingOf(owner: AgentId, state: ShardState, deps: HoldFindingsDeps): HoldFinding | undefined {
  const { shard, wanted, lost, unreadable } = state;
  const key = `lacks.${owner}.${shard}`;
  const text = deps.kv.get(key);
  if (wanted + lost + unreadable === 0) {
    if (text !== undefined) deps.kv.delete(key);
    return undefined;
  }
  const nowNs = deps.running.nowNs();
  const known = text === undefined ? undefined : (JSON.parse(text) as Noted);
  const hasShrunk = known === undefined || wanted < known.wanted;
  const noted: Noted = {
    sinceNs: known?.sinceNs ?? String(deps.nowNs()),
    wanted: known === undefined ? wanted : Math.min(wanted, known.wanted),
    shrankNs: hasShrunk ? String(nowNs) : known.shrankNs,
  };
  if (hasShrunk) deps.kv.set(key, JSON.stringify(noted));
  const isMoving = nowNs - BigInt(noted.shrankNs) < DAY_NS || nowNs - deps.heard.lastNs(owner) < DAY_NS;
  return {
    owner,
    shard,
    wanted,
    lost,
    unreadable,
    sinceNs: BigInt(noted.sinceNs),
    isFinding: lost + unreadable > 0 || (wanted > 0 && !isMoving),
  };
}
