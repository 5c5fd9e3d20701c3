/**
 * Puts entries that other stores have into the places where the files of a chain are damaged. A mended file is written beside the old one, made durable, and
 * replaces it by rename. The index is taken back to the first mended entry and applies the files again.
 */
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HEAD_BYTES, requireBody, verifyHead } from '../../chain/entry-head.ts';
import { type Link, ZERO_LINK } from '../../chain/position.ts';
import { EdgeError, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ChainEntry } from '../../ports/chains.ts';
import { readFolder } from '../data-dir.ts';
import { makeFolderDurably, syncFolder, writeFully } from '../durable-write.ts';
import { applyRecordsAgain, applyWaiting } from './apply-entries.ts';
import { itemOf } from './chain-file.ts';
import { chainFile, chainFilesIn, type FileName } from './chain-paths.ts';
import type { FollowedChain } from './followed-chain.ts';
import { keepAside } from './keep-aside.ts';
import { learnLateBodies } from './learn-late-bodies.ts';
import { rewindIndex } from './missing-tail.ts';
import { readRecord } from './read-entry.ts';
import { LENGTH_BYTES, scanChainFile } from './scan-chain-file.ts';
import { type DamagedRange, isOfChain, verifyFiles } from './verify-files.ts';

/** Undefined where nobody has the entry. */
export type EntryOf = (seq: number) => ChainEntry | undefined | Promise<ChainEntry | undefined>;

/** Answers what is still damaged. */
export function mendFiles(
  chain: FollowedChain,
  ranges: readonly DamagedRange[],
  entryOf: EntryOf,
): Promise<DamagedRange[]> {
  return chain.turn(() => mend(chain, ranges, entryOf));
}

async function mend(chain: FollowedChain, ranges: readonly DamagedRange[], entryOf: EntryOf): Promise<DamagedRange[]> {
  const { row } = chain;
  const { chainTable } = chain.deps.index;
  await makeFolderDurably(chain.folder);
  const files = withFirst(chainFilesIn(await readFolder(chain.folder)), ranges);
  const mended: MendedFile[] = [];
  for (const [i, file] of files.entries()) {
    const next = files[i + 1];
    const lastSeq = next === undefined ? chain.position?.seq : next.file - 1;
    const isHurt = ranges.some((range) => range.firstSeq <= (lastSeq ?? range.lastSeq) && range.lastSeq >= file.file);
    const made = isHurt ? await mendFile(chain, file, lastSeq, entryOf) : undefined;
    if (made !== undefined) mended.push(made);
  }
  if (mended.length > 0) {
    await syncFolder(chain.folder);
    chain.deps.bytes.forget();
    failpoint('mend.replaced');
    const moved = mended.find((file) => !isAsIndexed(file, chain));
    if (moved !== undefined && row !== undefined) rewindIndex(chain, moved.firstSeq - 1);
    failpoint('mend.rewound');
    await chain.catchUp('lost');
    chain.missingTail = undefined;
    chain.blocked = undefined;
    const { chain: number } = chain.row!;
    for (const { places } of mended) {
      for (const { seq, bodyAt } of places)
        if (bodyAt !== undefined && chainTable.entry(number, seq)?.bodyAt === undefined)
          chainTable.setBody(number, seq, bodyAt, false);
    }
    await learnLateBodies(number, chain.folder, chain.deps);
    for (const shard of chainTable.waitingShards(number)) applyWaiting(number, shard, 'lost', chain.deps);
    chain.deps.index.transaction(() => applyRecordsAgain(number, (entry) => readRecord(entry, chain.deps), chain.deps));
  }
  return await verifyFiles(chain);
}

/** Files that are there, and the first one where it is gone. Entries of another one that is gone go to the end of the file before it. */
function withFirst(files: readonly FileName[], ranges: readonly DamagedRange[]): FileName[] {
  const [first] = files;
  const isGone = ranges.some(({ firstSeq }) => firstSeq === 1) && (first === undefined || first.file > 1);
  return isGone ? [{ fileIncarnation: 0, file: 1 }, ...files] : [...files];
}

interface MendedFile extends FileName {
  readonly firstSeq: number;
  readonly places: readonly {
    readonly seq: number;
    readonly offset: number;
    readonly itemEnd: number;
    readonly bodyAt: number | undefined;
  }[];
}

/** Every entry is where the index has it, so only marks change. */
function isAsIndexed({ file, fileIncarnation, places }: MendedFile, { row, deps }: FollowedChain): boolean {
  if (row === undefined) return false;
  return places.every(({ seq, offset, itemEnd }) => {
    const known = deps.index.chainTable.entry(row.chain, seq);
    return (
      known !== undefined &&
      known.file === file &&
      known.fileIncarnation === fileIncarnation &&
      known.offset === offset &&
      known.itemEnd === itemEnd
    );
  });
}

/** Undefined when an entry of the file is nowhere to be had: then the file stays as it is. `lastSeq` undefined: the index knows no end of the chain. */
async function mendFile(
  chain: FollowedChain,
  name: FileName,
  lastSeq: number | undefined,
  entryOf: EntryOf,
): Promise<MendedFile | undefined> {
  const before =
    name.file === 1 || chain.row === undefined
      ? undefined
      : chain.deps.index.chainTable.entry(chain.row.chain, name.file - 1);
  const writer = await openMending(chain, name, name.file === 1 ? ZERO_LINK : before?.link);
  let isWhole = true;
  try {
    const fillUntil = async (seq: number): Promise<void> => {
      while (isWhole && writer.next < seq) isWhole = await writer.put(await entryOf(writer.next));
    };
    for await (const part of scanChainFile(chainFile(chain.folder, name))) {
      if (part.kind !== 'entry') continue;
      const { seq } = part.head.header;
      const isOurs = seq >= writer.next && (lastSeq === undefined || seq <= lastSeq);
      if (!isOurs || !isOfChain(part, writer.link, writer.next, chain)) continue;
      await fillUntil(seq);
      // A late body that is damaged comes back beside its header.
      const entry = part.body === undefined ? ((await entryOf(seq)) ?? (part.isBodyDamaged ? undefined : part)) : part;
      isWhole &&= await writer.put(entry);
      if (!isWhole) break;
    }
    if (lastSeq !== undefined) await fillUntil(lastSeq + 1);
  } catch (error) {
    await writer.discard();
    throw toEdgeError(error, `mending the chain in ${chain.folder}`);
  }
  if (isWhole && writer.next > name.file) return await writer.finish();
  await writer.discard();
  return undefined;
}

interface MendingWriter {
  /** Of the next entry: its seq, and the link that it follows where that is known. */
  readonly next: number;
  readonly link: Link | undefined;
  put(entry: ChainEntry | undefined): Promise<boolean>;
  finish(): Promise<MendedFile>;
  discard(): Promise<void>;
}

async function openMending(chain: FollowedChain, name: FileName, before: Link | undefined): Promise<MendingWriter> {
  const temporary = join(chain.folder, `.mending-${name.file}.tmp`);
  const file = await open(temporary, 'w', 0o600);
  const places: MendedFile['places'][number][] = [];
  let { fileIncarnation } = name;
  let link = before;
  let at = 0;
  let next = name.file;
  return {
    get next() {
      return next;
    },
    get link() {
      return link;
    },
    async put(entry) {
      if (entry === undefined || !continues(entry, next, link, chain)) return false;
      if (fileIncarnation === 0) fileIncarnation = entry.head.header.incarnation;
      const item = itemOf(entry);
      await writeFully(file, item, at);
      const bodyAt = entry.body === undefined ? undefined : at + LENGTH_BYTES + HEAD_BYTES;
      places.push({ seq: next, offset: at, itemEnd: at + item.length, bodyAt });
      at += item.length;
      next += 1;
      link = entry.head.link;
      return true;
    },
    async finish() {
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      failpoint('mend.written');
      await keepAside(chainFile(chain.folder, name));
      await rename(temporary, chainFile(chain.folder, { fileIncarnation, file: name.file }));
      return { fileIncarnation, file: name.file, firstSeq: name.file, places };
    },
    async discard() {
      await file.close();
      await rm(temporary, { force: true });
    },
  };
}

/** An entry that the index knows under another link is damage. */
function isKnownLink(link: Link, seq: number, { row, deps }: FollowedChain): boolean {
  const known = row === undefined ? undefined : deps.index.chainTable.entry(row.chain, seq);
  return known === undefined || known.link === link;
}

/** E_INTEGRITY when another entry than the one that was written here was given. */
function continues(entry: ChainEntry, seq: number, link: Link | undefined, chain: FollowedChain): boolean {
  const { head, body } = entry;
  const { header } = head;
  if (header.seq !== seq || (link !== undefined && header.previous !== link)) return false;
  if (body !== undefined) requireBody(head, body);
  const key = chain.deps.signPublicKey(chain.agent, header.incarnation);
  if (key !== undefined) verifyHead(chain.deps.sodium, head, key);
  if (isKnownLink(head.link, seq, chain)) return true;
  throw new EdgeError('E_INTEGRITY', `entry ${header.incarnation}/${seq} is not the one that was written here`);
}
