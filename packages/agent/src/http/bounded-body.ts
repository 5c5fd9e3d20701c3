/** Reading what the other side sends without letting it choose how much memory or time that takes. */
import type { IncomingMessage } from 'node:http';
import { EdgeError } from '@edgestore/engine';

/** A connection on which nothing moves for this long is given up. */
export const IDLE_MS_MAX = 60_000;
/**
 * Less than this in a minute of waiting is as good as nothing: a byte now and then would hold the reader for ever. A
 * line of 1 KiB/s brings four times as much.
 */
const BYTES_A_MINUTE_MIN = 16 * 1024;

/** The whole body. E_LIMIT beyond `limit` bytes, before they are read when the length is announced. */
export async function readBody(message: IncomingMessage, limit: number): Promise<Buffer> {
  const announced = Number(message.headers['content-length'] ?? 0);
  if (announced > limit) throw tooLong(limit);
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of withProgress(message)) {
    length += part.length;
    if (length > limit) throw tooLong(limit);
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}

/** The body as JSON. E_FORMAT when it is none. */
export async function readJson(message: IncomingMessage, limit: number): Promise<unknown> {
  const body = await readBody(message, limit);
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown;
  } catch (error) {
    throw new EdgeError('E_FORMAT', 'the body is not JSON', { cause: error });
  }
}

/** The message's bytes as they come; E_TIMEOUT when none come for `idleMs`; E_STORE when the other side breaks off. */
export async function* withIdleDeadline(message: IncomingMessage, idleMs = IDLE_MS_MAX): AsyncGenerator<Buffer> {
  // The timer is only moved, not made anew, since this runs for every piece of every stream.
  const timer = setTimeout(() => {
    message.destroy(new EdgeError('E_TIMEOUT', `nothing came for ${Math.round(idleMs / 1000)} s`, { retryable: true }));
  }, idleMs);
  timer.unref();
  try {
    for await (const part of message as AsyncIterable<Buffer>) {
      // The time that the reader takes for itself is not the sender's fault.
      timer.refresh();
      yield part;
      timer.refresh();
    }
    if (!message.complete) throw brokenOff();
  } catch (error) {
    if (error instanceof EdgeError) throw error;
    throw new EdgeError('E_STORE', 'the connection broke off', { cause: error, retryable: true });
  } finally {
    clearTimeout(timer);
  }
}

/** The same for an answer or a body that is at hand where it comes from: E_TIMEOUT also when it only drips. */
export async function* withProgress(message: IncomingMessage): AsyncGenerator<Buffer> {
  let waitedMs = 0;
  let bytes = 0;
  let since = performance.now();
  for await (const part of withIdleDeadline(message)) {
    waitedMs += performance.now() - since;
    bytes += part.length;
    if (waitedMs > IDLE_MS_MAX) {
      if (bytes < BYTES_A_MINUTE_MIN) {
        const slow = new EdgeError('E_TIMEOUT', `${bytes} bytes came in ${Math.round(waitedMs / 1000)} s`, {
          retryable: true,
        });
        message.destroy(slow);
        throw slow;
      }
      waitedMs = 0;
      bytes = 0;
    }
    yield part;
    // The time that the reader takes for itself is not the sender's fault.
    since = performance.now();
  }
}

function brokenOff(): EdgeError {
  return new EdgeError('E_STORE', 'the connection broke off', { retryable: true });
}

function tooLong(limit: number): EdgeError {
  return new EdgeError('E_LIMIT', `the body is longer than ${limit} bytes`);
}
