/** Turns what the SDK and the network throw into errors with a cause and a way out. */
import { EdgeError, errnoOf } from '../../../core/errors.ts';

export type S3Action = 'put' | 'get' | 'stat' | 'list' | 'delete';

/** The permission that each verb needs, as IAM and bucket policies name it. */
const PERMISSION: Readonly<Record<S3Action, string>> = {
  put: 's3:PutObject',
  get: 's3:GetObject',
  stat: 's3:GetObject',
  list: 's3:ListBucket',
  delete: 's3:DeleteObject',
};

const CREDENTIAL_CODES: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'the access key is not known there',
  SignatureDoesNotMatch: 'the secret key does not match the access key',
  ExpiredToken: 'the credentials have expired',
  TokenRefreshRequired: 'the credentials have expired',
  InvalidToken: 'the session token is not valid',
};

const BUSY_CODES = new Set([
  'SlowDown',
  'ServiceUnavailable',
  'InternalError',
  'RequestTimeout',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'OperationAborted',
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
]);
const NETWORK_ERRNO = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EHOSTDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EMFILE',
  'ENFILE',
]);
const DEAD_SOCKET_ERRNO = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

export interface S3ErrorContext {
  readonly action: S3Action;
  /** `s3://bucket/prefix`. */
  readonly label: string;
  readonly bucket: string;
  /** The key, or the prefix of a listing. */
  readonly key: string;
}

/** The HTTP status of an SDK error; undefined when there was no answer. */
export function s3Status(error: unknown): number | undefined {
  const status = (error as { $metadata?: { httpStatusCode?: unknown } } | null | undefined)?.$metadata?.httpStatusCode;
  return typeof status === 'number' ? status : undefined;
}

/** The S3 error code (`NoSuchKey`); an empty string when there is none. */
export function s3Code(error: unknown): string {
  const { Code, name } = (error ?? {}) as { Code?: unknown; name?: unknown };
  return typeof Code === 'string' ? Code : typeof name === 'string' ? name : '';
}

/**
 * E_NO_BUCKET, E_DENIED (names the permission), E_BUSY (412, 409), E_ARCHIVED, E_CONFIG (wrong region, bad endpoint), else E_STORE;
 * `retryable` for network failures, timeouts, 5xx, SlowDown and a clock that the SDK has just corrected.
 * `context.deadSocket` marks a connection that broke before an answer: worth one try at once.
 */
export function s3Error(error: unknown, where: S3ErrorContext): EdgeError {
  if (error instanceof EdgeError) return error;
  const status = s3Status(error);
  const code = s3Code(error);
  const context = {
    store: where.label,
    action: where.action,
    key: where.key,
    ...(status === undefined ? {} : { status }),
    ...(code === '' ? {} : { s3Code: code }),
  };
  const at = `${where.label}: cannot ${where.action} ${where.key === '' ? 'objects' : where.key}`;
  const options = { context, cause: error };

  if (isAbort(error)) return new EdgeError('E_INTERRUPTED', `${at}: interrupted`, options);
  if (code === 'NoSuchBucket') return noSuchBucket(where, error);
  if (code === 'CredentialsProviderError' || code === 'CredentialsError') {
    return new EdgeError('E_DENIED', `${at}: no credentials were found`, {
      ...options,
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role as the AWS SDK knows them.',
    });
  }
  if (code === 'RequestTimeTooSkewed') {
    return new EdgeError('E_DENIED', `${at}: this machine's clock is too far from the server's`, {
      ...options,
      hint: 'Set the clock right.',
      retryable: true,
    });
  }
  const credentials = CREDENTIAL_CODES[code];
  if (credentials !== undefined) {
    return new EdgeError('E_DENIED', `${at}: ${credentials} (${code})`, {
      ...options,
      hint: 'Correct the credentials; what was stored stays as it is.',
    });
  }
  if (code === 'InvalidObjectState') {
    return new EdgeError('E_ARCHIVED', `${at}: the object is in an archive class`, {
      ...options,
      hint: 'Restore it in the bucket first, then run the command again.',
    });
  }
  if (code === 'QuotaExceeded')
    return new EdgeError('E_NO_SPACE', `${at}: the bucket's quota is used up`, {
      ...options,
      hint: 'Raise the quota of the bucket.',
    });
  if (
    status === 301 ||
    status === 307 ||
    code === 'PermanentRedirect' ||
    code === 'AuthorizationHeaderMalformed' ||
    code === 'IllegalLocationConstraintException'
  ) {
    return new EdgeError('E_CONFIG', `${at}: the bucket ${where.bucket} is in another region (${textOf(error)})`, {
      ...options,
      hint: 'Set region in the store to the bucket’s own.',
    });
  }
  if (status === 403 || status === 401) return denied(where, at, options);
  if (status === 412 || status === 409) {
    if (code === 'OperationAborted') return new EdgeError('E_STORE', `${at}: ${code}`, { ...options, retryable: true });
    return new EdgeError('E_BUSY', `${where.label}/${where.key} exists already`, options);
  }
  if (status !== undefined && status >= 400) {
    const retryable = status >= 500 || status === 429 || status === 408 || BUSY_CODES.has(code);
    return new EdgeError('E_STORE', `${at}: ${code} (HTTP ${status})`, { ...options, retryable });
  }
  return networkError(error, code, at, options);
}

export function noSuchBucket(where: Pick<S3ErrorContext, 'label' | 'bucket'>, cause?: unknown): EdgeError {
  return new EdgeError('E_NO_BUCKET', `${where.label}: there is no bucket ${where.bucket}`, {
    hint: 'Create the bucket, or correct the url, endpoint and region of the store.',
    context: { store: where.label, bucket: where.bucket },
    ...(cause === undefined ? {} : { cause }),
  });
}

function denied(
  where: S3ErrorContext,
  at: string,
  options: { readonly context: Readonly<Record<string, unknown>>; readonly cause: unknown },
): EdgeError {
  const also =
    where.action === 'get' || where.action === 'stat'
      ? ' (and s3:ListBucket, without which absent objects look forbidden)'
      : '';
  return new EdgeError('E_DENIED', `${at}: permission refused; it needs ${PERMISSION[where.action]}${also}`, {
    ...options,
    context: { ...options.context, permission: PERMISSION[where.action] },
    hint: `Allow ${PERMISSION[where.action]} on ${where.label} for these credentials.`,
  });
}

function networkError(
  error: unknown,
  code: string,
  at: string,
  options: { readonly context: Readonly<Record<string, unknown>>; readonly cause: unknown },
): EdgeError {
  const errno = errnoOf(error) ?? errnoOf((error as { cause?: unknown } | undefined)?.cause);
  const text = textOf(error);
  if (code === 'TimeoutError' || errno === 'ETIMEDOUT') {
    return new EdgeError('E_STORE', `${at}: no answer in time (${text})`, {
      ...options,
      context: { ...options.context, ...(errno === undefined ? {} : { errno }) },
      retryable: true,
    });
  }
  const hangUp = /socket hang up|aborted|terminated|premature close/i.test(text);
  if (hangUp || (errno !== undefined && NETWORK_ERRNO.has(errno))) {
    const deadSocket = hangUp || DEAD_SOCKET_ERRNO.has(errno ?? '');
    return new EdgeError('E_STORE', `${at}: ${text}`, {
      ...options,
      context: { ...options.context, ...(errno === undefined ? {} : { errno }), ...(deadSocket ? { deadSocket } : {}) },
      hint: 'Check the endpoint and the network; nothing was lost.',
      retryable: true,
    });
  }
  // An answer that is no S3 answer (a captive portal, a proxy's page) fails in the SDK's parser; the next try may reach the real one.
  const unparsable = /deserializ|parse|xml|unexpected token/i.test(`${code} ${text}`);
  return new EdgeError('E_STORE', `${at}: ${text}`, { ...options, retryable: unparsable });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || errnoOf(error) === 'ABORT_ERR');
}

function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replaceAll(/\s+/g, ' ').slice(0, 300);
}
