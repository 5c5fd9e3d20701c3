/** Puts metadata on what a restore has made. What cannot be set is said, and the rest is set all the same. */
import { fchmodSync, fchownSync } from 'node:fs';
import { type ErrorCode, errnoOf, toEdgeError } from '../../core/errors.ts';
import { statFd } from '../../files/file-stat.ts';
import { changeTimeFd } from '../../files/make-entry.ts';
import { writeXattr } from '../../files/xattr.ts';
import type { Xattr } from '../../tree/entry.ts';

export interface ExtractMeta {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs?: readonly Xattr[] | undefined;
}

/** A failure of one item of a task, by its index in the input. */
export interface ItemFailure {
  readonly index: number;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface MetaOutcome {
  /** The owner could not be set (the process is not root); setuid and setgid bits were left out. */
  ownerKept: boolean;
  /** What else could not be set. */
  readonly problems: { readonly code: ErrorCode; readonly message: string }[];
}

const SETID_BITS = 0o6000;

/** Owner first, because changing it clears setuid bits and capabilities; the time last, because all else may touch it. */
export function applyMetaToFd(
  fd: number,
  meta: ExtractMeta,
  self: { readonly uid: number; readonly gid: number },
): MetaOutcome {
  const outcome: MetaOutcome = { ownerKept: false, problems: [] };
  if (self.uid === 0 || meta.uid !== self.uid || meta.gid !== self.gid) {
    outcome.ownerKept = !attempt(outcome, 'owner', () => fchownSync(fd, meta.uid, meta.gid), true);
  }
  for (const { name, value } of meta.xattrs ?? []) {
    attempt(outcome, `extended attribute ${showName(name)}`, () => writeXattr({ fd }, name, value));
  }
  const mode = outcome.ownerKept ? meta.mode & ~SETID_BITS : meta.mode;
  attempt(outcome, 'mode', () => fchmodSync(fd, mode));
  attempt(outcome, 'modification time', () => {
    changeTimeFd(fd, meta.mtimeNs);
    if (isFarTime(meta.mtimeNs) && statFd(fd).mtimeNs !== meta.mtimeNs) {
      outcome.problems.push({
        code: 'E_IO',
        message: 'modification time: the file system cannot keep a time that far away',
      });
    }
  });
  return outcome;
}

/** Kernels clamp times that a file system cannot keep, without a word. */
export function isFarTime(mtimeNs: bigint): boolean {
  return mtimeNs < -(2n ** 31n) * 1_000_000_000n || mtimeNs >= 2n ** 31n * 1_000_000_000n;
}

/** True when done. A refused owner is no problem by itself: only root may give files away. */
export function attempt(outcome: MetaOutcome, what: string, act: () => void, refusalIsFine = false): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (refusalIsFine && (errnoOf(error) === 'EPERM' || errnoOf(error) === 'EINVAL')) return false;
    const { code, message } = toEdgeError(error, what);
    outcome.problems.push({ code, message });
    return false;
  }
}

export function showName(name: Uint8Array): string {
  return JSON.stringify(Buffer.from(name).toString('utf8')).slice(1, -1);
}

/** The identity that files made by this process get. */
export function processOwner(): { readonly uid: number; readonly gid: number } {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}
