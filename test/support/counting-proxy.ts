/** An HTTP proxy on loopback that counts requests and bytes by verb, so that figures about S3 come from the wire and not from the program. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CountingProxy {
  readonly endpoint: string;
  readonly counts: Map<string, { requests: number; bytesUp: number; bytesDown: number }>;
  close(): Promise<void>;
}

/** Forwards everything to `target` unchanged (the Host header too, which the request's signature covers). */
export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const upstream = new URL(target);
  const counts: CountingProxy['counts'] = new Map();
  const server = createServer((incoming, outgoing) => forward(upstream, counts, incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    counts,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function forward(
  upstream: URL,
  counts: CountingProxy['counts'],
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  const verb =
    incoming.method === 'GET' && /[?&]list-type=/.test(incoming.url ?? '') ? 'LIST' : (incoming.method ?? 'GET');
  const count = counts.get(verb) ?? { requests: 0, bytesUp: 0, bytesDown: 0 };
  counts.set(verb, count);
  count.requests++;
  incoming.on('data', (piece: Buffer) => {
    count.bytesUp += piece.length;
  });
  const onward = request(
    {
      host: upstream.hostname,
      port: upstream.port,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
      setHost: false,
    },
    (answer) => {
      answer.on('data', (piece: Buffer) => {
        count.bytesDown += piece.length;
      });
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
      answer.on('error', () => outgoing.destroy());
    },
  );
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
