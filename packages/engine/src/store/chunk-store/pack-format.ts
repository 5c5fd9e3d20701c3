/**
 * Packs of a later format that the index knows already: it was kept by a newer program, and this one is older. What lies in such a pack is not this
 * program's to judge: read by an old rule it would look damaged, be marked, merged away or called lost.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { EdgeError, errnoOf, isEdgeError } from '../../core/errors.ts';
import type { PackName } from '../../core/ids.ts';
import { PACK_HEADER_BYTES } from '../../pack/layout.ts';
import { decodePackHeader } from '../../pack/pack-header.ts';
import type { PackFolder } from './pack-folder.ts';

export interface PackFormat {
  /** E_NEWER_FORMAT, naming the file. Says nothing about damage, or a file that is gone: whoever reads it finds out. */
  require(pack: PackName): void;
  isKnown(pack: PackName): boolean;
}

/** Each pack's first bytes are read once: a pack never changes. */
export function packFormat(folder: Pick<PackFolder, 'packFile'>): PackFormat {
  const known = new Set<PackName>();

  function problemOf(pack: PackName): EdgeError | undefined {
    if (known.has(pack)) return undefined;
    const path = folder.packFile(pack);
    try {
      decodePackHeader(headerOf(path));
      known.add(pack);
    } catch (error) {
      if (isEdgeError(error, 'E_NEWER_FORMAT')) return newerPack(path, error);
      // Damaged, cut short, gone, or a disk that cannot read it.
      if (!isEdgeError(error) && errnoOf(error) === undefined) throw error;
    }
    return undefined;
  }

  return {
    require(pack) {
      const problem = problemOf(pack);
      if (problem !== undefined) throw problem;
    },
    isKnown: (pack) => problemOf(pack) === undefined,
  };
}

/** Going on without such a pack would show whole snapshots as lost, and store all of it again beside it. */
export function newerPack(path: string, cause: EdgeError): EdgeError {
  return new EdgeError('E_NEWER_FORMAT', `${path}: ${cause.message}`, {
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    context: { path },
    cause,
  });
}

function headerOf(path: string): Uint8Array {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(PACK_HEADER_BYTES);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}
