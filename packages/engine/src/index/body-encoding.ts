/**
 * How record bodies lie in the index: structured-clone bytes. The index is rebuilt, never exchanged, so this is no format; what cannot be read
 * any more (another runtime) is damage of the index and mended by a rebuild.
 */
import { deserialize, serialize } from 'node:v8';

export function encodeBody(body: unknown): Buffer {
  return serialize(body);
}

export function decodeBody<Body>(bytes: Uint8Array): Body {
  return deserialize(bytes) as Body;
}
