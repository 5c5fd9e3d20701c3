/** What becomes of a file that is to be read. */
import { errnoOf } from '../core/errors.ts';

export type FileOutcome =
  /** `at`: offset of its record (see `FolderState`) in `records`. */
  | { readonly kind: 'read'; readonly at: number; readonly changedWhileRead: boolean }
  /** Gone since it was scanned. */
  | { readonly kind: 'gone' }
  /** Now too large to be read with others. */
  | { readonly kind: 'large'; readonly size: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** What is no file any more when it is opened was swapped since the scan; following it could lead anywhere. */
export const REPLACED = { code: 'ECHANGED', message: 'it was replaced by something else while it was scanned' };

/** Of what went wrong when it was opened or read. Throws what is no error of the system's. */
export function outcomeOf(error: unknown): FileOutcome {
  const code = errnoOf(error) ?? (error as { code?: string }).code;
  if (code === undefined) throw error;
  if (code === 'ENOENT') return { kind: 'gone' };
  if (code === 'ELOOP' || code === 'ENOTDIR') return { kind: 'failed', ...REPLACED };
  return { kind: 'failed', code, message: (error as Error).message };
}
