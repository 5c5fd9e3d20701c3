/** Which tier a chunk belongs in by its age. Ages only propose (P8): what may be dropped is decided by verified copies. */

export type Tier = 'hot' | 'warm' | 'cold';

/** Up to `hotNs` old is hot, up to `warmNs` warm, then cold. */
export interface TierAges {
  readonly hotNs: bigint;
  readonly warmNs: bigint;
}

const DAY_NS = 86_400_000_000_000n;
/** 30 days and 90 days. */
export const DEFAULT_TIER_AGES: TierAges = { hotNs: 30n * DAY_NS, warmNs: 90n * DAY_NS };

/** When something about a chunk happened, in nanoseconds since 1970; undefined where it never did. */
export interface AgeFacts {
  readonly nowNs: bigint;
  /** The newest modification time among the files that have it. */
  readonly mtimeNs?: bigint | undefined;
  readonly firstStoredNs?: bigint | undefined;
  /** A user's single read; bulk restores, scrubs and drills do not count. */
  readonly lastReadNs?: bigint | undefined;
}

/** now − min(now, max(mtime, first stored, last read)): never below zero, whatever the clocks said. */
export function ageOf({ nowNs, mtimeNs, firstStoredNs, lastReadNs }: AgeFacts): bigint {
  let newest: bigint | undefined;
  for (const time of [mtimeNs, firstStoredNs, lastReadNs]) {
    if (time !== undefined && (newest === undefined || time > newest)) newest = time;
  }
  // What nobody knows anything about counts as new: it is not the one to go first.
  if (newest === undefined || newest > nowNs) return 0n;
  return nowNs - newest;
}

/** The tier of an age. */
export function tierOf(ageNs: bigint, { hotNs, warmNs }: TierAges): Tier {
  if (ageNs < hotNs) return 'hot';
  return ageNs < warmNs ? 'warm' : 'cold';
}
