/** Finds bodies that came after their headers, for rows of the index that do not know them: after a rebuild, or after a file was mended. */
import { requireBody } from '../../chain/entry-head.ts';
import { isEdgeError } from '../../core/errors.ts';
import type { EntryRow } from '../../ports/chain-index.ts';
import { readFolder } from '../data-dir.ts';
import { syncFolder } from '../durable-write.ts';
import { bodiesFile, chainFilesIn } from './chain-paths.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { BODY_HEAD_BYTES, readBodies } from './late-bodies.ts';
import { readHead } from './read-entry.ts';
import { writeAgain } from './write-again.ts';

export async function learnLateBodies(chain: number, folder: string, deps: ChainsDeps): Promise<void> {
  const { chainTable } = deps.index;
  for (const name of chainFilesIn(await readFolder(folder))) {
    const path = bodiesFile(folder, name);
    const found: { readonly seq: number; readonly at: number }[] = [];
    for await (const { seq, body, at } of readBodies(path)) {
      const entry = chainTable.entry(chain, seq);
      if (entry === undefined || entry.bodyAt !== undefined || entry.bodyBytes !== body.length) continue;
      if (isBodyOf(entry, body, deps)) found.push({ seq, at });
    }
    const [first] = found;
    if (first === undefined) continue;
    // A kill may have left them unsynced, and nothing counts on them before they are durable.
    await writeAgain(path, first.at - BODY_HEAD_BYTES);
    await syncFolder(folder);
    deps.index.transaction(() => {
      for (const { seq, at } of found)
        if (chainTable.entry(chain, seq)?.bodyAt === undefined) chainTable.setBody(chain, seq, at, true);
    });
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
