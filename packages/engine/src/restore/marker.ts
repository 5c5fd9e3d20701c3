/**
 * The marker of a restore under way: it says that what lies beside it is unfinished, and lets the next run of the same restore go on.
 * Fresh targets have it as `marker.json` in the partial folder; an in-place restore has it in the target as `.edgestore-partial-ID`.
 */
import { open, readFile, rename } from 'node:fs/promises';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { escapeName } from '../policy/escape-name.ts';
import { syncFolder } from './sync-folder.ts';

const SLASH = 0x2f;

export interface Marker {
  readonly restore: 1;
  readonly snapshot: string;
  /** `writing`: content may be incomplete. `renaming`: all is there under final names and is being moved to its place. */
  readonly step: 'writing' | 'renaming';
}

/** The marker, or undefined when there is none; an unreadable one (a crash while it was written) counts as `writing`. */
export async function readMarker(path: Uint8Array): Promise<Marker | undefined> {
  let text: string;
  try {
    text = await readFile(Buffer.from(path), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw toEdgeError(error, `marker ${escapeName(path)}`);
  }
  try {
    const marker = JSON.parse(text) as Partial<Marker>;
    if (marker.restore === 1 && typeof marker.snapshot === 'string') {
      const step = marker.step === 'renaming' ? 'renaming' : 'writing';
      return { restore: 1, snapshot: marker.snapshot, step };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { restore: 1, snapshot: '', step: 'writing' };
}

/** Writes the marker and waits until it and its name are on stable storage: after it, a stop at any moment is recognised. */
export async function writeMarker(path: Uint8Array, marker: Marker): Promise<void> {
  const temporary = Buffer.concat([path, Buffer.from('.new')]);
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(marker));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, Buffer.from(path));
    await syncFolder(path.subarray(0, Math.max(1, path.lastIndexOf(SLASH))));
  } catch (error) {
    const problem = toEdgeError(error, `marker ${escapeName(path)}`);
    throw problem.code === 'E_NO_SPACE' ? noSpaceError(path, problem) : problem;
  }
}

/** The target is full: what was written stays, and the same command goes on from there. */
export function noSpaceError(target: Uint8Array, cause: unknown): EdgeError {
  return new EdgeError('E_NO_SPACE', `no space left at the target ${escapeName(target)}`, {
    hint: 'Free some space there and run the same command again: it goes on where it stopped.',
    cause,
  });
}
