/** Fetches sealed chunks from whatever sources have them, several at once, until each is taken or no copy is left. */
import type { EdgeError } from '../core/errors.ts';
import { type HexId, toHex } from '../core/ids.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { CopyRouter, Wanted } from './copy-router.ts';

export interface FetchOutcome {
  /**
   * Takes one sealed chunk; `sealed` may be a view that is valid only during the call. Returns undefined when it is good, or what is
   * wrong with it, and then another copy is fetched.
   */
  readonly take: (wanted: Wanted, sealed: Uint8Array) => string | undefined;
  /** No source has a good copy. */
  readonly missing: (wanted: Wanted, error: EdgeError) => void;
}

/**
 * Settles every wanted chunk exactly once, by `take` or by `missing`. A copy that was chosen before is used. Throws only when the signal is
 * aborted, and E_NEWER_FORMAT when a local pack is of a later format.
 */
export async function fetchSealed(
  router: CopyRouter,
  wanted: readonly Wanted[],
  outcome: FetchOutcome,
  signal?: AbortSignal,
): Promise<void> {
  let open = [...wanted];
  while (open.length > 0) {
    const undecided = open.filter((one) => one.copy === undefined);
    if (undecided.length > 0) await router.choose(undecided, signal);
    const bySource = new Map<SealedSource, Map<HexId, Wanted>>();
    for (const one of open) {
      if (one.copy === undefined) {
        outcome.missing(one, router.explain(one));
        continue;
      }
      const group = bySource.get(one.copy.source) ?? new Map<HexId, Wanted>();
      group.set(one.hex, one);
      bySource.set(one.copy.source, group);
    }
    const again = await Promise.all(
      [...bySource].map(([source, group]) => drain(router, source, group, outcome, signal)),
    );
    open = again.flat();
  }
}

/** Reads one source's share; returns the chunks that need another copy. */
async function drain(
  router: CopyRouter,
  source: SealedSource,
  group: Map<HexId, Wanted>,
  outcome: FetchOutcome,
  signal: AbortSignal | undefined,
): Promise<Wanted[]> {
  const again: Wanted[] = [];
  const addresses = [...group.values()].map((one) => one.copy!.address);
  try {
    for await (const answer of source.fetch(addresses, signal)) {
      const hex = toHex(answer.address.id);
      const one = group.get(hex);
      // A source that answers what was not asked, or twice, is not believed and does no harm.
      if (one === undefined) continue;
      group.delete(hex);
      if ('reason' in answer) {
        router.spoil(one, answer.reason, answer.detail);
        again.push(one);
        continue;
      }
      const wrong = outcome.take(one, answer.sealed);
      if (wrong === undefined) {
        router.sourceWorked(source);
      } else {
        router.spoil(one, 'damaged', wrong);
        again.push(one);
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    for (const one of group.values()) {
      router.sourceFailed(one, source, error);
      again.push(one);
    }
    return again;
  }
  for (const one of group.values()) {
    router.spoil(one, 'absent', 'the source did not answer for it');
    again.push(one);
  }
  return again;
}
