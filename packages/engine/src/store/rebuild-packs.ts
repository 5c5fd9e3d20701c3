import { readFile, stat } from 'node:fs/promises';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { PackName } from '../core/ids.ts';
import { PACK_BYTES_MAX } from '../core/limits.ts';
import type { FrameRow } from '../core/ports/index.ts';
import { decodePackHeader } from '../pack/pack-header.ts';
import { scanFrames } from '../pack/scan-frames.ts';
import type { PackFolder } from './chunk-store/pack-folder.ts';
import { newerPack } from './chunk-store/pack-format.ts';
import { type PackFileContents, readPackTail } from './chunk-store/read-pack-tail.ts';
import { removeIfThere } from './durable-write.ts';
import type { RebuildDeps } from './rebuild.ts';

type Deps = Pick<RebuildDeps, 'index' | 'vault' | 'progress' | 'signal'>;

/**
 * Compares the pack files with the rows. Doomed files go; rows without a file go (and the loss epoch rises); files without a row are adopted, or
 * removed when a merge that was killed left them and each of their frames has its good copy elsewhere.
 */
export async function rebuildPacks(
  folder: PackFolder,
  rebuilt: boolean,
  deps: Deps,
  problems: EdgeError[],
): Promise<{ adopted: number; missing: PackName[]; removed: number }> {
  const chunks = deps.index.chunks;
  const known = new Set(chunks.packs('').map((pack) => pack.name));
  let removed = 0;
  for (const name of chunks.doomedPacks()) {
    if (!known.has(name) && (await removeIfThere(folder.packFile(name)))) removed++;
    failpoint('rebuild.doomed-unlinked');
    chunks.packUnlinked(name);
  }
  const there = await folder.list();
  const files = new Set(there);
  const missing = [...known].filter((name) => !files.has(name));
  if (missing.length > 0) deps.index.transaction(() => missing.forEach((name) => void chunks.forgetPack(name)));
  const unknown = there.filter((name) => !known.has(name));
  let adopted = 0;
  for (const [i, name] of unknown.entries()) {
    deps.signal?.throwIfAborted();
    deps.progress?.({ phase: 'rebuild', filesDone: i, filesTotal: unknown.length, detail: 'packs' });
    const contents = await readOrSalvage(folder.packFile(name), name, deps, problems);
    if (contents === undefined) continue;
    if (!rebuilt && contents.isWhole && isElsewhere(contents.frames, deps)) {
      // Nothing relies on it: a merge or compaction was killed before its rows were swapped.
      if (await removeIfThere(folder.packFile(name))) removed++;
      continue;
    }
    chunks.addPack(
      {
        name,
        store: '',
        packClass: contents.packClass,
        bytes: contents.bytes,
        frames: contents.frames.length,
        createdNs: contents.modifiedNs < 0n ? 0n : contents.modifiedNs,
      },
      contents.frames,
    );
    failpoint('rebuild.pack-adopted');
    adopted++;
  }
  return { adopted, missing, removed };
}

type Found = Pick<PackFileContents, 'packClass' | 'bytes' | 'frames' | 'modifiedNs'> & { readonly isWhole: boolean };

async function readOrSalvage(
  path: string,
  name: PackName,
  deps: Deps,
  problems: EdgeError[],
): Promise<Found | undefined> {
  try {
    const contents = await readPackTail(path, name);
    if (contents === undefined) return undefined;
    if (contents.vault === deps.vault) return { ...contents, isWhole: true };
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
    return salvage(path, deps);
  }
}

/** The frames in front of the damage, by walking over them. They are only places to look: whoever opens one finds out whether it is good. */
async function salvage(path: string, deps: Deps): Promise<Found | undefined> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw toEdgeError(error, `reading pack ${path}`);
  });
  try {
    const { vault, packClass } = decodePackHeader(bytes);
    if (vault !== deps.vault || bytes.length > PACK_BYTES_MAX) return undefined;
    const seen = new Set<string>();
    const frames: FrameRow[] = [];
    for (const { sealed: _sealed, packClass: _class, ...row } of scanFrames(bytes)) {
      const hex = Buffer.from(row.id).toString('hex');
      if (!seen.has(hex)) frames.push(row);
      seen.add(hex);
    }
    if (frames.length === 0) return undefined;
    const { mtimeNs } = await stat(path, { bigint: true });
    return { packClass, bytes: bytes.length, frames, modifiedNs: mtimeNs, isWhole: false };
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')) return undefined;
    throw error;
  }
}

function isElsewhere(frames: readonly FrameRow[], deps: Deps): boolean {
  const copies = deps.index.chunks.locate(frames.map((frame) => frame.id));
  return frames.every((frame, i) =>
    copies[i]!.some((copy) => copy.store === '' && bytesEqual(copy.sealedSha256, frame.sealedSha256)),
  );
}
