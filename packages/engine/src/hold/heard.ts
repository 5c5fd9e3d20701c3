/** When each owner was heard of last, in running time of this store (docs/chain.md 3.7). */
import type { AgentId } from '../core/ids.ts';
import type { KeyValue } from '../core/ports/index.ts';
import type { RunningTime } from './running-time.ts';

export interface Heard {
  note(owner: AgentId): void;
  /** Running time at which the owner was heard of; 0 for never. */
  lastNs(owner: AgentId): bigint;
}

/** Each request would be a durable write otherwise. */
const NOTE_EVERY_NS = 60_000_000_000n;

export function createHeard(kv: KeyValue, running: RunningTime): Heard {
  const keyOf = (owner: AgentId): string => `heard.${owner}`;
  const lastNs = (owner: AgentId): bigint => BigInt(kv.get(keyOf(owner)) ?? '0');
  return {
    note: (owner) => {
      const nowNs = running.nowNs();
      const last = lastNs(owner);
      if (last === 0n || nowNs - last >= NOTE_EVERY_NS) kv.set(keyOf(owner), String(nowNs));
    },
    lastNs,
  };
}
