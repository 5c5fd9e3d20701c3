/** When a target is tried again. */
import type { RandomBytes } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';

/** Between tries of one target: doubled from the first to the second, with jitter, so that a thousand edges do not come back at once (P7). */
export const RETRY_MS_MIN = 1000;
export const RETRY_MS_MAX = 5 * 60_000;
/** Waiting does not help against these. */
const FINAL: readonly ErrorCode[] = [
  'E_DENIED',
  'E_ROLLBACK',
  'E_FORK',
  'E_NEWER_FORMAT',
  'E_NO_BUCKET',
  'E_INTEGRITY',
  'E_USAGE',
  'E_CONFIG',
];

export function isFinal(code: string): code is ErrorCode {
  return (FINAL as readonly string[]).includes(code);
}

/** Full jitter over the upper half, so that it never comes back at once. */
export function backoffMs(attempts: number, random: RandomBytes): number {
  const most = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(attempts, 20));
  const bytes = random(2);
  return Math.round(most / 2 + (most / 2) * ((bytes[0]! * 256 + bytes[1]!) / 65_536));
}

/** When a target is tried again. A time that no pause reaches was noted by a clock that was ahead: it is due now. */
export function nextTryNs(row: { readonly nextTryNs: bigint }, nowNs: bigint): bigint {
  return row.nextTryNs - nowNs > BigInt(RETRY_MS_MAX) * 1_000_000n ? nowNs : row.nextTryNs;
}
