import { EdgeError } from '../core/errors.ts';

const NANOS_PER_SECOND = 1_000_000_000n;

/** Whole seconds since 1970, any sign, and the nanoseconds that count forward from them: two numbers where one integer of 64 bits ends in 2554. */
export interface SplitTime {
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanos: number;
}

/** E_LIMIT beyond 285 million years. */
export function splitTime(ns: bigint): SplitTime {
  let seconds = ns / NANOS_PER_SECOND;
  let nanos = ns - seconds * NANOS_PER_SECOND;
  // Division of big integers cuts towards zero.
  if (nanos < 0n) {
    nanos += NANOS_PER_SECOND;
    seconds -= 1n;
  }
  if (!Number.isSafeInteger(Number(seconds))) throw new EdgeError('E_LIMIT', 'a time is beyond all bounds');
  return { seconds: Number(seconds), nanos: Number(nanos) };
}

export function joinTime(seconds: number, nanos: number): bigint {
  return BigInt(seconds) * NANOS_PER_SECOND + BigInt(nanos);
}
