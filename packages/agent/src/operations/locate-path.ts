/** What a path on the command line means: `SNAPSHOT:PATH`, or a file in a root as it is in the root's newest snapshot. */
import { resolve } from 'node:path';
import { type SnapshotRow, unescapeName } from '@edgestore/engine';
import type { Opened } from './opened.ts';
import { rootOfPath } from './root-of-path.ts';
import { findSnapshot, type SnapshotSpec, splitSpec } from './snapshot-spec.ts';

export function locate(
  given: Omit<SnapshotSpec, 'snapshot'> & { readonly what: string; readonly cwd: string },
  opened: Opened,
): { readonly row: SnapshotRow; readonly path: Uint8Array } {
  if (/^(latest|[0-9a-f]{1,64}):/i.test(given.what)) {
    const spec = splitSpec(given.what);
    return { row: findSnapshot({ ...given, snapshot: spec.snapshot }, opened), path: spec.path };
  }
  const { root, below } = rootOfPath(unescapeName(resolve(given.cwd, given.what)), opened.loaded);
  return { row: findSnapshot({ ...given, root: root.name, snapshot: 'latest' }, opened), path: below };
}
