/** The own chain's file ends before the index (docs/chain.md 2.5): the rest comes from other stores, or the index goes back to the file. */
import { requireBody, verifyHead } from '../../chain/entry-head.ts';
import { EdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { EntryRow } from '../../ports/chain-index.ts';
import type { ChainEntry } from '../../ports/chains.ts';
import { readFolder } from '../data-dir.ts';
import { fileIsThere } from '../file-is-there.ts';
import { applyRecordsAgain, applyWaiting } from './apply-entries.ts';
import { ChainFile, type FileEnd } from './chain-file.ts';
import { chainFile, chainFilesIn, type FileName } from './chain-paths.ts';
import type { FollowedChain } from './followed-chain.ts';
import { keepAside } from './keep-aside.ts';
import { readRecord } from './read-entry.ts';

/** An entry that another store has, by its seq; undefined where nobody has it. */
export type TailEntryOf = (seq: number) => ChainEntry | undefined | Promise<ChainEntry | undefined>;

/** Entries that are given to the file with one call. */
const ENTRIES_AT_ONCE = 64;

/**
 * Takes the missing entries from the first one on, each verified by the link that the index knows. Where they end
 * before the index does, its rows behind them go with `mayEndEarlier`; without it nothing is changed (E_INTEGRITY). The
 * damaged file keeps a second name.
 */
export async function takeTail(
  chain: FollowedChain,
  entryOf: TailEntryOf,
  { mayEndEarlier }: { readonly mayEndEarlier: boolean },
): Promise<void> {
  const missing = chain.missingTail;
  if (missing === undefined) return;
  const { chainTable } = chain.deps.index;
  const row = chain.row!;
  const haveSeq = missing.have?.seq ?? 0;
  const have = haveSeq === 0 ? undefined : chainTable.entry(row.chain, haveSeq);
  const endSeq = await verifyTail(chain, entryOf, haveSeq, mayEndEarlier);
  const file = new ChainFile(chain.folder, undefined, chain.deps.fileBytes);
  if (have !== undefined) await keepAside(chainFile(chain.folder, have));
  await file.replace(fileEnd(have), await filesBehind(chain, have));
  failpoint('tail.cut');
  if (endSeq > haveSeq) {
    for (let seq = haveSeq + 1; seq <= endSeq; seq += ENTRIES_AT_ONCE) {
      const entries: ChainEntry[] = [];
      for (let i = seq; i <= Math.min(endSeq, seq + ENTRIES_AT_ONCE - 1); i++) entries.push((await entryOf(i))!);
      await file.write(entries);
    }
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

/** The last seq up to which the entries are there. Nothing was changed before. */
async function verifyTail(
  chain: FollowedChain,
  entryOf: TailEntryOf,
  haveSeq: number,
  mayEndEarlier: boolean,
): Promise<number> {
  const { until } = chain.missingTail!;
  const { chainTable } = chain.deps.index;
  const row = chain.row!;
  for (let seq = haveSeq + 1; seq <= until.seq; seq++) {
    const entry = await entryOf(seq);
    if (entry === undefined) {
      if (mayEndEarlier) return seq - 1;
      const message = `entries up to ${seq - 1} were given, up to ${until.seq} are missing`;
      throw new EdgeError('E_INTEGRITY', message, { retryable: true });
    }
    const { header, link } = entry.head;
    const known = chainTable.entry(row.chain, seq);
    if (header.seq !== seq || known?.link !== link)
      throw new EdgeError(
        'E_INTEGRITY',
        `entry ${header.incarnation}/${header.seq} is not the one that was written here`,
      );
    const key = chain.deps.signPublicKey(chain.agent, header.incarnation);
    if (key !== undefined) verifyHead(chain.deps.sodium, entry.head, key);
    if (entry.body !== undefined) requireBody(entry.head, entry.body);
    else if (known.bodyAt !== undefined)
      throw new EdgeError('E_INTEGRITY', `entry ${header.incarnation}/${seq} was given without its body`);
  }
  return until.seq;
}

function fileEnd(row: EntryRow | undefined): FileEnd | undefined {
  return row === undefined ? undefined : { file: row.file, fileIncarnation: row.fileIncarnation, end: row.itemEnd };
}

async function filesBehind(chain: FollowedChain, have: EntryRow | undefined): Promise<FileName[]> {
  const behind: FileName[] = [];
  for (const name of chainFilesIn(await readFolder(chain.folder))) {
    if (have !== undefined && name.file <= have.file) continue;
    if (await fileIsThere(chainFile(chain.folder, name))) behind.push(name);
  }
  return behind;
}
