/** One HTTP request over a given agent or unix socket: bounded, with deadlines, and errors that are ours. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type https from 'node:https';
import { EdgeError, errnoOf } from '@edgestore/engine';
import { IDLE_MS_MAX, readBody } from './bounded-body.ts';
import { errorOfPeer, errorOfProblem, PROBLEM_BYTES_MAX } from './problem.ts';

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** For messages. */
  readonly label: string;
  readonly agent?: https.Agent;
  readonly socketPath?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes, or pieces that are sent as they come. */
  readonly body?: Uint8Array | AsyncIterable<readonly Uint8Array[]> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Nothing moving for this long ends the request with E_TIMEOUT; 60 s when absent. */
  readonly idleMs?: number | undefined;
}

/**
 * The response with a status of 2xx; its body is not read yet. Any other status is thrown as the error that it carries. A request of known
 * bytes whose kept-alive socket turned out to be dead is sent once more, since every request of ours may be repeated.
 */
export async function httpCall(call: HttpCall): Promise<IncomingMessage> {
  try {
    return await send(call);
  } catch (error) {
    const isBytes = call.body === undefined || call.body instanceof Uint8Array;
    if (isBytes && error instanceof EdgeError && error.context.reusedSocket === true && call.signal?.aborted !== true)
      return send(call);
    throw error;
  }
}

async function send(call: HttpCall): Promise<IncomingMessage> {
  call.signal?.throwIfAborted();
  const options: RequestOptions = {
    method: call.method,
    path: call.path,
    host: call.agent === undefined ? 'localhost' : 'peer',
    headers: {
      ...call.headers,
      ...(call.body instanceof Uint8Array ? { 'content-length': String(call.body.length) } : {}),
    },
    ...(call.agent === undefined ? {} : { agent: call.agent }),
    ...(call.socketPath === undefined ? {} : { socketPath: call.socketPath }),
  };
  // An import would load them at each start, and for http's every export the whole of `fetch`, which takes longer than most commands.
  const { request: open } = process.getBuiltinModule(call.agent === undefined ? 'node:http' : 'node:https');
  const request = open(options);
  const idleMs = call.idleMs ?? IDLE_MS_MAX;
  // What ended the request from our side is what the caller learns; the socket's own error is only its consequence.
  let ended: EdgeError | undefined;
  const end = (error: EdgeError): void => {
    ended ??= error;
    request.destroy(error);
  };
  request.setTimeout(idleMs, () =>
    end(new EdgeError('E_TIMEOUT', `${call.label} was silent for ${Math.round(idleMs / 1000)} s`, { retryable: true })),
  );
  // Its own timeout begins with a socket; one that never comes (all are taken, the connection does not stand) has to end too.
  const waiting = setTimeout(
    () =>
      end(
        new EdgeError('E_TIMEOUT', `no connection to ${call.label} for ${Math.round(idleMs / 1000)} s`, {
          retryable: true,
        }),
      ),
    idleMs,
  );
  request.once('socket', () => clearTimeout(waiting));
  const abort = (): void => end(abortError(call.signal));
  call.signal?.addEventListener('abort', abort, { once: true });
  try {
    const responded = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', (error) => reject(ended ?? requestError(error, call, request.reusedSocket)));
      request.once('close', () =>
        reject(ended ?? new EdgeError('E_STORE', `${call.label} broke off`, { retryable: true })),
      );
    });
    // An answer that comes before the body is sent (a refusal) ends the sending.
    responded.catch(() => {});
    await Promise.race([writeBody(request, call.body, responded), responded.then(() => {})]);
    // Bytes of a header, or interim answers, move its own timeout without end.
    const answering = setTimeout(
      () =>
        end(
          new EdgeError('E_TIMEOUT', `${call.label} gave no answer for ${Math.round(idleMs / 1000)} s`, {
            retryable: true,
          }),
        ),
      idleMs,
    );
    const response = await responded.finally(() => clearTimeout(answering));
    // After the headers, an abort has to end the body as well.
    call.signal?.addEventListener('abort', () => response.destroy(abortError(call.signal)), { once: true });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const body = await readBody(response, PROBLEM_BYTES_MAX);
    const isPeer = call.agent !== undefined;
    throw (isPeer ? errorOfPeer : errorOfProblem)(status, body.toString('utf8'), call.label);
  } catch (error) {
    request.destroy();
    throw error;
  } finally {
    clearTimeout(waiting);
    call.signal?.removeEventListener('abort', abort);
  }
}

async function writeBody(request: ClientRequest, body: HttpCall['body'], responded: Promise<unknown>): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    request.end(body);
    return;
  }
  for await (const pieces of body) {
    let hasRoom = true;
    for (const piece of pieces) hasRoom = request.write(piece);
    if (!hasRoom) await Promise.race([new Promise<void>((resolve) => request.once('drain', resolve)), responded]);
    if (request.destroyed) return;
  }
  request.end();
}

function requestError(error: Error, call: HttpCall, reusedSocket: boolean): EdgeError {
  if (error instanceof EdgeError) return error;
  const errno = errnoOf(error);
  if (call.socketPath !== undefined && (errno === 'ENOENT' || errno === 'ECONNREFUSED')) {
    return new EdgeError('E_AGENT_UNREACHABLE', `no agent answers at ${call.socketPath}`, {
      hint: 'Start it with `edgestore agent run`.',
      context: { errno },
      cause: error,
    });
  }
  return new EdgeError('E_STORE', `${call.label}: ${errno ?? error.message}`, {
    retryable: true,
    context: { ...(errno === undefined ? {} : { errno }), ...(reusedSocket ? { reusedSocket } : {}) },
    cause: error,
  });
}

function abortError(signal: AbortSignal | undefined): EdgeError {
  const reason: unknown = signal?.reason;
  return reason instanceof EdgeError ? reason : new EdgeError('E_INTERRUPTED', 'interrupted', { cause: reason });
}
