/**
 * The server that other agents call: TLS 1.3 with a certificate on both sides. Who shows a key that no card names may say hello with a card,
 * join with an invitation, or prove the recovery key, and nothing else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { EdgeError } from '@edgestore/engine';
import { IDLE_MS_MAX } from './bounded-body.ts';
import { listenError, splitListen } from './listen-address.ts';
import { type Access, PEER_ROUTES, type PeerRoute } from './peer-routes.ts';
import type { PeerService } from './peer-service.ts';
import { TLS_OPTIONS } from './pinned-connection.ts';
import { sendError } from './respond.ts';
import { peerPin } from './spki-pin.ts';
import type { TlsIdentity } from './tls-certificate.ts';

/** Bounds on what callers can make this process hold at once, and why each is enough: a peer uses at most six connections. */
const CONNECTIONS_MAX = 512;
const REQUESTS_OF_ONE_MAX = 16;
const REQUESTS_OF_STRANGERS_MAX = 8;
const HEADER_BYTES_MAX = 16 * 1024;
/** A whole request, however steadily it trickles. */
const REQUEST_MS_MAX = 60 * 60_000;

export interface PeerServerInput {
  /** `host:port`; port 0 takes any. */
  readonly listen: string;
  readonly identity: TlsIdentity;
  readonly service: PeerService;
  /** An error that no caller can do anything about (5xx), and a refusal, for the log. */
  readonly onError: (error: unknown, request: { readonly path: string; readonly from: string }) => void;
  readonly onRequest?: (request: {
    readonly route: string;
    readonly status: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  }) => void;
}

export interface PeerServer {
  readonly port: number;
  readonly host: string;
  /** Takes no new requests, lets those under way finish for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** E_BUSY when the port is taken; E_DENIED when it may not be opened; E_CONFIG when the address is not of this machine. */
export async function openPeerServer(input: PeerServerInput): Promise<PeerServer> {
  const { host, port } = splitListen(input.listen);
  const underWay = new Map<string, number>();
  const server = createServer(
    {
      ...TLS_OPTIONS,
      ALPNProtocols: [...TLS_OPTIONS.ALPNProtocols],
      key: input.identity.keyPem,
      cert: input.identity.certPem,
      requestCert: true,
      // Chains and names say nothing about a self-signed certificate: the pin is checked per request.
      rejectUnauthorized: false,
      handshakeTimeout: 10_000,
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: 15_000,
      requestTimeout: REQUEST_MS_MAX,
      keepAliveTimeout: IDLE_MS_MAX,
      connectionsCheckingInterval: 5_000,
    },
    // Whatever is thrown beside the answer's own errors ends this connection, never the process.
    (message, response) =>
      void handle(message, response).catch((error: unknown) => {
        input.onError(error, { path: '?', from: message.socket.remoteAddress ?? '?' });
        response.destroy();
      }),
  );
  server.maxConnections = CONNECTIONS_MAX;
  // Nothing moving in either direction; long work between request and answer has its own signs of life (see receive).
  server.timeout = 10 * IDLE_MS_MAX;
  server.on('secureConnection', (socket: TLSSocket) => {
    // Without a certificate, or with a session from earlier, not one byte is read or written.
    if (peerPin(socket) === undefined || socket.isSessionReused()) socket.destroy();
  });
  server.on('tlsClientError', (error, socket) => {
    input.onError(error, { path: 'tls', from: socket.remoteAddress ?? '?' });
    socket.destroy();
  });

  async function handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const socket = message.socket as TLSSocket;
    const pin = peerPin(socket);
    let path = '?';
    let route: PeerRoute | undefined;
    const ended = new AbortController();
    response.once('close', () => {
      if (!response.writableEnded) ended.abort(new EdgeError('E_STORE', 'the other side went away'));
    });
    const before = { in: socket.bytesRead, out: socket.bytesWritten };
    let admitted: string | undefined;
    try {
      if (pin === undefined) throw new EdgeError('E_DENIED', 'no certificate was shown');
      const member = input.service.memberByPin(pin);
      admitted = admit(underWay, member === undefined ? 'strangers' : pin);
      const url = urlOf(message);
      path = url.pathname;
      route = PEER_ROUTES.get(`${message.method} ${path}`);
      if (route === undefined)
        throw new EdgeError('E_NOT_FOUND', `there is no ${message.method} ${path.slice(0, 200)}`);
      if (!isAllowed(route.access, member !== undefined, input.service.mayRecover(pin))) {
        throw new EdgeError('E_DENIED', 'this key is of no member of the vault', {
          hint: 'Join with an invitation, or recover with the recovery sheet.',
          context: { pin },
        });
      }
      await route.run(
        {
          message,
          response,
          query: url.searchParams,
          pin,
          member,
          remoteAddress: socket.remoteAddress ?? '',
          signal: ended.signal,
        },
        input.service,
      );
    } catch (error) {
      input.onError(error, {
        path: path.slice(0, 200),
        from: `${socket.remoteAddress ?? '?'} ${pin?.slice(0, 8) ?? ''}`,
      });
      sendError(response, error);
      // The rest of a refused body is drained only as far as it was sent already; then the connection goes.
      message.resume();
    } finally {
      if (admitted !== undefined) leave(underWay, admitted);
      input.onRequest?.({
        route: route === undefined ? 'unknown' : path,
        status: response.statusCode,
        bytesIn: socket.bytesRead - before.in,
        bytesOut: socket.bytesWritten - before.out,
      });
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, input.listen)));
    server.listen({ host, port, exclusive: true }, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', (error) => input.onError(error, { path: 'listen', from: '' }));
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    host: address.address,
    close: (graceMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), graceMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

/** E_USAGE for a target that is no path, which only a stranger would send. */
function urlOf({ url = '/' }: IncomingMessage): URL {
  if (!url.startsWith('/') || !URL.canParse(`https://peer${url}`))
    throw new EdgeError('E_USAGE', 'the request names no path');
  return new URL(`https://peer${url}`);
}

function isAllowed(access: Access, isMember: boolean, mayRecover: boolean): boolean {
  return access === 'anyone' || isMember || (access === 'reader' && mayRecover);
}

function admit(underWay: Map<string, number>, who: string): string {
  const count = underWay.get(who) ?? 0;
  if (count >= (who === 'strangers' ? REQUESTS_OF_STRANGERS_MAX : REQUESTS_OF_ONE_MAX)) {
    throw new EdgeError('E_BUSY', 'too many requests at once', { retryable: true });
  }
  underWay.set(who, count + 1);
  return who;
}

function leave(underWay: Map<string, number>, who: string): void {
  const count = (underWay.get(who) ?? 1) - 1;
  if (count === 0) underWay.delete(who);
  else underWay.set(who, count);
}
