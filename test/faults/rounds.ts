/** How much is tried: a little in every run of the tests, more when asked. A seed repeats a run. */
import { seededRandom } from '../crash/kill.ts';

const asked = process.env.EDGESTORE_FAULT_ROUNDS;

/** The normal run has 50 rounds of kills and media faults; `EDGESTORE_FAULT_ROUNDS=1000` is a long one. */
export const ROUNDS = Number(asked ?? 50);
/** A normal run on a busy machine has fewer rounds than that, and says how many. A number that was asked for is done. */
export const MS_OF_ROUNDS = asked === undefined ? 120_000 : Number.POSITIVE_INFINITY;
export const SEED = Number(process.env.EDGESTORE_FAULT_SEED ?? Date.now() % 2 ** 31);

export { seededRandom };

/** So many of the list, spread over all of it, the last one always; a longer run takes more of them. */
export function spread<T>(list: readonly T[], inNormalRun: number): T[] {
  const wanted = Math.min(list.length, Math.max(3, Math.round((inNormalRun * ROUNDS) / 50)));
  return Array.from({ length: wanted }, (_, at) => list[Math.floor(((at + 1) * list.length) / wanted) - 1] as T);
}

/**
 * So many of the list in a normal run, one of each stretch of it, by the seed; all of it with EDGESTORE_FAULT_LONG=1.
 */
export function sampled<T>(list: readonly T[], inNormalRun: number): T[] {
  if (process.env.EDGESTORE_FAULT_LONG === '1') return [...list];
  const random = seededRandom(SEED);
  const wanted = Math.min(list.length, Math.max(3, Math.round((inNormalRun * ROUNDS) / 50)));
  return Array.from({ length: wanted }, (_, at) => list[Math.floor(((at + random()) * list.length) / wanted)] as T);
}
