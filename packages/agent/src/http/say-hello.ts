import { EdgeError, isEdgeError } from '@edgestore/engine';
import { readJson } from './bounded-body.ts';
import { acceptHello, encodeHello, HELLO_BYTES_MAX, type Hello } from './hello.ts';
import type { PeerConnection } from './peer-connection.ts';

/** Says hello and answers the other side's. E_DENIED for another key or vault, E_NEWER_FORMAT without a common version. Learns nothing by itself. */
export async function sayHello(connection: PeerConnection, ours: Hello, signal?: AbortSignal): Promise<Hello> {
  try {
    const response = await connection.stream({ method: 'POST', path: '/peer/hello', body: encodeHello(ours), signal });
    return acceptHello(await readJson(response, HELLO_BYTES_MAX), ours.vault, connection.label);
  } catch (error) {
    // What the other side says of "the calling agent" has to name both when it is read here.
    if (!isEdgeError(error, 'E_DENIED', 'E_NEWER_FORMAT') || error.context.from === undefined) throw error;
    const { code, message, hint, context } = error;
    throw new EdgeError(code, `${connection.label} refused this agent: ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      context,
      cause: error,
    });
  }
}
