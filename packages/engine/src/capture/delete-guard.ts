/** Stops a capture that would record a mass deletion: a disk that is not mounted looks like a folder that someone emptied. */
import { EdgeError } from '../core/errors.ts';
import { escapeName } from '../policy/escape-name.ts';
import type { MaxDelete } from './capture-types.ts';

export const DEFAULT_MAX_DELETE: MaxDelete = { files: 100, percent: 50 };

export interface DeleteGuardInput {
  readonly path: Uint8Array;
  /** Files of the snapshot before, those of them that are gone, and those that are there now. */
  readonly before: number;
  readonly removed: number;
  readonly now: number;
  readonly maxDelete: MaxDelete | undefined;
  readonly acceptEmpty: boolean;
}

/** E_DELETE_GUARD when more is gone than is allowed. */
export function checkDeleteGuard({ path, before, removed, now, maxDelete, acceptEmpty }: DeleteGuardInput): void {
  if (before === 0 || removed === 0) return;
  const shown = escapeName(path);
  const context = { path: shown, files_before: before, files_removed: removed };
  if (now === 0) {
    // Even a few files: emptiness is what a disk that is not mounted looks like.
    if (acceptEmpty || (maxDelete !== undefined && !exceeds(maxDelete, removed, before))) return;
    throw new EdgeError('E_DELETE_GUARD', `${shown} is empty now; its last snapshot has ${before} files`, {
      hint: 'Is its disk mounted? When it is meant to be empty, run the command with --max-delete 100%. Nothing was deleted; no snapshot was written.',
      context,
    });
  }
  if (!exceeds(maxDelete ?? DEFAULT_MAX_DELETE, removed, before)) return;
  throw new EdgeError('E_DELETE_GUARD', `${removed} of the ${before} files of ${shown} are gone`, {
    hint: 'When that is meant, allow it with --max-delete. Nothing was deleted; no snapshot was written.',
    context,
  });
}

function exceeds({ files, percent }: MaxDelete, removed: number, before: number): boolean {
  if (files === undefined && percent === undefined) return false;
  return (files === undefined || removed > files) && (percent === undefined || removed * 100 > before * percent);
}
