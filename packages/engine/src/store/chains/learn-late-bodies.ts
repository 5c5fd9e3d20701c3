/** Finds bodies that came after their headers, for rows of the index that do not know them: after a rebuild, or after a file was mended. */
import { requireBody } from '../../chain/entry-head.ts';
import { isEdgeError } from '../../core/errors.ts';
import type { EntryRow } from '../../ports/chain-index.ts';
import { readFolder } from '../data-dir.ts';
import { bodiesFile, chainFilesIn } from './chain-paths.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { readBodies } from './late-bodies.ts';
import { readHead } from './read-entry.ts';

export async function learnLateBodies(chain: number, folder: string, deps: ChainsDeps): Promise<void> {
  const { chainTable } = deps.index;
  for (const name of chainFilesIn(await readFolder(folder))) {
    for await (const { seq, body, at } of readBodies(bodiesFile(folder, name))) {
      const entry = chainTable.entry(chain, seq);
      if (entry === undefined || entry.bodyAt !== undefined || entry.bodyBytes !== body.length) continue;
      if (isBodyOf(entry, body, deps)) chainTable.setBody(chain, seq, at, true);
    }
  }
}

function isBodyOf(entry: EntryRow, body: Uint8Array, deps: ChainsDeps): boolean {
  try {
    requireBody(readHead(entry, deps), body);
    return true;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    return false;
  }
}
