/**
 * The one error class of edgestore and the table of its codes.
 *
 * A code is stable: scripts match on it (`--json` prints it) and each maps to one exit code of the command-line contract.
 */

/** Every error code with the process exit code it ends a command with. */
export const EXIT_BY_CODE = {
  E_FAILED: 1,
  E_IO: 1,
  E_STORE: 1,
  E_TIMEOUT: 1,
  E_USAGE: 2,
  E_CONFIG: 2,
  E_NOT_FOUND: 2,
  E_AMBIGUOUS: 2,
  E_TARGET_NOT_EMPTY: 2,
  E_PARTIAL: 3,
  E_AGENT_UNREACHABLE: 4,
  E_NOT_ENOUGH_COPIES: 5,
  E_ARCHIVED: 6,
  E_INTEGRITY: 7,
  E_FORMAT: 7,
  E_LIMIT: 8,
  E_ROLLBACK: 9,
  E_FORK: 9,
  E_NO_VAULT: 10,
  E_NO_BUCKET: 10,
  E_BUSY: 11,
  E_WRONG_KEY: 12,
  E_DENIED: 14,
  E_NO_SPACE: 15,
  E_NEWER_FORMAT: 16,
  E_FINDINGS: 20,
  E_DELETE_GUARD: 21,
  E_INTERRUPTED: 130,
  E_TERMINATED: 143,
} as const;

export type ErrorCode = keyof typeof EXIT_BY_CODE;

export interface EdgeErrorOptions {
  /** What to do next, one sentence, shown to the user. */
  readonly hint?: string;
  /** Facts about what it happened to; JSON-serialisable; never a secret. Names that are not UTF-8 are escaped by the caller. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** Whether the same call may succeed later without anyone changing anything. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

const SECRET_KEY = /pass(word|phrase)?|secret|token|seed|private|credential/i;

/** An error that a user or another layer is meant to act on. */
export class EdgeError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly context: Readonly<Record<string, unknown>>;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: EdgeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EdgeError';
    this.code = code;
    this.hint = options.hint;
    this.context = redact(options.context ?? {});
    this.retryable = options.retryable ?? false;
  }

  get exitCode(): number {
    return EXIT_BY_CODE[this.code];
  }
}

/** True for an `EdgeError`, of one of the given codes when any are given. */
export function isEdgeError(error: unknown, ...codes: ErrorCode[]): error is EdgeError {
  return error instanceof EdgeError && (codes.length === 0 || codes.includes(error.code));
}

/** The `code` of a Node system error (`ENOENT`), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/**
 * Turns any thrown value into an `EdgeError`; system errors keep their errno in `context.errno`.
 * ENOSPC and EDQUOT become E_NO_SPACE, an abort E_INTERRUPTED, all else E_IO or E_FAILED.
 */
export function toEdgeError(error: unknown, what?: string): EdgeError {
  if (error instanceof EdgeError) return error;
  const errno = errnoOf(error);
  const text = error instanceof Error ? error.message : String(error);
  const message = what === undefined ? text : `${what}: ${text}`;
  if (error instanceof Error && (error.name === 'AbortError' || errno === 'ABORT_ERR')) {
    return new EdgeError('E_INTERRUPTED', what === undefined ? 'interrupted' : `${what}: interrupted`, {
      cause: error,
    });
  }
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new EdgeError('E_NO_SPACE', message, {
      hint: 'Free some space there and run the command again; what was acknowledged is kept.',
      context: { errno },
      cause: error,
    });
  }
  if (errno === 'EMFILE' || errno === 'ENFILE') {
    return new EdgeError('E_IO', message, {
      hint: 'Raise the limit of open files (ulimit -n) and run the command again.',
      context: { errno },
      retryable: true,
      cause: error,
    });
  }
  if (errno !== undefined) {
    const hint = HINT_BY_ERRNO[errno];
    return new EdgeError('E_IO', message, {
      ...(hint === undefined ? {} : { hint }),
      context: { errno },
      cause: error,
    });
  }
  return new EdgeError('E_FAILED', message, { cause: error });
}

/** What a person can do about it; where a caller knows better it says so itself. */
const HINT_BY_ERRNO: Readonly<Record<string, string | undefined>> = {
  EACCES: 'Run this as a user who may, or change the permissions there.',
  EPERM: 'Run this as a user who may, or change the permissions there.',
  EROFS: 'That file system is mounted read-only: mount it writable, or name another place.',
  EISDIR: 'That is a folder: name a file.',
  ENOTDIR: 'A part of that path is a file, not a folder: check the path.',
  ELOOP: 'A symbolic link there leads to itself or may not be followed: check the path.',
  ENAMETOOLONG: 'Use a shorter path.',
  EIO: 'The disk or its connection has a fault: see the kernel log (dmesg).',
  ESTALE: 'The network file system lost it: is it still mounted?',
};

/** An E_FORMAT for a decoder: what was being read, and what is wrong with it. */
export function formatError(what: string, problem: string, context?: Record<string, unknown>): EdgeError {
  return new EdgeError('E_FORMAT', `${what}: ${problem}`, context === undefined ? {} : { context });
}

export const NEWER_FORMAT_HINT = 'Use a newer edgestore; nothing was changed.';

/** An E_NEWER_FORMAT: a version or critical feature that this program does not know. */
export function newerFormatError(what: string, found: string): EdgeError {
  return new EdgeError('E_NEWER_FORMAT', `${what} was written by a newer edgestore (${found})`, {
    hint: NEWER_FORMAT_HINT,
  });
}

function redact(context: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(context)) out[key] = SECRET_KEY.test(key) ? '[redacted]' : value;
  return out;
}
