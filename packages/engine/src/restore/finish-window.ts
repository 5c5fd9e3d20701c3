/** After a window's files, and after all windows before it: links and the like, then the folders that have nothing more to come. */

import { joinPath } from '../browse/entry-name.ts';
import { EdgeError } from '../core/errors.ts';
import { toHex } from '../core/ids.ts';
import type { FinishFolder } from '../pipeline/tasks/extract-finish-folders.ts';
import type { OtherItem } from '../pipeline/tasks/extract-others.ts';
import { PARTIAL_PREFIX } from '../policy/partial-name.ts';
import type { Entry } from '../tree/entry.ts';
import type { PreparedWindow } from './prepare-window.ts';
import type { RestoreRun } from './restore-run.ts';
import type { EndedFolder, RestoreWindow, WindowItem } from './windows.ts';

/** First names of hard-linked entries, by hex key: where later names link to. */
export type FirstNames = Map<string, { readonly folder: Uint8Array; readonly name: Uint8Array }>;

const ITEMS_AT_ONCE = 512;

export async function finishWindow(
  run: RestoreRun,
  window: RestoreWindow,
  prepared: PreparedWindow,
  firstNames: FirstNames,
  writeFiles: (items: readonly WindowItem[]) => Promise<void>,
): Promise<void> {
  await makeOthers(run, prepared.others, otherItem);
  for (const item of [...window.smallFiles, ...window.largeFiles, ...window.others]) {
    noteFirstName(run, item, firstNames);
  }
  const firstOf = (item: WindowItem) => firstNames.get(toHex(item.entry.hardLink!));
  const orphans = prepared.links.filter((item) => firstOf(item) === undefined);
  const linkable = prepared.links.filter((item) => firstOf(item) !== undefined);
  const refused = await makeOthers(run, linkable, (item) => linkItem(item, firstOf(item)!));
  // The first name was not restored, or the file system takes no more links: the content itself, which then serves the names after it.
  for (const item of [...refused, ...orphans]) {
    const first = orphans.includes(item) ? firstOf(item) : undefined;
    if (first !== undefined) {
      await makeOthers(run, [item], (one) => linkItem(one, first));
      continue;
    }
    run.noFirstName.delete(toHex(item.entry.hardLink!));
    if (item.entry.type === 'file') await writeFiles([item]);
    else await makeOthers(run, [item], otherItem);
    noteFirstName(run, item, firstNames);
  }
  await finishFolders(run, window.ended);
}

function noteFirstName(run: RestoreRun, item: WindowItem, firstNames: FirstNames): void {
  if (item.entry.hardLink === undefined) return;
  const key = toHex(item.entry.hardLink);
  if (run.noFirstName.has(key)) firstNames.delete(key);
  else firstNames.set(key, { folder: item.folder, name: item.name });
}

/** Returns the links that could not be made as such. */
async function makeOthers(
  run: RestoreRun,
  items: readonly WindowItem[],
  describe: (item: WindowItem) => OtherItem,
): Promise<WindowItem[]> {
  const refused: WindowItem[] = [];
  for (let at = 0; at < items.length; at += ITEMS_AT_ONCE) {
    const group = items.slice(at, at + ITEMS_AT_ONCE);
    const output = await run.tasks.run(() =>
      run.pool.run('extractOthers', { root: run.root, items: group.map(describe), collision: run.collision() }),
    );
    const failed = new Set(output.refusedLinks);
    for (const index of output.refusedLinks) refused.push(group[index]!);
    for (const { index, code, message } of output.failures) {
      failed.add(index);
      if (code === 'E_NO_SPACE') run.stop.stop(new EdgeError(code, message));
      run.failItem(group[index]!, { code, message });
    }
    for (const failure of output.meta) run.failItem(group[failure.index]!, failure, false);
    run.counts.restored += group.length - failed.size;
    run.counts.ownersKept += output.ownersKept;
    run.stop.check();
  }
  if (items.length > 0) run.reportProgress();
  return refused;
}

function otherItem({ folder, name, entry }: WindowItem): OtherItem {
  const base = { folder, name, meta: metaOf(entry) };
  switch (entry.type) {
    case 'symlink':
      return { ...base, make: { what: 'symlink', target: entry.target ?? new Uint8Array(0) } };
    case 'chardev':
    case 'blockdev': {
      const { major, minor } = entry.posix.rdev ?? { major: 0, minor: 0 };
      return { ...base, make: { what: entry.type, major, minor } };
    }
    default:
      return { ...base, make: { what: 'fifo' } };
  }
}

function linkItem({ folder, name, entry }: WindowItem, first: { folder: Uint8Array; name: Uint8Array }): OtherItem {
  return { folder, name, meta: metaOf(entry), make: { what: 'link', folder: first.folder, name: first.name } };
}

export function metaOf(entry: Entry): OtherItem['meta'] {
  const { mode, uid, gid, xattrs } = entry.posix;
  return { mode, uid, gid, xattrs, mtimeNs: entry.mtimeNs };
}

async function finishFolders(run: RestoreRun, ended: readonly EndedFolder[]): Promise<void> {
  const { target, input } = run.plan;
  const folders: FinishFolder[] = [];
  for (const folder of ended) {
    const isTop = folder.path.length === 0;
    // A folder without write permission cannot be moved out of the partial folder by its owner: those get their metadata after the move.
    const waits = isTop || (target.kind === 'inside' && !folder.path.includes(0x2f));
    const remove = run.removeExtras ? await extrasOf(run, folder) : [];
    if (waits && remove.length === 0 && target.kind !== 'in-place') continue;
    folders.push({
      path: folder.path,
      meta: waits ? undefined : metaOf(folder.entry),
      temporaryPrefix: input.inPlace !== undefined && run.resume ? `${PARTIAL_PREFIX}${target.id}.` : undefined,
      remove,
    });
  }
  for (let at = 0; at < folders.length; at += ITEMS_AT_ONCE) {
    const group = folders.slice(at, at + ITEMS_AT_ONCE);
    const output = await run.tasks.run(() => run.pool.run('extractFinishFolders', { root: run.root, folders: group }));
    for (const failure of output.failures) run.failures.add(group[failure.index]!.path, failure, false);
    run.counts.ownersKept += output.ownersKept;
    run.counts.removed += output.removed;
  }
}

/** Names in the target's folder that the tree does not have. Nothing when the tree's own listing is incomplete. */
async function extrasOf(run: RestoreRun, folder: EndedFolder): Promise<Uint8Array[]> {
  if (folder.names === undefined) return [];
  const { input, filter } = run.plan;
  const known = new Set(folder.names.map((name) => toHex(name)));
  const { names, kinds, isSameDevice } = await run.tasks.run(() =>
    run.pool.run('extractList', { root: run.root, path: folder.path }),
  );
  // What is mounted there was perhaps left out of the capture for that reason.
  if (!isSameDevice) return [];
  return names.filter((name, i) => {
    // Sockets are never captured, so their absence from the tree says nothing; and our own marker is no extra.
    if (known.has(toHex(name)) || kinds[i] === 'socket') return false;
    if (Buffer.from(name).toString('latin1').startsWith(PARTIAL_PREFIX)) return false;
    const path = joinPath(folder.path, name);
    const isFolder = kinds[i] === 'dir';
    if (filter !== undefined && filter(path, isFolder) !== 'take') return false;
    return input.protect?.(path, isFolder) !== true;
  });
}
