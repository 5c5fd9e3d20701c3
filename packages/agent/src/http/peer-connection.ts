/** Requests to one peer: its addresses in turn, each connection pinned. */
import type { IncomingMessage } from 'node:http';
import type https from 'node:https';
import { EdgeError, isEdgeError } from '@edgestore/engine';
import { readBody } from './bounded-body.ts';
import { type HttpCall, httpCall } from './http-call.ts';
import { createPinnedAgent } from './pinned-connection.ts';
import type { TlsIdentity } from './tls-certificate.ts';

export interface PeerConnection {
  /** `dc-a (https://dc-a.example:7420)` */
  readonly label: string;
  /** The response with its body unread. */
  stream(call: PeerCall): Promise<IncomingMessage>;
  /** The response's body. */
  bytes(call: PeerCall & { readonly limit: number }): Promise<Buffer>;
  close(): void;
}

export interface PeerCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: HttpCall['body'];
  readonly signal?: AbortSignal | undefined;
  readonly idleMs?: number | undefined;
}

export interface PeerEndpoint {
  readonly name: string;
  /** `https://host:port`, the most useful first; at least one. */
  readonly addresses: readonly string[];
  readonly pin: string;
}

export function openPeerConnection(endpoint: PeerEndpoint, identity: TlsIdentity): PeerConnection {
  const routes = endpoint.addresses.map((address) => {
    const { host, port } = parseAddress(address);
    const label = `${endpoint.name} (${address})`;
    return { label, agent: undefined as https.Agent | undefined, target: { host, port, pin: endpoint.pin, label } };
  });
  if (routes.length === 0) throw new EdgeError('E_USAGE', `no address of peer ${endpoint.name} is known`);
  let current = 0;

  async function stream(call: PeerCall): Promise<IncomingMessage> {
    for (let tried = 0; ; tried++) {
      const route = routes[current]!;
      route.agent ??= createPinnedAgent(route.target, identity);
      try {
        return await httpCall({ ...call, label: route.label, agent: route.agent });
      } catch (error) {
        // A body that is a stream is spent; its sender has to begin again, and then the next address is tried.
        const mayTryNext = isEdgeError(error, 'E_STORE', 'E_TIMEOUT', 'E_DENIED') && call.signal?.aborted !== true;
        if (!mayTryNext || routes.length === 1) throw error;
        current = (current + 1) % routes.length;
        const isStream = call.body !== undefined && !(call.body instanceof Uint8Array);
        if (isStream || tried + 1 >= routes.length) throw error;
      }
    }
  }

  return {
    get label() {
      return routes[current]!.label;
    },
    stream,
    bytes: async (call) => readBody(await stream(call), call.limit),
    close: () => {
      for (const route of routes) route.agent?.destroy();
    },
  };
}

/** E_USAGE when it is not `https://host:port`. */
export function parseAddress(address: string): { host: string; port: number } {
  let url: URL;
  try {
    url = new URL(address);
  } catch (error) {
    throw new EdgeError('E_USAGE', `${JSON.stringify(address)} is not an address such as https://dc-a.example:7420`, {
      cause: error,
    });
  }
  if (url.protocol !== 'https:')
    throw new EdgeError('E_USAGE', `${JSON.stringify(address)} does not begin with https://`);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 443 : Number(url.port) };
}
