/**
 * The control API (`docs/formats/local-api.md`): on a unix socket that only its owner can open, and on request on a loopback port where every request
 * needs the token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname } from 'node:path';
import { EdgeError, errnoOf, toEdgeError } from '@edgestore/engine';
import { CONTROL_ROUTES, type ControlContext } from './control-routes.ts';
import { listenError, splitListen } from './listen-address.ts';
import { sendError } from './respond.ts';

export interface ControlServer {
  readonly socketPath: string;
  readonly port: number | undefined;
  close(graceMs: number): Promise<void>;
}

type OnError = (error: unknown, request: { readonly path: string; readonly from: string }) => void;

const CONNECTIONS_MAX = 128;
const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\])(:\d{1,5})?$/;

/** E_BUSY when another agent answers on the socket, or the port is taken. */
export async function openControlServer(input: {
  readonly socketPath: string;
  /** TCP as well. */
  readonly tcp: { readonly listen: string; readonly token: string } | undefined;
  readonly context: ControlContext;
  readonly onError: OnError;
}): Promise<ControlServer> {
  const servers: Server[] = [];
  const closeAll = (graceMs: number) => Promise.all(servers.map((server) => closeServer(server, graceMs)));
  await removeStaleSocket(input.socketPath);
  const local = makeServer(input, undefined);
  await listenOnSocket(local, input.socketPath, input.onError);
  servers.push(local);
  let port: number | undefined;
  if (input.tcp !== undefined) {
    const server = makeServer(input, input.tcp.token);
    try {
      await listenOnPort(server, input.tcp.listen, input.onError);
    } catch (error) {
      await closeAll(0);
      throw error;
    }
    servers.push(server);
    port = (server.address() as AddressInfo).port;
  }
  return {
    socketPath: input.socketPath,
    port,
    close: async (graceMs) => {
      await closeAll(graceMs);
      rmSync(input.socketPath, { force: true });
    },
  };
}

function makeServer(input: Parameters<typeof openControlServer>[0], token: string | undefined): Server {
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 60_000, maxHeaderSize: 16 * 1024, keepAliveTimeout: 5000 },
    // Whatever is thrown beside the answer's own errors ends this connection, never the process.
    (message, response) =>
      void handle(message, response, input, token).catch((error: unknown) => {
        input.onError(error, { path: '?', from: token === undefined ? 'socket' : 'tcp' });
        response.destroy();
      }),
  );
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

async function handle(
  message: IncomingMessage,
  response: ServerResponse,
  input: Parameters<typeof openControlServer>[0],
  token: string | undefined,
): Promise<void> {
  const ended = new AbortController();
  response.once('close', () => ended.abort(new EdgeError('E_INTERRUPTED', 'the client went away')));
  let path = '?';
  try {
    if (token !== undefined && !isPermitted(message, response, token)) return;
    const url = new URL(message.url ?? '/', 'http://localhost');
    path = url.pathname;
    for (const route of CONTROL_ROUTES) {
      const match = route.method === message.method ? route.path.exec(url.pathname) : null;
      if (match === null) continue;
      await route.run(
        { message, response, query: url.searchParams, id: match[1] ?? '', signal: ended.signal },
        input.context,
      );
      return;
    }
    throw new EdgeError('E_NOT_FOUND', `there is no ${message.method} ${url.pathname.slice(0, 200)}`);
  } catch (error) {
    if (ended.signal.aborted) return;
    input.onError(error, { path, from: token === undefined ? 'socket' : 'tcp' });
    sendError(response, error);
  }
}

/** Over TCP any page in a browser of this machine could call: it needs the token, and may not come under another name or from another origin. */
function isPermitted(message: IncomingMessage, response: ServerResponse, token: string): boolean {
  const { host, origin, authorization } = message.headers;
  const isHere = host !== undefined && LOOPBACK.test(host);
  const isSameOrigin = origin === undefined || LOOPBACK.test(origin.replace(/^https?:\/\//, ''));
  if (!isHere || !isSameOrigin) {
    sendError(response, new EdgeError('E_DENIED', 'the request names another host or origin than this machine'));
    return false;
  }
  if (authorization !== undefined && sameText(authorization, `Bearer ${token}`)) return true;
  response.setHeader('www-authenticate', 'Bearer');
  response.writeHead(401, { 'content-type': 'application/problem+json', connection: 'close' });
  response.end(
    JSON.stringify({
      type: 'about:blank',
      title: 'E_DENIED',
      status: 401,
      detail: 'a bearer token is required',
      code: 'E_DENIED',
      exit: 14,
    }),
  );
  return false;
}

/** In constant time, also for texts of different length. */
function sameText(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

/** A socket file whose owner is dead is in the way; one that answers means another agent. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new EdgeError('E_CONFIG', `${path} is in the way of the agent's socket and is no socket`);
  if (await answers(path)) {
    throw new EdgeError('E_BUSY', `another agent answers at ${path}`, {
      hint: 'Stop it first: `edgestore agent stop`.',
    });
  }
  rmSync(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.setTimeout(2000, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(errnoOf(error) !== 'ECONNREFUSED' && errnoOf(error) !== 'ENOENT'));
  });
}

async function listenOnSocket(server: Server, path: string, onError: OnError): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  chmodSync(dirname(path), 0o700);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(toEdgeError(error, `listening on ${path}`)));
    server.listen(path, resolve);
  });
  outliveErrors(server, path, onError);
  chmodSync(path, 0o600);
}

async function listenOnPort(server: Server, listen: string, onError: OnError): Promise<void> {
  const { host, port } = splitListen(listen);
  if (host === undefined || !LOOPBACK.test(host.includes(':') ? `[${host}]` : host)) {
    throw new EdgeError('E_CONFIG', `agent.api_listen ${listen} is no loopback address`);
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, listen)));
    server.listen({ host, port }, resolve);
  });
  outliveErrors(server, listen, onError);
}

/** A connection that cannot be accepted, such as for want of descriptors, is told and does not end the process. */
function outliveErrors(server: Server, from: string, onError: OnError): void {
  server.removeAllListeners('error');
  server.on('error', (error) => onError(error, { path: 'listen', from }));
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
