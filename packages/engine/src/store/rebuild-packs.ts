import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError, errnoOf, isEdgeError, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { type PackName, toHex } from '../core/ids.ts';
import type { FrameRow } from '../core/ports/index.ts';
import { readErrorOf } from '../core/read-errors.ts';
import { type FetchDeps, verifyFrames } from './chunk-store/fetch-frames.ts';
import type { PackFolder } from './chunk-store/pack-folder.ts';
import { newerPack, packFormat } from './chunk-store/pack-format.ts';
import { readPackTail } from './chunk-store/read-pack-tail.ts';
import { removeIfThere, syncFolder } from './durable-write.ts';
import type { RebuildDeps } from './rebuild.ts';
import { type FoundPack, salvagePack } from './salvage-pack.ts';

type Deps = Pick<RebuildDeps, 'index' | 'vault' | 'progress' | 'signal' | 'identify' | 'clock'>;

export interface RebuiltPacks {
  readonly adopted: number;
  /** Gone since the last start: marked as absent, and a finding until each of their chunks is stored again. */
  readonly missing: readonly PackName[];
  readonly removed: number;
}

/**
 * Compares the pack files with the rows. Doomed files go when what they had is read good elsewhere; rows without a file
 * are marked absent (and the loss epoch rises) until the file is there again; files without a row are synced and
 * adopted, or removed when a merge that was killed left them and each of their frames was read good elsewhere. A pack
 * that cannot be read is marked, and tried again at the next start.
 */
export async function rebuildPacks(
  folder: PackFolder,
  rebuilt: boolean,
  deps: Deps,
  problems: EdgeError[],
): Promise<RebuiltPacks> {
  const chunks = deps.index.chunks;
  const rows = chunks.packs('');
  const known = new Set(rows.map((pack) => pack.name));
  let removed = 0;
  for (const name of chunks.doomedPacks()) {
    // One that is still needed has no rows, so it is adopted below.
    const goes = !known.has(name) && (await isNotNeeded(folder, name, deps));
    if (goes && (await removeIfThere(folder.packFile(name)))) removed++;
    failpoint('rebuild.doomed-unlinked');
    chunks.packUnlinked(name);
  }
  const listed = await folder.list();
  const files = new Set(listed.packs);
  const missing = markMissing(files, listed.unreadable, deps, problems);
  await liftReturned(folder, files, deps);
  const unknown = listed.packs.filter((name) => !known.has(name));
  const synced = new Set<string>();
  let adopted = 0;
  for (const [i, name] of unknown.entries()) {
    deps.signal?.throwIfAborted();
    deps.progress?.({ phase: 'rebuild', filesDone: i, filesTotal: unknown.length, detail: 'packs' });
    const found = await readFound(folder, name, synced, deps, problems);
    if (found === undefined) continue;
    if (!rebuilt && found.damage === undefined && (await isGoodElsewhere(folder, name, found.frames, deps))) {
      // Nothing relies on it: a merge or compaction was killed before its rows were swapped.
      if (await removeIfThere(folder.packFile(name))) removed++;
      continue;
    }
    adopt(name, found, deps);
    failpoint('rebuild.pack-adopted');
    adopted++;
  }
  chunks.settleLosses();
  return { adopted, missing, removed };
}

function markMissing(
  files: ReadonlySet<PackName>,
  unreadable: ReadonlyMap<string, string>,
  deps: Deps,
  problems: EdgeError[],
): PackName[] {
  const { chunks } = deps.index;
  const gone: PackName[] = [];
  const unknown: PackName[] = [];
  for (const { name, marked } of chunks.packs('')) {
    if (files.has(name) || marked !== undefined) continue;
    (unreadable.has(name.slice(0, 2)) ? unknown : gone).push(name);
  }
  chunks.markPacks(gone.map((name) => ({ name, reason: 'absent', why: 'its file is gone' })));
  chunks.markPacks(unknown.map((name) => ({ name, reason: 'unreadable', why: 'its folder cannot be listed' })));
  for (const [digits, errno] of unreadable)
    problems.push(
      new EdgeError('E_IO', `the folder ${digits} of the packs cannot be listed (${errno})`, {
        hint: 'Its packs count as unreadable until it can. See the kernel log (dmesg).',
        context: { errno },
      }),
    );
  return gone;
}

/** Packs that were marked as a whole, are there and can be read: their frames count again, but for those that are marked themselves. */
async function liftReturned(folder: PackFolder, files: ReadonlySet<PackName>, deps: Deps): Promise<void> {
  const { chunks } = deps.index;
  const back: PackName[] = [];
  for (const { name, marked } of chunks.packs('')) {
    if (marked === undefined || marked === 'damaged' || !files.has(name)) continue;
    try {
      if ((await readPackTail(folder.packFile(name), name)) !== undefined) back.push(name);
    } catch (error) {
      // It stays marked; a scrub says more.
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_NEWER_FORMAT') && readErrorOf(error) === undefined) throw error;
    }
  }
  chunks.liftPackMarks(back);
}

/** A pack whose name may not have reached the disk is not relied on: file and folder are synced before rows name it. */
async function readFound(
  folder: PackFolder,
  name: PackName,
  synced: Set<string>,
  deps: Deps,
  problems: EdgeError[],
): Promise<FoundPack | undefined> {
  const path = folder.packFile(name);
  try {
    await syncFound(path, folder, synced);
    return await readOrSalvage(path, name, deps, problems);
  } catch (error) {
    const errno = readErrorOf(error);
    if (errno === undefined) throw error;
    const why = `it cannot be read (${errno})`;
    deps.index.chunks.markPacks([{ name, reason: 'unreadable', why }]);
    problems.push(
      new EdgeError('E_IO', `pack ${path} cannot be read (${errno})`, {
        hint: 'What is in it counts as unreadable; it is tried again at each start. See the kernel log (dmesg).',
        context: { path, errno },
        cause: error,
      }),
    );
    return undefined;
  }
}

async function syncFound(path: string, folder: PackFolder, synced: Set<string>): Promise<void> {
  try {
    const file = await open(path, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw toEdgeError(error, `syncing pack ${path}`);
  }
  failpoint('rebuild.pack-synced');
  for (const dir of [dirname(path), folder.path]) {
    if (synced.has(dir)) continue;
    await syncFolder(dir);
    synced.add(dir);
  }
}

async function readOrSalvage(
  path: string,
  name: PackName,
  deps: Deps,
  problems: EdgeError[],
): Promise<FoundPack | undefined> {
  try {
    const contents = await readPackTail(path, name);
    if (contents === undefined) return undefined;
    if (contents.vault === deps.vault) return { ...contents, unverified: [], damage: undefined };
    problems.push(
      new EdgeError('E_WRONG_KEY', `pack ${path} belongs to another vault and is left alone`, {
        context: { path, vault: contents.vault },
      }),
    );
    return undefined;
  } catch (error) {
    if (isEdgeError(error, 'E_NEWER_FORMAT')) throw newerPack(path, error);
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    problems.push(error);
    return salvagePack(path, error.message, deps);
  }
}

/** One transaction: at no moment does a frame count that was found in a damaged pack and not verified. */
function adopt(name: PackName, found: FoundPack, deps: Deps): void {
  const { chunks } = deps.index;
  const { packClass, bytes, frames, damage, unverified } = found;
  const nowNs = deps.clock.nowNs();
  // A clock that ran ahead when the pack was stored must not make it young for years.
  const createdNs = found.storedNs > nowNs ? nowNs : found.storedNs;
  deps.index.transaction(() => {
    chunks.addPack({ name, store: '', packClass, bytes, frames: frames.length, createdNs }, frames, true);
    if (damage === undefined) return;
    const why = 'found in a damaged pack, and not to be verified here';
    chunks.markCopies(unverified.map((id) => ({ id, pack: name, reason: 'damaged', why })));
    chunks.markPacks([{ name, reason: 'damaged', why: damage, framesAreGood: true }]);
  });
}

/**
 * Of a doomed pack, each frame that has rows here is read good elsewhere now: since the merge was killed, the pack that
 * replaced it may have gone. A frame without rows was dropped.
 */
async function isNotNeeded(folder: PackFolder, name: PackName, deps: Deps): Promise<boolean> {
  try {
    const contents = await readPackTail(folder.packFile(name), name);
    if (contents === undefined) return true;
    const copies = deps.index.chunks.allCopies(contents.frames.map(({ id }) => id));
    const wanted = contents.frames.filter((_, i) => copies[i]!.some(({ store }) => store === ''));
    return await isGoodElsewhere(folder, name, wanted, deps);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_NEWER_FORMAT') && readErrorOf(error) === undefined) throw error;
    return false;
  }
}

/** Each frame has another copy of the same bytes on this disk, and it was read now. */
async function isGoodElsewhere(
  folder: PackFolder,
  name: PackName,
  frames: readonly FrameRow[],
  deps: Deps,
): Promise<boolean> {
  const { chunks } = deps.index;
  const copies = chunks.locate(frames.map((frame) => frame.id)).map((found, i) => {
    const same = found.filter((copy) => bytesEqual(copy.sealedSha256, frames[i]!.sealedSha256));
    return same.find((copy) => copy.store === '' && copy.pack !== name);
  });
  const others = copies.filter((copy) => copy !== undefined);
  if (others.length < frames.length) return false;
  const read: FetchDeps = { folder, format: packFormat(folder), index: chunks };
  const good = new Set<string>();
  for await (const outcome of verifyFrames(others, read, deps.signal))
    if ('sealed' in outcome) good.add(toHex(outcome.address.id));
  return good.size === frames.length;
}
