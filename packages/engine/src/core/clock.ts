/** Time and chance come in from the composition root, so that one seed can replay a run. */

export interface Clock {
  /** Wall time in nanoseconds since 1970-01-01T00:00:00Z; may jump. */
  nowNs(): bigint;
  /** Milliseconds on a clock that never goes back; only differences mean something. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Cryptographically strong random bytes (in tests: a seeded stream). */
export type RandomBytes = (length: number) => Uint8Array;

/** RFC 3339 in UTC with milliseconds, e.g. `2026-11-20T22:00:00.000Z`. */
export function formatTimeNs(ns: bigint): string {
  const ms = Number(ns / 1_000_000n);
  return new Date(ms).toISOString();
}
