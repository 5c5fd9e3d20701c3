/** Whether the folder of a root is there, for those who list roots. */
import { isThere, type ReportWarning, toEdgeError } from '@edgestore/engine';

/** A path that cannot be looked at now is not gone: said, and listed as present. */
export function rootIsPresent(path: string, warn: ReportWarning): boolean {
  try {
    return isThere(path);
  } catch (error) {
    warn({
      code: 'W_ROOT_UNREADABLE',
      message: `the root ${path} cannot be looked at now: ${toEdgeError(error).message}`,
    });
    return true;
  }
}
