/**
 * The oracle's own memory of what was acknowledged: snapshot ids with the digest of the tree they were made of, kept in the test's process,
 * outside everything that is killed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { differences, type Manifest, manifestOf } from '../oracle/manifest.ts';
import { runEdgestore } from '../support/edgestore-process.ts';

/** The trees of the crash tests have no extended attributes; that all metadata survives is the hostile tree's test. */
export function treeOf(root: string): Manifest {
  return manifestOf(root, { xattrs: false });
}

export interface Acknowledged {
  readonly snapshot: string;
  readonly manifest: Manifest;
}

export class Journal {
  readonly entries: Acknowledged[] = [];

  get last(): Acknowledged | undefined {
    return this.entries.at(-1);
  }

  note(snapshot: string, manifest: Manifest): void {
    this.entries.push({ snapshot, manifest });
  }
}

/** Restores the snapshot with `args` (data dir and so on) and compares every byte and all metadata; throws with the differences. */
export async function restoresExactly(entry: Acknowledged, args: readonly string[], what: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'edgestore-crash-restore-'));
  try {
    const target = join(scratch, 'out');
    const done = await runEdgestore(['restore', entry.snapshot, '--target', target, ...args]);
    if (done.exitCode !== 0) {
      throw new Error(
        `${what}: restoring ${entry.snapshot.slice(0, 8)} ended with ${done.exitCode ?? done.signal}\n${done.stdout}${done.stderr}`,
      );
    }
    const found = differences(entry.manifest, treeOf(target), 5);
    if (found.length > 0)
      throw new Error(`${what}: ${entry.snapshot.slice(0, 8)} came back different\n${found.join('\n')}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
