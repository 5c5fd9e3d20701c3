/**
 * A holder's collection (docs/chain.md 7): frames that nobody holds any more are deleted when their grace is over. The
 * grace counts running time of this store and completed collections. A mass release stops the clock of its owner until
 * the operator answers, and nothing of an owner goes while a branch of it is here. The deleting transaction looks
 * again.
 */
import type { AgentId, ChunkId } from '../core/ids.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import { advance, type OwnerClock, readClock, writeClock } from './grace-clock.ts';
import { type NoteDeps, noteReleases } from './note-releases.ts';

export interface CollectPolicy {
  readonly graceNs: bigint;
  /** Collections that have to be completed after the one that noted a release. */
  readonly gracePasses: number;
  /** Part of an owner's bytes here, 0 to 1: when more than it is released within the grace, the brake goes on. */
  readonly brakeShare: number;
  /** Less than this never brakes. */
  readonly brakeBytesMin: number;
}

export const DEFAULT_COLLECT_POLICY: CollectPolicy = {
  graceNs: 7n * 86_400_000_000_000n,
  gracePasses: 2,
  brakeShare: 0.25,
  brakeBytesMin: 64 * 1024 * 1024,
};

export interface CollectDeps extends NoteDeps {
  readonly self: AgentId;
  readonly chunks: Pick<ChunkStore, 'drop'>;
  /** Bytes of an owner's chunks here, for the share of the brake. */
  readonly heldBytes: (owner: AgentId) => number;
  readonly running: { nowNs(): bigint; note(): void };
  /** Wall time, for people. */
  readonly nowNs: () => bigint;
}

export interface CollectReport {
  readonly deleted: number;
  readonly bytesFreed: number;
  /** Owners whose clock stands still. */
  readonly braked: readonly AgentId[];
}

const IDS_AT_ONCE = 4096;

export async function collectReleased(
  policy: CollectPolicy,
  deps: CollectDeps,
  signal?: AbortSignal,
): Promise<CollectReport> {
  const { chains, index } = deps;
  const owners = new Set([...chains.agents().filter((agent) => agent !== deps.self), ...index.released.owners()]);
  const braked: AgentId[] = [];
  let deleted = 0;
  let bytesFreed = 0;
  for (const owner of owners) {
    const nowNs = deps.running.nowNs();
    let clock = advance(readClock(owner, index.kv, nowNs), nowNs);
    await noteReleases(owner, clock, deps, signal);
    clock = brake(owner, clock, policy, deps);
    writeClock(owner, clock, index.kv);
    if (clock.brakeSinceNs !== undefined) {
      braked.push(owner);
      continue;
    }
    // What was in grace where a branch was frozen belongs to it (9.2), and nothing says which frames those are: all
    // wait for the branch's end.
    if (chains.branches(owner).length > 0) continue;
    const done = await deleteDue(owner, clock, policy, deps, signal);
    deleted += done.deleted;
    bytesFreed += done.bytesFreed;
    // The collection is completed for this owner: what it noted waits for so many more.
    writeClock(owner, { ...clock, passes: clock.passes + 1 }, index.kv);
  }
  deps.running.note();
  return { deleted, bytesFreed, braked };
}

function brake(owner: AgentId, clock: OwnerClock, policy: CollectPolicy, deps: CollectDeps): OwnerClock {
  const { bytes } = deps.index.released.totals(owner);
  if (bytes === 0) return { ...clock, brakeSinceNs: undefined, allowedBytes: 0 };
  if (clock.brakeSinceNs !== undefined) return clock;
  const all = bytes + deps.heldBytes(owner);
  const isMass = bytes > policy.brakeBytesMin && bytes > policy.brakeShare * all && bytes > clock.allowedBytes;
  return isMass ? { ...clock, brakeSinceNs: deps.nowNs() } : clock;
}

async function deleteDue(
  owner: AgentId,
  clock: OwnerClock,
  { graceNs, gracePasses }: CollectPolicy,
  deps: CollectDeps,
  signal: AbortSignal | undefined,
): Promise<{ readonly deleted: number; readonly bytesFreed: number }> {
  const until = { runningNs: clock.runningNs - graceNs, passes: clock.passes - gracePasses };
  let deleted = 0;
  let bytesFreed = 0;
  for (;;) {
    signal?.throwIfAborted();
    const due = deps.index.released.due(owner, until, IDS_AT_ONCE);
    if (due.length === 0) return { deleted, bytesFreed };
    const ids = due.map(({ id }) => id);
    // Claimed, or held by somebody again: the transaction looks, and what it keeps stays.
    bytesFreed += (await deps.chunks.drop(ids, signal, deps.isHeld)).bytesFreed;
    deps.index.released.forget(ids);
    const claimed = due.filter(({ id }) => !deps.isHeld(id) && isHere(id, deps));
    deps.index.released.note(claimed, clock);
    deleted += due.filter(({ id }) => !isHere(id, deps)).length;
  }
}

function isHere(id: ChunkId, { index }: CollectDeps): boolean {
  return index.chunks.locate([id])[0]!.some((copy) => copy.store === '');
}
