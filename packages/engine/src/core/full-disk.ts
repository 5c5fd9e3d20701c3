/** What only reads goes on where the disk has no byte left. */
import { isEdgeError } from './errors.ts';

/**
 * For notes that may be missing: they make a later job surer or shorter, and nothing rests on them. On a full disk such
 * a note is left out.
 */
export function noteIfRoom(note: () => void): void {
  try {
    note();
  } catch (error) {
    if (!isEdgeError(error, 'E_NO_SPACE')) throw error;
  }
}
