/** What this program can speak and read. A program speaks its own version and the one before; these are the first. */
import { EdgeError } from '@edgestore/engine';

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

export const PROTOCOL: VersionRange = { min: 1, max: 1 };
/** Of packs, chains and trees, together. */
export const FORMAT: VersionRange = { min: 1, max: 1 };

/** The highest version that both have. E_NEWER_FORMAT when there is none. */
export function commonVersion(ours: VersionRange, theirs: VersionRange, what: string, who: string): number {
  const version = Math.min(ours.max, theirs.max);
  if (version < Math.max(ours.min, theirs.min)) {
    const older = theirs.max < ours.min ? who : 'this program';
    throw new EdgeError(
      'E_NEWER_FORMAT',
      `${who} speaks ${what} ${theirs.min} to ${theirs.max}, this program ${ours.min} to ${ours.max}`,
      {
        hint: `Update edgestore on ${older === who ? `the machine of ${who}` : 'this machine'}.`,
      },
    );
  }
  return version;
}
