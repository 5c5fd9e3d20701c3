/**
 * Frozen ends of a chain (docs/chain.md 9.2). The entries behind the base move to `branches/<first 16 hex digits of the tip's link>/`; what the chain held at
 * the tip stays held by the branch. Killed between two steps, the next start ends what was begun: a branch folder that has the position of the followed
 * chain says so.
 */
import { link, mkdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EntryKind, isHoldKind } from '../../chain/entry-head.ts';
import type { UnsatisfiedReason } from '../../chain/statement.ts';
import { EdgeError, errnoOf, isEdgeError, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId } from '../../core/ids.ts';
import type { ChainRow, EntryRow } from '../../ports/chain-index.ts';
import { readFolder } from '../data-dir.ts';
import { makeFolderDurably, syncFolder } from '../durable-write.ts';
import { applyBody, applyRecordsAgain, applyWaiting } from './apply-entries.ts';
import { copyRange, type FileEnd, type PlacedEntry, rewriteFile } from './chain-file.ts';
import { bodiesFile, chainFile, chainFilesIn, chainFolder, type FileName } from './chain-paths.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { joinBranch, joinFromFiles } from './join-shard.ts';
import { learnLateBodies } from './learn-late-bodies.ts';
import { readBody, readHead, readRecord } from './read-entry.ts';
import { scanChainFile } from './scan-chain-file.ts';

/** Makes the entries behind `baseSeq` a branch. Answers where the chain's newest file ends then. */
export async function freezeBranch(chain: ChainRow, baseSeq: number, deps: ChainsDeps): Promise<FileEnd | undefined> {
  const { chainTable } = deps.index;
  const tip = chain.position;
  const [first] = chainTable.entries(chain.chain, baseSeq, Number.MAX_SAFE_INTEGER, 1);
  if (tip === undefined || first === undefined)
    throw new EdgeError('E_FAILED', `nothing lies behind entry ${baseSeq} of agent ${chain.agent.slice(0, 8)}`);
  const branchFolder = chainFolder(deps.chainsDir, chain.agent, tip.link);
  await copyToBranch(chainFolder(deps.chainsDir, chain.agent), branchFolder, first);
  failpoint('branch.copied');
  return await cutAndSplit(chain, first, deps);
}

/** Ends a freeze that was cut off. */
export async function finishSplit(agent: AgentId, deps: ChainsDeps): Promise<void> {
  const chain = deps.index.chainTable.followed(agent);
  if (chain?.position === undefined) return;
  const folder = chainFolder(deps.chainsDir, agent, chain.position.link);
  const [name] = chainFilesIn(await readFolder(folder));
  if (name === undefined) return;
  const first = deps.index.chainTable.entry(chain.chain, name.file);
  if (first !== undefined) await cutAndSplit(chain, first, deps);
}

/** Branches that the index does not know: after a rebuild. */
export async function openBranches(agent: AgentId, missing: UnsatisfiedReason, deps: ChainsDeps): Promise<void> {
  const { chainTable } = deps.index;
  const followed = chainTable.followed(agent);
  if (followed === undefined) return;
  const folder = join(chainFolder(deps.chainsDir, agent), 'branches');
  const known = new Set(
    chainTable
      .rows()
      .flatMap((row) => (row.agent === agent && row.parent !== undefined ? [row.position?.link.slice(0, 16)] : [])),
  );
  let unknown = (await readFolder(folder)).filter((name) => /^[0-9a-f]{16}$/.test(name) && !known.has(name));
  // A branch may hang on another one, so those whose base is not known yet wait for a later round.
  for (let round = unknown.length; round > 0 && unknown.length > 0; round--) {
    const waiting: string[] = [];
    for (const name of unknown)
      if (!(await openBranch(followed, join(folder, name), missing, deps))) waiting.push(name);
    if (waiting.length === unknown.length) break;
    unknown = waiting;
  }
}

/** The state of a branch's shards, from the chain's first entry to its tip. */
export async function applyBranch(branch: ChainRow, missing: UnsatisfiedReason, deps: ChainsDeps): Promise<void> {
  const { index } = deps;
  index.holds.clear(branch.chain);
  /** As-of seqs of parts that stand for bodies which are not here, by shard. */
  const joined = new Map<number, number>();
  for (let seq = 1; seq <= branch.position!.seq; seq++) {
    const row = index.chainTable.entry(branch.chain, seq);
    if (row === undefined || !isHoldKind(row.kind) || seq <= (joined.get(row.shard) ?? 0)) continue;
    try {
      const body = readBody(row, readHead(row, deps), deps);
      if (body !== undefined) applyBody({ ...row, chain: branch.chain }, body, missing, deps);
      else joined.set(row.shard, await joinBranch(branch, row, missing, deps));
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
      deps.onProblem(error);
    }
  }
}

async function copyToBranch(from: string, to: string, first: EntryRow): Promise<void> {
  const parent = join(to, '..');
  await makeFolderDurably(parent);
  if ((await readFolder(to)).length > 0) return;
  const temporary = join(parent, `.${basename(to)}.tmp`);
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { mode: 0o700 });
    for (const name of chainFilesIn(await readFolder(from))) {
      if (name.file < first.file) continue;
      const isFirst = name.file === first.file && name.fileIncarnation === first.fileIncarnation;
      const target = isFirst ? branchName(first) : name;
      const { size } = await stat(chainFile(from, name));
      await copyRange(chainFile(from, name), chainFile(temporary, target), isFirst ? first.offset : 0, size);
      await linkIfThere(bodiesFile(from, name), bodiesFile(temporary, target));
    }
    await syncFolder(temporary);
    failpoint('branch.files-synced');
    await rename(temporary, to);
    await syncFolder(parent);
  } catch (error) {
    throw toEdgeError(error, `keeping a branch in ${to}`);
  }
}

async function cutAndSplit(chain: ChainRow, first: EntryRow, deps: ChainsDeps): Promise<FileEnd | undefined> {
  const { index } = deps;
  const folder = chainFolder(deps.chainsDir, chain.agent);
  const baseSeq = first.seq - 1;
  for (const name of chainFilesIn(await readFolder(folder)).reverse()) {
    if (name.file > first.file || (name.file === first.file && first.offset === 0)) {
      await unlink(chainFile(folder, name));
      await rm(bodiesFile(folder, name), { force: true });
    } else if (name.file === first.file) await rewriteFile(chainFile(folder, name), first.offset);
  }
  await syncFolder(folder);
  deps.bytes.forget();
  failpoint('branch.cut');
  const moved = (row: EntryRow): FileName & { offset: number } =>
    row.file === first.file && row.fileIncarnation === first.fileIncarnation
      ? { ...branchName(first), offset: row.offset - first.offset }
      : row;
  index.transaction(() => {
    index.chainTable.split(chain.chain, baseSeq, moved);
    index.chainTable.makeAllWait(chain.chain);
    applyRecordsAgain(chain.chain, (row) => readRecord(row, deps), deps);
  });
  failpoint('branch.split');
  for (const shard of index.chainTable.waitingShards(chain.chain)) {
    applyWaiting(chain.chain, shard, 'wanted', deps);
    await joinFromFiles(index.chainTable.row(chain.chain), shard, 'wanted', deps);
  }
  failpoint('branch.applied-again');
  const last = index.chainTable.lastEntry(chain.chain);
  return last === undefined ? undefined : { ...last, end: last.itemEnd };
}

function branchName(first: EntryRow): FileName {
  return first.offset === 0
    ? { fileIncarnation: first.fileIncarnation, file: first.file }
    : { fileIncarnation: first.incarnation, file: first.seq };
}

/** False when the entry before the branch is not known yet. */
async function openBranch(
  followed: ChainRow,
  folder: string,
  missing: UnsatisfiedReason,
  deps: ChainsDeps,
): Promise<boolean> {
  const { chainTable } = deps.index;
  let branch: ChainRow | undefined;
  for (const name of chainFilesIn(await readFolder(folder))) {
    for await (const part of scanChainFile(chainFile(folder, name))) {
      if (part.kind !== 'entry') continue;
      const { incarnation, seq, kind, shard, bodyBytes, previous } = part.head.header;
      if (branch === undefined) {
        const parent = chainTable
          .rows()
          .find(
            (row) =>
              row.agent === followed.agent && (seq === 1 || chainTable.entry(row.chain, seq - 1)?.link === previous),
          );
        if (parent === undefined) return false;
        branch = chainTable.add(followed.agent, followed.isOwn, { parent: parent.chain, baseSeq: seq - 1 });
      }
      const bodyAt = part.body === undefined ? undefined : part.offset + 4 + 203;
      const row: EntryRow = {
        chain: branch.chain,
        seq,
        incarnation,
        kind,
        shard,
        link: part.head.link,
        ...name,
        offset: part.offset,
        itemEnd: part.end,
        bodyBytes,
        bodyAt,
        isLate: false,
        waits: false,
      };
      const entry = { head: part.head, body: part.body, place: row };
      deps.index.transaction(() => {
        chainTable.addEntry(row);
        if (kind === EntryKind.record) applySnapshot(row, entry, deps);
      });
    }
  }
  if (branch === undefined) return true;
  await learnLateBodies(branch.chain, folder, deps);
  await applyBranch(chainTable.row(branch.chain), missing, deps);
  return true;
}

/** Of a branch's records snapshots and damaged marks count. */
function applySnapshot(row: EntryRow, entry: PlacedEntry, deps: ChainsDeps): void {
  try {
    const body = deps.openRecord(entry);
    if (body !== undefined) deps.index.log.applyRecord(row, body);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT', 'E_WRONG_KEY')) throw error;
    deps.onProblem(error);
  }
}

async function linkIfThere(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
