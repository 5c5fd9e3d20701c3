/** TLS connections of which not one application byte is sent before the other side's key matched its pin. */
import { constants } from 'node:crypto';
import type https from 'node:https';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { EdgeError, errnoOf } from '@edgestore/engine';
import { IDLE_MS_MAX } from './bounded-body.ts';
import { peerPin } from './spki-pin.ts';
import type { TlsIdentity } from './tls-certificate.ts';

export interface PinnedTarget {
  readonly host: string;
  readonly port: number;
  /** SHA-256 of the SPKI that the other side must show, 64 hex digits. */
  readonly pin: string;
  /** For messages. */
  readonly label: string;
}

/** A connection that takes longer to stand than this is given up. */
const CONNECT_MS_MAX = 15_000;
/** Parallel requests to one peer; more would only queue in its disks. */
const SOCKETS_MAX = 6;

/** What both sides of every connection between agents use: TLS 1.3 alone, no tickets, so that each connection proves both keys anew. */
export const TLS_OPTIONS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
  ALPNProtocols: ['http/1.1'],
} as const;

/** An agent for `https.request` whose sockets are all pinned. `destroy()` closes them. */
export function createPinnedAgent(target: PinnedTarget, identity: TlsIdentity): https.Agent {
  const { Agent } = process.getBuiltinModule('node:https');
  const agent = new Agent({
    keepAlive: true,
    maxSockets: SOCKETS_MAX,
    maxCachedSessions: 0,
    keepAliveMsecs: 10_000,
  });
  type Done = (error: Error | null, socket?: TLSSocket) => void;
  // Answering later is part of Node's contract of createConnection, though not of its types.
  (agent as unknown as { createConnection: (options: unknown, done: Done) => undefined }).createConnection = (
    _,
    done,
  ) => {
    connectPinned(target, identity).then(
      (socket) => done(null, socket),
      (error: Error) => done(error),
    );
    return undefined;
  };
  return agent;
}

/** E_DENIED when another key answers; E_STORE (retryable) when nobody does. */
export function connectPinned(target: PinnedTarget, identity: TlsIdentity): Promise<TLSSocket> {
  const options: ConnectionOptions = {
    ...TLS_OPTIONS,
    ALPNProtocols: [...TLS_OPTIONS.ALPNProtocols],
    host: target.host,
    port: target.port,
    key: identity.keyPem,
    cert: identity.certPem,
    // The pin is the check. Names and issuers of a self-signed certificate mean nothing.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  };
  return new Promise((resolve, reject) => {
    // Not imported: most commands meet no peer, and would load all of TLS.
    const socket = process.getBuiltinModule('node:tls').connect(options);
    const timer = setTimeout(
      () =>
        fail(
          new EdgeError('E_TIMEOUT', `${target.label} did not answer in ${CONNECT_MS_MAX / 1000} s`, {
            retryable: true,
          }),
        ),
      CONNECT_MS_MAX,
    );
    const fail = (error: EdgeError): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const onError = (error: Error): void => fail(connectError(error, target));
    const onClose = (): void =>
      fail(new EdgeError('E_STORE', `${target.label} closed the connection`, { retryable: true }));
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.once('secureConnect', () => {
      const shown = peerPin(socket);
      if (shown !== target.pin || socket.isSessionReused()) {
        fail(
          new EdgeError('E_DENIED', wrongKey(target, shown), {
            hint: 'Someone else answers at that address, or the agent there was made anew. If that is known and wanted, invite it again.',
            context: { expected: target.pin, seen: shown ?? 'no certificate' },
          }),
        );
        return;
      }
      clearTimeout(timer);
      // Keep-alive sockets that die between two requests must not bring the process down; requests see their own errors.
      socket.on('error', () => {});
      socket.off('close', onClose);
      socket.off('error', onError);
      socket.setTimeout(IDLE_MS_MAX * 2, () => socket.destroy());
      resolve(socket);
    });
  });
}

/** Enough of both fingerprints to compare; all of them are in the context. */
function wrongKey({ label, pin }: PinnedTarget, shown: string | undefined): string {
  const seen = shown === undefined ? 'no certificate' : `fingerprint ${shown.slice(0, 16)}…`;
  return `${label} shows another key than the one that is pinned: expected fingerprint ${pin.slice(0, 16)}…, seen ${seen}`;
}

function connectError(error: Error, target: PinnedTarget): EdgeError {
  const errno = errnoOf(error);
  // The other side refused our key, or speaks no TLS 1.3.
  if (errno !== undefined && /^ERR_SSL|^EPROTO/.test(errno)) {
    return new EdgeError('E_DENIED', `${target.label} refused the TLS connection: ${error.message}`, {
      context: { errno },
      cause: error,
    });
  }
  return new EdgeError('E_STORE', `${target.label} cannot be reached: ${errno ?? error.message}`, {
    hint: 'Check that the agent runs there and that its port is open.',
    context: errno === undefined ? {} : { errno },
    retryable: true,
    cause: error,
  });
}
