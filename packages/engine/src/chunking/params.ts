/** The lengths that a chunker cuts to. They are fixed when a vault is made, as other ones would find nothing to deduplicate with. */
import { CHUNK_PLAIN_BYTES_MAX, KIB, MIB } from '../core/limits.ts';

/** In bytes. A chunk is longer than `min` and at most `max`, but for the last one of a stream. */
export interface ChunkerParams {
  readonly min: number;
  readonly avg: number;
  readonly max: number;
}

/**
 * Measured in docs/performance.md: smaller chunks store less of small edits in large files, and cost compression and index rows.
 */
export const DEFAULT_CHUNKER_PARAMS: ChunkerParams = { min: 128 * KIB, avg: 512 * KIB, max: 2 * MIB };

/** The rolling hash covers this many bytes, and so must the shortest chunk. */
export const WINDOW_BYTES = 64;
const AVG_MIN = 256;

/** What is wrong with the lengths, as a phrase; undefined when they can be used. */
export function problemOfChunkerParams({ min, avg, max }: ChunkerParams): string | undefined {
  if (![min, avg, max].every(Number.isSafeInteger)) return 'chunk lengths are not whole numbers';
  if (min < WINDOW_BYTES || avg < AVG_MIN || max > CHUNK_PLAIN_BYTES_MAX) {
    return `chunk lengths ${min}, ${avg}, ${max} are outside ${WINDOW_BYTES}, ${AVG_MIN} and ${CHUNK_PLAIN_BYTES_MAX}`;
  }
  if (min >= avg || avg >= max) return `chunk lengths ${min}, ${avg}, ${max} are not ascending`;
  if ((avg & (avg - 1)) !== 0) return `the average chunk length ${avg} is no power of two`;
  // The scan takes two bytes a step, and every bound has to fall on a step.
  if (min % 2 !== 0 || max % 2 !== 0) return `chunk lengths ${min} and ${max} are not even`;
  return undefined;
}
