/** The folder that packs lie in: `xx/<64 hex>.pack`, and `.tmp/` for those being written. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { PackName } from '../../core/ids.ts';
import { readFolder } from '../data-dir.ts';
import { makeFolderDurably, syncFolder } from '../durable-write.ts';

export interface PackFolder {
  readonly path: string;
  packFile(pack: PackName): string;
  /** A name for a pack being written, used once in this process. */
  temporaryFile(): string;
  /** Gives a synced temporary file its name and makes the name durable. */
  publish(temporary: string, pack: PackName): Promise<void>;
  /** Every file that is named like a pack. */
  list(): Promise<PackName[]>;
}

export function packFolder(path: string): PackFolder {
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
      // At most 256 of them, each a short call: asked all at once, a start takes a few milliseconds for it.
      const listed = await Promise.all(folders.map((folder) => readFolder(join(path, folder))));
      const packs = listed.flatMap((names, i) =>
        names
          .filter((name) => /^[0-9a-f]{64}\.pack$/.test(name) && name.startsWith(folders[i]!))
          .map((name) => name.slice(0, 64)),
      );
      return packs;
    },
  };
}
