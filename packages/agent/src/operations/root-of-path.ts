/** Which root a path lies in. */
import { EdgeError, escapeName } from '@edgestore/engine';
import type { RootConfig } from '../config/config.ts';
import type { LoadedConfig } from '../config/load-config.ts';

const SLASH = 0x2f;

export interface PathInRoot {
  readonly root: RootConfig;
  /** Below the root, without a leading slash; empty for the root itself. */
  readonly below: Uint8Array;
}

/** The innermost root counts when one lies in another. E_NOT_FOUND when there is none. */
export function rootOfPath(path: Uint8Array, { config }: LoadedConfig): PathInRoot {
  const bytes = Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  const root = config.roots
    .filter((one) => isWithin(bytes, Buffer.from(one.path)))
    .sort((a, b) => b.path.length - a.path.length)[0];
  if (root === undefined)
    throw new EdgeError('E_NOT_FOUND', `${escapeName(path)} lies in no root`, {
      hint: 'See: edgestore root list. What lies in a snapshot is written SNAPSHOT:PATH.',
    });
  return { root, below: bytes.subarray(Buffer.from(root.path).length + 1) };
}

function isWithin(path: Buffer, root: Buffer): boolean {
  return (
    path.equals(root) ||
    (path.length > root.length &&
      path.subarray(0, root.length).equals(root) &&
      (path[root.length] === SLASH || root.equals(Buffer.from('/'))))
  );
}
