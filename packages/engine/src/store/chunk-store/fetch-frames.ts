/** Reads sealed chunks from local packs: neighbours as one range, each checked against its frame header. */
import { type FileHandle, open } from 'node:fs/promises';
import { bytesEqual } from '../../core/bytes.ts';
import { errnoOf, isEdgeError, toEdgeError } from '../../core/errors.ts';
import { noteIfRoom } from '../../core/full-disk.ts';
import type { PackName } from '../../core/ids.ts';
import type { ChunkIndex, CopyMark } from '../../core/ports/index.ts';
import type { MissReason, SealedAddress, SealedFrame, SealedMiss } from '../../core/ports/sealed-source.ts';
import { cannotRead, readErrorOf } from '../../core/read-errors.ts';
import { decodeFrameHeader } from '../../pack/frame-header.ts';
import { FRAME_HEADER_BYTES } from '../../pack/layout.ts';
import type { PackFolder } from './pack-folder.ts';
import type { PackFormat } from './pack-format.ts';
import { readFromMedium } from './page-cache.ts';
import { readPackTail, readUpTo } from './read-pack-tail.ts';
import { type Located, type Range, rangesOf } from './read-ranges.ts';
import { sha256Matches } from './sealed-hash.ts';

export interface FetchDeps {
  readonly folder: PackFolder;
  readonly format: PackFormat;
  readonly index: Pick<ChunkIndex, 'allCopies' | 'liftMarks' | 'markCopies' | 'markPacks' | 'packByName'>;
}

/** Marks found on the way are written so many at a time: each time is an fsync. */
const MARKS_AT_ONCE = 256;

/**
 * Each address once, in the order of packs and offsets. An address whose pack is gone (compacted since) is looked up again before the chunk is
 * called absent; a bad copy is marked in the index and another one tried. A marked copy that turns out good loses its mark. EMFILE and the like are
 * thrown: they say nothing about the chunk.
 */
export async function* fetchFrames(
  addresses: readonly SealedAddress[],
  deps: FetchDeps,
  signal?: AbortSignal,
): AsyncGenerator<SealedFrame | SealedMiss> {
  // Who only reads goes on without the notes on a full disk: the next reading finds the same.
  const found = findings(deps, noteIfRoom);
  const byPack = new Map<PackName, Located[]>();
  try {
    for (const address of addresses) {
      const located =
        address.pack === undefined || address.offset === undefined
          ? locate(address, new Set(), deps)
          : (address as Located);
      if (located === undefined) {
        yield { address, reason: 'absent', detail: 'it is not in the local store' };
        continue;
      }
      const wanted = byPack.get(located.pack);
      if (wanted === undefined) byPack.set(located.pack, [located]);
      else wanted.push(located);
    }
    for (const [pack, wanted] of byPack) {
      for await (const outcome of readFrames(pack, wanted, deps, signal)) {
        const judged = found.judge(outcome);
        yield 'sealed' in judged ? judged : await tryOtherCopies(judged, found, deps, signal);
      }
    }
  } finally {
    found.write();
  }
}

/**
 * Reads exactly these copies, from the medium and not from the kernel's memory, and compares each with the hash that was noted when it was stored. No other copy
 * stands in. What it finds is marked, or its mark lifted.
 */
export async function* verifyFrames(
  addresses: readonly SealedAddress[],
  deps: FetchDeps,
  signal?: AbortSignal,
): AsyncGenerator<SealedFrame | SealedMiss> {
  const found = findings(deps);
  const byPack = new Map<PackName, Located[]>();
  for (const address of addresses) {
    if (address.pack === undefined || address.offset === undefined) {
      yield { address, reason: 'absent', detail: 'it is not in the local store' };
      continue;
    }
    byPack.set(address.pack, [...(byPack.get(address.pack) ?? []), address as Located]);
  }
  try {
    for (const [pack, wanted] of byPack) {
      for await (const outcome of readFrames(pack, wanted, deps, signal, true)) yield found.judge(outcome, true);
    }
  } finally {
    found.write();
  }
}

interface Findings {
  /** Notes what the outcome says about its copy; bytes that are not those stored become a miss where they are compared. */
  judge(outcome: SealedFrame | SealedMiss, compares?: boolean): SealedFrame | SealedMiss;
  write(): void;
}

function findings(deps: FetchDeps, noting = (note: () => void): void => note()): Findings {
  let marks: CopyMark[] = [];
  let lifts: { id: Uint8Array; pack: PackName }[] = [];
  const gone = new Set<PackName>();
  const write = (): void => {
    const [marked, lifted] = [marks, lifts];
    marks = [];
    lifts = [];
    if (marked.length > 0) noting(() => deps.index.markCopies(marked));
    if (lifted.length > 0) noting(() => deps.index.liftMarks(lifted));
  };
  const note = ({ address: { id, pack }, reason, detail }: SealedMiss): void => {
    if (pack === undefined || gone.has(pack)) return;
    if (reason === 'absent') {
      gone.add(pack);
      // Rows that still name the file mean a loss; a compaction takes them away before it removes the file.
      if (deps.index.packByName(pack) !== undefined)
        noting(() => deps.index.markPacks([{ name: pack, reason, why: detail }]));
      return;
    }
    marks.push({ id, pack, reason, why: detail });
    if (marks.length >= MARKS_AT_ONCE) write();
  };
  return {
    judge(outcome, compares = false) {
      const { address } = outcome;
      if (!('sealed' in outcome)) {
        note(outcome);
        return outcome;
      }
      if (!compares && address.marked === undefined) return outcome;
      const row = deps.index
        .allCopies([address.id])[0]!
        .find((copy) => copy.store === '' && copy.pack === address.pack);
      if (row === undefined || !sha256Matches(outcome.sealed, row.sealedSha256)) {
        const detail = row === undefined ? 'it was moved meanwhile' : 'its bytes are not those that were stored';
        const miss: SealedMiss = { address, reason: row === undefined ? 'absent' : 'damaged', detail };
        if (row !== undefined) note(miss);
        return miss;
      }
      if (row.marked !== undefined && address.pack !== undefined) lifts.push({ id: address.id, pack: address.pack });
      return outcome;
    },
    write,
  };
}

async function* readFrames(
  pack: PackName,
  wanted: readonly Located[],
  deps: FetchDeps,
  signal: AbortSignal | undefined,
  fromMedium = false,
): AsyncGenerator<SealedFrame | SealedMiss> {
  deps.format.require(pack);
  let file: FileHandle;
  try {
    file = await open(deps.folder.packFile(pack), 'r');
  } catch (error) {
    const [reason, detail] = await whyNotOpen(pack, error, deps);
    for (const address of wanted) yield { address, reason, detail };
    return;
  }
  try {
    for (const range of rangesOf(wanted)) {
      signal?.throwIfAborted();
      if (fromMedium) readFromMedium(file.fd, range.start, range.end - range.start);
      yield* fetchRange(file, pack, range, deps);
    }
  } finally {
    await file.close();
  }
}

async function whyNotOpen(pack: PackName, error: unknown, deps: FetchDeps): Promise<[MissReason, string]> {
  const name = `pack ${pack.slice(0, 8)}`;
  const errno = readErrorOf(error);
  if (errno !== undefined) return ['unreadable', `${name}: ${cannotRead(errno)}`];
  if (errnoOf(error) !== 'ENOENT') throw toEdgeError(error, `opening ${deps.folder.packFile(pack)}`);
  if (await deps.folder.isThere()) return ['absent', `${name} is gone`];
  return ['unreadable', `${name}: the folder of the packs is not there: is its disk mounted?`];
}

async function* fetchRange(
  file: FileHandle,
  pack: PackName,
  range: Range,
  deps: FetchDeps,
): AsyncGenerator<SealedFrame | SealedMiss> {
  const bytes = Buffer.allocUnsafe(range.end - range.start);
  let available: number;
  try {
    available = await readUpTo(file, bytes, range.start);
  } catch (error) {
    const errno = readErrorOf(error);
    if (errno === undefined) throw toEdgeError(error, `reading pack ${pack.slice(0, 8)}`);
    const [only] = range.addresses;
    if (range.addresses.length === 1 && only !== undefined) {
      yield { address: only, reason: 'unreadable', detail: `pack ${pack.slice(0, 8)}: ${cannotRead(errno)}` };
      return;
    }
    // One bad sector must not take its neighbours along.
    for (const address of range.addresses) yield* fetchRange(file, pack, rangesOf([address])[0]!, deps);
    return;
  }
  for (const address of range.addresses) {
    const at = address.offset - range.start;
    const problem = problemOf(bytes.subarray(0, available), at, address);
    if (problem === undefined) yield { address, sealed: bytes.subarray(at, at + address.sealedBytes) };
    else
      yield (await frameByOwnIndex(file, pack, address, deps)) ?? {
        address,
        reason: 'damaged',
        detail: `pack ${pack.slice(0, 8)}: ${problem}`,
      };
  }
}

/** What speaks against the bytes being the frame; undefined when nothing does (its tag is verified by who opens it). */
function problemOf(bytes: Uint8Array, at: number, address: Located): string | undefined {
  if (at - FRAME_HEADER_BYTES < 0 || at + address.sealedBytes > bytes.length)
    return `it ends before byte ${address.offset + address.sealedBytes}`;
  try {
    const header = decodeFrameHeader(bytes, at - FRAME_HEADER_BYTES);
    if (!bytesEqual(header.id, address.id)) return `another chunk lies at ${address.offset}`;
    if (header.sealedBytes !== address.sealedBytes || header.keyId !== address.keyId)
      return `the frame at ${address.offset} has another length or key`;
    return undefined;
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT')) return `no frame at ${address.offset}`;
    throw error;
  }
}

/** Perhaps it is the index that is wrong: the pack knows itself where its frames are. */
async function frameByOwnIndex(
  file: FileHandle,
  pack: PackName,
  address: Located,
  deps: FetchDeps,
): Promise<SealedFrame | SealedMiss | undefined> {
  try {
    const contents = await readPackTail(deps.folder.packFile(pack), pack);
    const row = contents?.frames.find((frame) => bytesEqual(frame.id, address.id));
    if (
      row === undefined ||
      (row.offset === address.offset && row.sealedBytes === address.sealedBytes && row.keyId === address.keyId)
    )
      return undefined;
    const found: Located = { id: address.id, keyId: row.keyId, sealedBytes: row.sealedBytes, pack, offset: row.offset };
    const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + row.sealedBytes);
    const read = await readUpTo(file, bytes, row.offset - FRAME_HEADER_BYTES);
    if (problemOf(bytes.subarray(0, read), FRAME_HEADER_BYTES, found) !== undefined) return undefined;
    return { address: found, sealed: bytes.subarray(FRAME_HEADER_BYTES) };
  } catch (error) {
    // A damaged tail cannot tell; the frame counts as damaged, which is what the caller reports.
    if (isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) return undefined;
    const errno = readErrorOf(error);
    if (errno === undefined) throw toEdgeError(error, `reading pack ${pack.slice(0, 8)}`);
    return { address, reason: 'unreadable', detail: `pack ${pack.slice(0, 8)}: ${cannotRead(errno)}` };
  }
}

/** The worst that was met is what the last miss says: a copy that could not be read may be good, one that is absent may come back. */
async function tryOtherCopies(
  first: SealedMiss,
  found: Findings,
  deps: FetchDeps,
  signal: AbortSignal | undefined,
): Promise<SealedFrame | SealedMiss> {
  const tried = new Set<PackName>();
  let miss = first;
  let worst = first;
  for (;;) {
    const { address } = miss;
    if (address.pack !== undefined) tried.add(address.pack);
    const other = locate(address, tried, deps);
    if (other === undefined) return { ...worst, address: first.address };
    for await (const outcome of readFrames(other.pack, [other], deps, signal)) {
      const judged = found.judge(outcome);
      if ('sealed' in judged) return judged;
      miss = judged;
      if (RANK[miss.reason] > RANK[worst.reason]) worst = miss;
    }
  }
}

const RANK: Readonly<Record<MissReason, number>> = { absent: 0, damaged: 1, unreadable: 2 };

/** Good copies first, then those that are worth a try. */
function locate(address: SealedAddress, tried: ReadonlySet<PackName>, deps: FetchDeps): Located | undefined {
  const copies = deps.index.allCopies([address.id])[0]!.filter((one) => one.store === '' && !tried.has(one.pack));
  const copy =
    copies.find((one) => one.marked === undefined) ??
    copies.find((one) => one.marked === 'unreadable') ??
    copies.find((one) => one.marked !== undefined);
  if (copy === undefined) return undefined;
  const { keyId, sealedBytes, pack, offset, marked } = copy;
  return { id: address.id, keyId, sealedBytes, pack, offset, ...(marked === undefined ? {} : { marked }) };
}
