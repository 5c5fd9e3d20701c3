/** The own chain's file ends before the index (docs/chain.md 2.5), and no store has the rest: the index goes back to the file. */
import { stat } from 'node:fs/promises';
import { errnoOf, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { EntryRow } from '../../ports/chain-index.ts';
import { readFolder } from '../data-dir.ts';
import { applyRecordsAgain, applyWaiting } from './apply-entries.ts';
import { ChainFile, type FileEnd } from './chain-file.ts';
import { chainFile, chainFilesIn, type FileName } from './chain-paths.ts';
import type { FollowedChain } from './followed-chain.ts';
import { readRecord } from './read-entry.ts';

/** Nobody has the tail: the rows behind the file go. A tail that some store has comes by `mendFiles`. */
export async function giveUpTail(chain: FollowedChain): Promise<void> {
  const missing = chain.missingTail;
  if (missing === undefined) return;
  const { chainTable } = chain.deps.index;
  const row = chain.row!;
  const haveSeq = missing.have?.seq ?? 0;
  const have = haveSeq === 0 ? undefined : chainTable.entry(row.chain, haveSeq);
  const file = new ChainFile(chain.folder, undefined, chain.deps.fileBytes);
  await file.replace(fileEnd(have), await filesBehind(chain, have));
  failpoint('tail.cut');
  await file.close();
  chain.deps.bytes.forget();
  rewindIndex(chain, haveSeq);
  failpoint('tail.rewound');
  chain.missingTail = undefined;
  chain.blocked = undefined;
  await chain.catchUp();
  for (const shard of chainTable.waitingShards(row.chain)) applyWaiting(row.chain, shard, 'lost', chain.deps);
}

/** The index as it was at a seq, made again from the files. */
export function rewindIndex(chain: FollowedChain, seq: number): void {
  const { index } = chain.deps;
  const { chain: number } = chain.row!;
  index.transaction(() => {
    index.holds.clear(number);
    index.chainTable.rewind(number, seq);
    index.chainTable.makeAllWait(number);
    applyRecordsAgain(number, (row) => readRecord(row, chain.deps), chain.deps);
  });
}

function fileEnd(row: EntryRow | undefined): FileEnd | undefined {
  return row === undefined ? undefined : { file: row.file, fileIncarnation: row.fileIncarnation, end: row.itemEnd };
}

async function filesBehind(chain: FollowedChain, have: EntryRow | undefined): Promise<FileName[]> {
  const behind: FileName[] = [];
  for (const name of chainFilesIn(await readFolder(chain.folder))) {
    if (have !== undefined && name.file <= have.file) continue;
    if (await isThere(chainFile(chain.folder, name))) behind.push(name);
  }
  return behind;
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw toEdgeError(error, `looking at ${path}`);
  }
}
