/** Errors on the wire: RFC 9457 problem+json that carries edgestore's own code, so that the exit code is the same on both sides. */
import { EdgeError, type ErrorCode, EXIT_BY_CODE, toEdgeError } from '@edgestore/engine';

export const PROBLEM_TYPE = 'application/problem+json';
/** A problem longer than this is not read: it comes from someone who is not one of us. */
export const PROBLEM_BYTES_MAX = 64 * 1024;

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly exit: number;
  readonly hint?: string;
  readonly retryable?: boolean;
  readonly context?: Readonly<Record<string, unknown>>;
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  E_USAGE: 400,
  E_FORMAT: 400,
  E_CONFIG: 400,
  E_DENIED: 403,
  E_NOT_FOUND: 404,
  E_NO_VAULT: 404,
  E_AMBIGUOUS: 409,
  E_BUSY: 409,
  E_ROLLBACK: 409,
  E_FORK: 409,
  E_LIMIT: 413,
  E_NEWER_FORMAT: 422,
  E_NO_SPACE: 507,
  E_TIMEOUT: 408,
};

export function problemOf(thrown: unknown): Problem {
  const error = toEdgeError(thrown);
  return {
    type: 'about:blank',
    title: error.code,
    status: STATUS[error.code] ?? 500,
    detail: error.message,
    code: error.code,
    exit: error.exitCode,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.retryable ? { retryable: true } : {}),
    ...(Object.keys(error.context).length === 0 ? {} : { context: jsonSafe(error.context) }),
  };
}

/**
 * Codes that only this machine may give itself. From a peer they would end a command, or look like an interrupt here.
 */
const OWN_CODES: readonly ErrorCode[] = [
  'E_AGENT_UNREACHABLE',
  'E_DELETE_GUARD',
  'E_FINDINGS',
  'E_INTERRUPTED',
  'E_NOT_ENOUGH_COPIES',
  'E_NO_BUCKET',
  'E_NO_VAULT',
  'E_PARTIAL',
  'E_TARGET_NOT_EMPTY',
  'E_TERMINATED',
  'E_WRONG_KEY',
];

/** The same from another machine: a code that only this one can give is a failure there. */
export function errorOfPeer(status: number, body: string, from: string): EdgeError {
  const error = errorOfProblem(status, body, from);
  if (!OWN_CODES.includes(error.code)) return error;
  return new EdgeError('E_STORE', `${from} answered ${error.code}: ${error.message}`, { retryable: true });
}

/** The error that a problem document stands for. What is no problem of ours becomes an E_STORE that tells the status. */
export function errorOfProblem(status: number, body: string, from: string): EdgeError {
  let parsed: Partial<Problem> | undefined;
  try {
    parsed = JSON.parse(body) as Partial<Problem>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const code = parsed?.code;
  if (typeof code !== 'string' || !Object.hasOwn(EXIT_BY_CODE, code) || typeof parsed?.detail !== 'string') {
    return new EdgeError('E_STORE', `${from} answered with status ${status}`, {
      retryable: status >= 500,
      context: { status },
    });
  }
  return new EdgeError(code, parsed.detail.slice(0, 4096), {
    ...(typeof parsed.hint === 'string' ? { hint: parsed.hint.slice(0, 1024) } : {}),
    ...(parsed.retryable === true ? { retryable: true } : {}),
    context: { ...(typeof parsed.context === 'object' && parsed.context !== null ? parsed.context : {}), from },
  });
}

/** Context may hold numbers that JSON cannot say. */
function jsonSafe(context: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(context, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  ) as Record<string, unknown>;
}
