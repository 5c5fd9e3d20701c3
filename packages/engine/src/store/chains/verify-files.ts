/** Reads the files of a chain as a whole and compares them with the index: what a scrub does, and the first step of mending. */
import { EntryKind, isHoldKind, type SignedHead, verifyHead } from '../../chain/entry-head.ts';
import { type Link, ZERO_LINK } from '../../chain/position.ts';
import { isEdgeError } from '../../core/errors.ts';
import { readFolder } from '../data-dir.ts';
import { chainFile, chainFilesIn, type FileName } from './chain-paths.ts';
import type { FollowedChain } from './followed-chain.ts';
import { readBody } from './read-entry.ts';
import { type ScannedEntry, scanChainFile } from './scan-chain-file.ts';

/** Entries that cannot be read here. */
export interface DamagedRange {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly message: string;
}

/** Notes in the index what is damaged, and lifts the marks of what reads well. E_IO: an error of reading says nothing about the bytes. */
export async function verifyFiles(chain: FollowedChain, signal?: AbortSignal): Promise<DamagedRange[]> {
  const damaged = await damagedRanges(chain, signal);
  const { row } = chain;
  if (row !== undefined) {
    const { chainTable } = chain.deps.index;
    const notedNs = chain.deps.clock.nowNs();
    const before = new Map(chainTable.damage(row.chain).map((one) => [one.firstSeq, one]));
    for (const one of before.values()) chainTable.clearDamage(row.chain, one.firstSeq, one.lastSeq);
    // The time of the first sight stays.
    for (const range of damaged)
      chainTable.noteDamage({ chain: row.chain, notedNs: before.get(range.firstSeq)?.notedNs ?? notedNs, ...range });
  }
  return damaged;
}

/** In order. The last one reaches to the entry that the index knows last. */
export async function damagedRanges(chain: FollowedChain, signal?: AbortSignal): Promise<DamagedRange[]> {
  const ranges: DamagedRange[] = [];
  let next = 1;
  let link: Link = ZERO_LINK;
  let problem: string | undefined;
  const close = (untilSeq: number, message: string): void => {
    if (untilSeq >= next) ranges.push({ firstSeq: next, lastSeq: untilSeq, message });
  };
  for (const name of chainFilesIn(await readFolder(chain.folder))) {
    const path = chainFile(chain.folder, name);
    for await (const part of scanChainFile(path)) {
      signal?.throwIfAborted();
      if (part.kind !== 'entry') {
        problem ??= `${path} is damaged at byte ${part.offset}`;
        continue;
      }
      const { seq, incarnation } = part.head.header;
      if (seq < next || !isOfChain(part, link, next, chain)) {
        if (seq >= next) problem ??= `${path} is damaged at byte ${part.offset}: entry ${incarnation}/${seq}`;
        continue;
      }
      close(
        seq - 1,
        problem ?? `entries before ${incarnation}/${seq} are gone: ${path} does not follow the file before it`,
      );
      problem = undefined;
      const wrong = bodyProblem(part, name, chain);
      if (wrong !== undefined) ranges.push({ firstSeq: seq, lastSeq: seq, message: `${path}: ${wrong}` });
      next = seq + 1;
      link = part.head.link;
    }
  }
  const end = chain.position;
  if (end !== undefined)
    close(end.seq, problem ?? `the files in ${chain.folder} end before entry ${end.incarnation}/${end.seq}`);
  return ranges;
}

/** The index knows the link, or the entry continues what was read, or its signature says so behind a hole. */
export function isOfChain({ head }: ScannedEntry, link: Link | undefined, next: number, chain: FollowedChain): boolean {
  const { seq, previous, vault, agent } = head.header;
  const { deps, row } = chain;
  if (vault !== deps.vault || agent !== chain.agent) return false;
  const known = row === undefined ? undefined : deps.index.chainTable.entry(row.chain, seq);
  if (known !== undefined) return known.link === head.link;
  return (seq > next || previous === link) && isSigned(head, chain);
}

function isSigned(head: SignedHead, { agent, deps }: FollowedChain): boolean {
  const key = deps.signPublicKey(agent, head.header.incarnation);
  if (key === undefined) return false;
  try {
    verifyHead(deps.sodium, head, key);
    return true;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    return false;
  }
}

/** Undefined for a good body, one that another store may bring later, or one that lies with the late ones and is good there. */
function bodyProblem(part: ScannedEntry, name: FileName, chain: FollowedChain): string | undefined {
  const { head, body, isBodyDamaged } = part;
  const { seq, incarnation, kind } = head.header;
  if (body !== undefined) return undefined;
  const { deps, row } = chain;
  const entry = row === undefined ? undefined : deps.index.chainTable.entry(row.chain, seq);
  const isHere = entry?.bodyAt !== undefined && entry.file === name.file;
  try {
    if (isHere && entry.isLate && readBody(entry, head, deps) !== undefined) return undefined;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    return error.message;
  }
  if (isBodyDamaged || isHere) return `the body of entry ${incarnation}/${seq} is damaged`;
  // Own bodies are all here, but for those that no store had at a takeover; another owner's come when it sends them.
  return chain.isOwn && isHoldKind(kind) && kind !== EntryKind.holdCheckpoint
    ? `the body of entry ${incarnation}/${seq} is not here`
    : undefined;
}
