/** Answers: bytes at once, streams with back-pressure, errors as problem documents. */
import type { ServerResponse } from 'node:http';
import { EdgeError } from '@edgestore/engine';
import { IDLE_MS_MAX } from './bounded-body.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';

export function sendBytes(
  response: ServerResponse,
  body: Uint8Array,
  type = 'application/octet-stream',
  status = 200,
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': body.length, 'cache-control': 'no-store' });
  response.end(body);
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  const text = JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner));
  sendBytes(response, Buffer.from(text), 'application/json', status);
}

/** A problem document; when an answer has begun already, the connection is cut, so that nobody takes half an answer for a whole one. */
export function sendError(response: ServerResponse, thrown: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = problemOf(thrown);
  // What is left of the request's body is not read: the connection ends with this answer.
  response.setHeader('connection', 'close');
  sendBytes(response, Buffer.from(JSON.stringify(problem)), PROBLEM_TYPE, problem.status);
}

/** Sends pieces as they come, waiting while the other side is slow. */
export async function sendStream(
  response: ServerResponse,
  pieces: AsyncIterable<readonly Uint8Array[]>,
  signal: AbortSignal,
  type = 'application/octet-stream',
): Promise<void> {
  // The first piece is awaited before the headers, so that an early failure can still be said with its code.
  let isFirst = true;
  for await (const piece of pieces) {
    if (isFirst) response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
    isFirst = false;
    await writePieces(response, piece, signal, IDLE_MS_MAX);
  }
  if (isFirst) response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
  response.end();
}

/** Resolves when there is room for more. A reader that takes nothing for `idleMs` is cut off; without it, it may take its time. */
export async function writePieces(
  response: ServerResponse,
  pieces: readonly Uint8Array[],
  signal: AbortSignal,
  idleMs?: number,
): Promise<void> {
  let hasRoom = true;
  for (const piece of pieces) hasRoom = response.write(piece);
  if (signal.aborted || response.destroyed) throw new EdgeError('E_STORE', 'the other side went away');
  if (hasRoom) return;
  await new Promise<void>((resolve, reject) => {
    const timer = idleMs === undefined ? undefined : setTimeout(() => response.destroy(), idleMs);
    const done = (): void => {
      clearTimeout(timer);
      response.off('drain', done);
      signal.removeEventListener('abort', gone);
      resolve();
    };
    const gone = (): void => {
      clearTimeout(timer);
      response.off('drain', done);
      reject(new EdgeError('E_STORE', 'the other side went away'));
    };
    response.once('drain', done);
    signal.addEventListener('abort', gone, { once: true });
  });
}
