/** A bound on how long one request may take in all: idle timeouts do not catch a peer that sends a byte a second. */
import type { Clock } from '../../../core/clock.ts';
import { EdgeError } from '../../../core/errors.ts';

/** Allowed to any request, for its round trips and the server's disks. */
export const S3_REQUEST_MS_MIN = 60_000;
/** A body slower than this is given up and tried again: 16 KiB/s. */
export const S3_BODY_BYTES_PER_MS_MIN = 16;

export function requestDeadlineMs(bodyBytes: number): number {
  return S3_REQUEST_MS_MIN + Math.ceil(bodyBytes / S3_BODY_BYTES_PER_MS_MIN);
}

/** Runs with a signal that ends at the deadline or with the caller's; the deadline is a retryable E_STORE. */
export async function withDeadline<T>(
  input: {
    readonly clock: Clock;
    readonly ms: number;
    readonly signal: AbortSignal | undefined;
    readonly what: string;
  },
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  input.signal?.throwIfAborted();
  const controller = new AbortController();
  const timer = new AbortController();
  const forward = () => controller.abort(input.signal?.reason);
  input.signal?.addEventListener('abort', forward, { once: true });
  let late = false;
  input.clock.sleep(input.ms, timer.signal).then(
    () => {
      late = true;
      controller.abort();
    },
    () => {
      // The sleep ends early when the request is over; there is nothing to tell.
    },
  );
  try {
    return await run(controller.signal);
  } catch (error) {
    if (late)
      throw new EdgeError('E_STORE', `${input.what}: not done after ${Math.round(input.ms / 1000)} s`, {
        retryable: true,
        cause: error,
      });
    throw error;
  } finally {
    timer.abort();
    input.signal?.removeEventListener('abort', forward);
  }
}
