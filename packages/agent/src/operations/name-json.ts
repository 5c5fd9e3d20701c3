/** Names and paths are bytes. JSON has them as text, with the exact bytes beside it where text loses something. */
import { escapeName } from '@edgestore/engine';

export interface PathJson {
  readonly path: string;
  readonly path_b64?: string;
}

export function pathJson(path: Uint8Array): PathJson {
  const bytes = Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes)
    ? { path: text }
    : { path: escapeName(path), path_b64: bytes.toString('base64') };
}
