/** One request whose signature was verified, and how it is answered. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Disk } from './disk.ts';
import type { FaultInjector } from './faults.ts';
import { errorXml } from './xml.ts';

export interface S3Request {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly disk: Disk;
  readonly faults: FaultInjector;
  readonly accessKeyId: string;
  /** The body's SHA-256 in hex as signed, or UNSIGNED-PAYLOAD. */
  readonly payloadHash: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
}

/** Answers with an S3 error document (HEAD answers have no body). */
export function refuse(
  outgoing: ServerResponse,
  status: number,
  code: string,
  message: string,
  resource: string,
): void {
  answer(outgoing, status, {}, errorXml(code, message, resource));
}

export function answer(
  outgoing: ServerResponse,
  status: number,
  headers: Record<string, string | number>,
  xml = '',
): void {
  const body = Buffer.from(xml);
  outgoing.writeHead(status, {
    'content-length': body.length,
    ...(xml === '' ? {} : { 'content-type': 'application/xml' }),
    ...headers,
  });
  outgoing.end(outgoing.req.method === 'HEAD' ? undefined : body);
}
