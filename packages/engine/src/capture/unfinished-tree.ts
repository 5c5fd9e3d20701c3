/** The tree of what a first capture has so far: finished folders as they are, the others with what in them is done. */
import type { FinishedFolder } from '../pipeline/finish-folder.ts';
import type { FolderCounts } from '../pipeline/scan-types.ts';
import { type FinishJob, jobOf } from './finisher.ts';
import type { FolderNode } from './folder-node.ts';

export interface UnfinishedTree {
  /** Of the root. */
  readonly pages: readonly Uint8Array[];
  /** Cache rows of the folders that are not finished: they hold for what is in them. */
  readonly rows: readonly { readonly path: Uint8Array; readonly value: Uint8Array }[];
  /** Of the folders that are not finished. */
  readonly counts: FolderCounts;
}

/** Undefined when the root has not even been listed. Nothing may be in flight. Resolves when all pages have been handed to the writer. */
export async function makeUnfinishedTree(
  root: FolderNode,
  finish: (jobs: readonly FinishJob[]) => Promise<readonly FinishedFolder[]>,
): Promise<UnfinishedTree | undefined> {
  if (root.status !== 'taken') return undefined;
  const levels: FolderNode[][] = [[root]];
  for (let level = levels[0]!; level.length > 0; level = levels.at(-1)!) {
    levels.push(level.flatMap((node) => [...node.open].filter((child) => child.status === 'taken')));
  }
  const pagesOf = new Map<FolderNode, readonly Uint8Array[]>();
  const rows: { path: Uint8Array; value: Uint8Array }[] = [];
  const counts = { files: 0, dirs: 0, others: 0, bytes: 0 };
  for (const level of levels.reverse()) {
    if (level.length === 0) continue;
    const whole = level.filter((node) => !node.isSplit);
    for (const node of level) if (node.isSplit) pagesOf.set(node, partsOf(node, pagesOf));
    const finished = whole.length === 0 ? [] : await finish(whole.map((node) => withOpenFolders(node, pagesOf)));
    finished.forEach((folder, i) => {
      const node = whole[i]!;
      pagesOf.set(node, folder.pages);
      rows.push({ path: node.key, value: folder.row });
      for (const key of ['files', 'dirs', 'others', 'bytes'] as const) counts[key] += folder.counts[key];
    });
  }
  return { pages: pagesOf.get(root)!, rows, counts };
}

/** Folders in it that were begun get the pages made for them; those that were not are left out for now. */
function withOpenFolders(node: FolderNode, pagesOf: ReadonlyMap<FolderNode, readonly Uint8Array[]>): FinishJob {
  const job = jobOf(node);
  const updates = [...node.open].map((child) => {
    const pages = pagesOf.get(child);
    const index = child.scanned!.index;
    return pages === undefined ? { index, kind: 'drop' as const } : { index, kind: 'pages' as const, pages };
  });
  return { ...job, updates: [...job.updates, ...updates] };
}

/** The pages of a folder in parts, as far as there are any. */
function partsOf(node: FolderNode, pagesOf: ReadonlyMap<FolderNode, readonly Uint8Array[]>): readonly Uint8Array[] {
  const begun = new Map([...node.open].map((part) => [part.part!.index, pagesOf.get(part)]));
  return Array.from(node.reply!.parts!, (_, index) => node.partPages[index] ?? begun.get(index) ?? []).flat();
}
