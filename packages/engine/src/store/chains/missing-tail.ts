/** The own chain's file ends before the index (docs/chain.md 2.5): the rest comes from other stores, or the index goes back to the file. */
import { stat } from 'node:fs/promises';
import { requireBody, verifyHead } from '../../chain/entry-head.ts';
import { EdgeError, errnoOf, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { EntryRow } from '../../ports/chain-index.ts';
import type { ChainEntry } from '../../ports/chains.ts';
import { readFolder } from '../data-dir.ts';
import { applyRecordsAgain, applyWaiting } from './apply-entries.ts';
import { ChainFile, type FileEnd } from './chain-file.ts';
import { chainFile, chainFilesIn, type FileName } from './chain-paths.ts';
import type { FollowedChain } from './followed-chain.ts';
import { readRecord } from './read-entry.ts';

/** `entries`: the tail, from the first missing one on. Undefined: nobody has it, so the rows behind the file go. */
export async function takeTail(chain: FollowedChain, entries: readonly ChainEntry[] | undefined): Promise<void> {
  const missing = chain.missingTail;
  if (missing === undefined) return;
  const { chainTable } = chain.deps.index;
  const row = chain.row!;
  const haveSeq = missing.have?.seq ?? 0;
  const have = haveSeq === 0 ? undefined : chainTable.entry(row.chain, haveSeq);
  const wanted = entries === undefined ? [] : verifyTail(chain, entries, haveSeq);
  const file = new ChainFile(chain.folder, undefined, chain.deps.fileBytes);
  await file.replace(fileEnd(have), await filesBehind(chain, have));
  failpoint('tail.cut');
  if (wanted.length > 0) {
    await file.write(wanted);
    await file.sync();
    failpoint('tail.filled');
  }
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

/** The entries between the file's end and the index's link, each verified by its link. */
function verifyTail(chain: FollowedChain, entries: readonly ChainEntry[], haveSeq: number): ChainEntry[] {
  const { until } = chain.missingTail!;
  const { chainTable } = chain.deps.index;
  const row = chain.row!;
  const wanted = entries.filter(({ head: { header } }) => header.seq > haveSeq && header.seq <= until.seq);
  for (const [i, entry] of wanted.entries()) {
    const { seq, incarnation } = entry.head.header;
    const known = chainTable.entry(row.chain, seq);
    if (seq !== haveSeq + 1 + i || known?.link !== entry.head.link)
      throw new EdgeError('E_INTEGRITY', `entry ${incarnation}/${seq} is not the one that was written here`);
    const key = chain.deps.signPublicKey(chain.agent, incarnation);
    if (key !== undefined) verifyHead(chain.deps.sodium, entry.head, key);
    if (entry.body !== undefined) requireBody(entry.head, entry.body);
  }
  if (wanted.length !== until.seq - haveSeq) {
    throw new EdgeError(
      'E_INTEGRITY',
      `entries up to ${haveSeq + wanted.length} were given, up to ${until.seq} are missing`,
      {
        retryable: true,
      },
    );
  }
  return wanted;
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
