/** The folder that packs lie in: `xx/<64 hex>.pack`, and `.tmp/` for those being written. */
import { rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { PackName, VaultId } from '../../core/ids.ts';
import { readErrorOf } from '../../core/read-errors.ts';
import { readFolder } from '../data-dir.ts';
import { makeFolderDurably, syncFolder } from '../durable-write.ts';
import { readPackMarker } from './pack-folder-marker.ts';

export interface PackFolder {
  readonly path: string;
  packFile(pack: PackName): string;
  /** A name for a pack being written, used once in this process. */
  temporaryFile(): string;
  /** Gives a synced temporary file its name and makes the name durable. */
  publish(temporary: string, pack: PackName): Promise<void>;
  /** Every file that is named like a pack, and the folders of the first two digits that could not be listed, with the reason. */
  list(): Promise<{ readonly packs: PackName[]; readonly unreadable: ReadonlyMap<string, string> }>;
  /**
   * Whether this is the folder that packs were put into, asked now: without it a disk that is not mounted would be a folder without packs. Nothing
   * there is called absent before.
   */
  isThere(): Promise<boolean>;
}

/** `vault`: whose packs they are, where that is known. */
export function packFolder(path: string, vault?: VaultId): PackFolder {
  const packFile = (pack: PackName): string => join(path, pack.slice(0, 2), `${pack}.pack`);
  const known = new Set<string>();
  let temporaries = 0;
  return {
    path,
    packFile,
    temporaryFile: () => join(path, '.tmp', `${++temporaries}.pack`),
    publish: async (temporary, pack) => {
      const folder = join(path, pack.slice(0, 2));
      if (!known.has(folder)) {
        await makeFolderDurably(folder);
        known.add(folder);
        failpoint('pack.folder-made');
      }
      try {
        await rename(temporary, packFile(pack));
      } catch (error) {
        throw toEdgeError(error, `naming pack ${pack.slice(0, 8)} in ${folder}`);
      }
      failpoint('pack.renamed');
      await syncFolder(folder);
      failpoint('pack.folder-synced');
    },
    list: async () => {
      const folders = (await readFolder(path)).filter((name) => /^[0-9a-f]{2}$/.test(name));
      const unreadable = new Map<string, string>();
      // At most 256 of them, each a short call: asked all at once, a start takes a few milliseconds for it.
      const listed = await Promise.all(
        folders.map((folder) =>
          readFolder(join(path, folder)).catch((error: unknown) => {
            const errno = readErrorOf(error);
            if (errno === undefined) throw error;
            unreadable.set(folder, errno);
            return [];
          }),
        ),
      );
      const packs = listed.flatMap((names, i) =>
        names
          .filter((name) => /^[0-9a-f]{64}\.pack$/.test(name) && name.startsWith(folders[i]!))
          .map((name) => name.slice(0, 64)),
      );
      return { packs, unreadable };
    },
    isThere: async () => {
      const marker = await readPackMarker(path);
      return marker === undefined ? await isFolder(join(path, '.tmp')) : vault === undefined || marker === vault;
    },
  };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw toEdgeError(error, `reading ${path}`);
  }
}
