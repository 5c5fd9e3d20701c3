/**
 * The clock of an owner's releases (docs/chain.md 7.1, 7.3): running time of this store and completed collections. While the brake is on it does not move, so no
 * grace runs out. Both lie in the index: a rebuild begins them again.
 */
import type { AgentId } from '../core/ids.ts';
import type { KeyValue } from '../core/ports/index.ts';
import type { GraceClock } from '../ports/released.ts';

export interface OwnerClock extends GraceClock {
  /** Running time up to which the clock was moved. */
  readonly seenNs: bigint;
  /** Wall time since when the brake is on, for people; undefined while it is off. */
  readonly brakeSinceNs: bigint | undefined;
  /** Released bytes that the operator let go: the brake stays off up to them. */
  readonly allowedBytes: number;
}

interface Noted {
  readonly running: string;
  readonly passes: number;
  readonly seen: string;
  readonly brake?: string;
  readonly allowed: number;
}

const keyOf = (owner: AgentId): string => `grace.${owner}`;

export function readClock(owner: AgentId, kv: KeyValue, runningNs: bigint): OwnerClock {
  const text = kv.get(keyOf(owner));
  if (text === undefined)
    return { runningNs: 0n, passes: 0, seenNs: runningNs, brakeSinceNs: undefined, allowedBytes: 0 };
  const noted = JSON.parse(text) as Noted;
  return {
    runningNs: BigInt(noted.running),
    passes: noted.passes,
    seenNs: BigInt(noted.seen),
    brakeSinceNs: noted.brake === undefined ? undefined : BigInt(noted.brake),
    allowedBytes: noted.allowed,
  };
}

export function writeClock(owner: AgentId, clock: OwnerClock, kv: KeyValue): void {
  const noted: Noted = {
    running: String(clock.runningNs),
    passes: clock.passes,
    seen: String(clock.seenNs),
    allowed: clock.allowedBytes,
    ...(clock.brakeSinceNs === undefined ? {} : { brake: String(clock.brakeSinceNs) }),
  };
  kv.set(keyOf(owner), JSON.stringify(noted));
}

/** Moves the clock by what ran since, unless the brake is on. */
export function advance(clock: OwnerClock, runningNs: bigint): OwnerClock {
  const passed = runningNs > clock.seenNs ? runningNs - clock.seenNs : 0n;
  const isBraked = clock.brakeSinceNs !== undefined;
  return { ...clock, runningNs: clock.runningNs + (isBraked ? 0n : passed), seenNs: runningNs };
}

/** The operator's answer to a brake: what is released now may go when its grace is over. */
export function releaseBrake(owner: AgentId, releasedBytes: number, kv: KeyValue, runningNs: bigint): void {
  const clock = advance(readClock(owner, kv, runningNs), runningNs);
  writeClock(owner, { ...clock, brakeSinceNs: undefined, allowedBytes: releasedBytes }, kv);
}
