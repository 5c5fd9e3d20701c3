/** `snapshot diff`. */
import { diffTrees, EdgeError, type Entry, jsonPath, openTreeReader, type SnapshotRow } from '@edgestore/engine';
import { z } from 'zod';
import { type Opened, openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { readerDeps } from './reader-deps.ts';
import { findSnapshot } from './snapshot-spec.ts';

export interface DiffItem {
  readonly path: string;
  readonly path_b64?: string;
  /** `type`: something of another kind has the name; `content`: bytes or link target; `metadata`: only mode, owner, times or attributes. */
  readonly change: 'added' | 'removed' | 'type' | 'content' | 'metadata';
  readonly type: string;
  readonly size_before?: number;
  readonly size_after?: number;
}

export interface DiffData {
  readonly from: string;
  readonly to: string;
  readonly counts: Readonly<Record<DiffItem['change'], number>>;
  /** Bytes of files after less before. */
  readonly bytes_difference: number;
}

const input = z.object({
  from: z.string(),
  to: z.string().optional(),
  root: z.string().optional(),
  agent: z.string().optional(),
});

export const snapshotDiff = defineOperation<z.output<typeof input>, DiffData>({
  name: 'snapshot.diff',
  input,
  mutates: false,
  run: async (given, context) => {
    const opened = openedOf(context);
    const { from, to } = bothEnds(given, opened);
    const reader = openTreeReader(readerDeps(opened, context));
    const counts = { added: 0, removed: 0, type: 0, content: 0, metadata: 0 };
    let bytes = 0;
    for await (const { path, change, before, after } of diffTrees(
      reader,
      from.body.entry,
      to.body.entry,
      context.signal,
    )) {
      counts[change]++;
      bytes += sizeOf(after) - sizeOf(before);
      await context.emit({
        ...jsonPath(path),
        change,
        type: (after ?? before)!.type,
        ...(before?.type === 'file' ? { size_before: sizeOf(before) } : {}),
        ...(after?.type === 'file' ? { size_after: sizeOf(after) } : {}),
      } satisfies DiffItem);
    }
    return { data: { from: from.id, to: to.id, counts, bytes_difference: bytes } };
  },
});

/** With one snapshot: what it changed, compared with its parent. */
function bothEnds(given: z.output<typeof input>, opened: Opened): { from: SnapshotRow; to: SnapshotRow } {
  const flags = { root: given.root, agent: given.agent };
  const first = findSnapshot({ ...flags, snapshot: given.from }, opened);
  if (given.to !== undefined) {
    // Compared with an id, `latest` is of that snapshot's root.
    const root = given.root ?? (given.to === 'latest' ? first.body.root : undefined);
    return { from: first, to: findSnapshot({ ...flags, root, snapshot: given.to }, opened) };
  }
  if (first.body.parent === undefined) {
    throw new EdgeError(
      'E_USAGE',
      `${first.id.slice(0, 8)} is the first of its root; there is nothing to compare it with`,
      { hint: 'Give two snapshots.' },
    );
  }
  return { from: findSnapshot({ ...flags, snapshot: first.body.parent }, opened), to: first };
}

function sizeOf(entry: Entry | undefined): number {
  return entry?.type === 'file' ? (entry.size ?? 0) : 0;
}
