/** Reads sealed chunks from local packs: neighbours as one range, each checked against its frame header. */
import { type FileHandle, open } from 'node:fs/promises';
import { bytesEqual } from '../../core/bytes.ts';
import { errnoOf, isEdgeError, toEdgeError } from '../../core/errors.ts';
import type { PackName } from '../../core/ids.ts';
import { MIB } from '../../core/limits.ts';
import type { ChunkIndex } from '../../core/ports/index.ts';
import type { SealedAddress, SealedFrame, SealedMiss } from '../../core/ports/sealed-source.ts';
import { decodeFrameHeader } from '../../pack/frame-header.ts';
import { FRAME_HEADER_BYTES } from '../../pack/layout.ts';
import type { PackFolder } from './pack-folder.ts';
import type { PackFormat } from './pack-format.ts';
import { readPackTail, readUpTo } from './read-pack-tail.ts';

export interface FetchDeps {
  readonly folder: PackFolder;
  readonly format: PackFormat;
  readonly index: Pick<ChunkIndex, 'locate' | 'markBad'>;
}

/** Frames with less than this between them are read as one: a seek costs more. */
const GAP_BYTES_MAX = 64 * 1024;
/** Bytes of one read, which bounds memory; a single larger frame is one read of its own. */
const RANGE_BYTES_MAX = 4 * MIB;

type Located = SealedAddress & { readonly pack: PackName; readonly offset: number };

/**
 * Each address once, in the order of packs and offsets. An address whose pack is gone (compacted since) is looked up again before the chunk is
 * called absent; a damaged copy is marked in the index and another one tried. EMFILE and the like are thrown: they say nothing about the chunk.
 */
export async function* fetchFrames(
  addresses: readonly SealedAddress[],
  deps: FetchDeps,
  signal?: AbortSignal,
): AsyncGenerator<SealedFrame | SealedMiss> {
  const byPack = new Map<PackName, Located[]>();
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
    for await (const outcome of fetchFromPack(pack, wanted, deps, signal)) {
      if ('sealed' in outcome) yield outcome;
      else yield await tryOtherCopies(outcome, deps, signal);
    }
  }
}

async function* fetchFromPack(
  pack: PackName,
  wanted: readonly Located[],
  deps: FetchDeps,
  signal: AbortSignal | undefined,
): AsyncGenerator<SealedFrame | SealedMiss> {
  deps.format.require(pack);
  const file = await openPack(deps.folder.packFile(pack));
  if (file === undefined) {
    for (const address of wanted) yield { address, reason: 'absent', detail: `pack ${pack.slice(0, 8)} is gone` };
    return;
  }
  try {
    for (const range of rangesOf(wanted)) {
      signal?.throwIfAborted();
      yield* fetchRange(file, pack, range, deps);
    }
  } finally {
    await file.close();
  }
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly addresses: readonly Located[];
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
    if (errnoOf(error) !== 'EIO') throw toEdgeError(error, `reading pack ${pack.slice(0, 8)}`);
    if (range.addresses.length > 1) {
      // One bad sector must not take its neighbours along.
      for (const address of range.addresses) yield* fetchRange(file, pack, rangesOf([address])[0]!, deps);
      return;
    }
    available = 0;
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
): Promise<SealedFrame | undefined> {
  const contents = await readTailOrUndefined(pack, deps);
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
}

async function readTailOrUndefined(pack: PackName, deps: FetchDeps): ReturnType<typeof readPackTail> {
  try {
    return await readPackTail(deps.folder.packFile(pack), pack);
  } catch (error) {
    // A damaged tail cannot tell; the frame counts as damaged, which is what the caller reports.
    if (isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) return undefined;
    throw error;
  }
}

async function tryOtherCopies(
  first: SealedMiss,
  deps: FetchDeps,
  signal: AbortSignal | undefined,
): Promise<SealedFrame | SealedMiss> {
  const tried = new Set<PackName>();
  let miss = first;
  for (;;) {
    const { address } = miss;
    if (address.pack !== undefined) {
      tried.add(address.pack);
      if (miss.reason === 'damaged') deps.index.markBad(address.id, address.pack, miss.detail);
    }
    const other = locate(address, tried, deps);
    if (other === undefined) return { ...first, reason: miss.reason === 'damaged' ? 'damaged' : first.reason };
    for await (const outcome of fetchFromPack(other.pack, [other], deps, signal)) {
      if ('sealed' in outcome) return outcome;
      miss = outcome;
    }
  }
}

function locate(address: SealedAddress, tried: ReadonlySet<PackName>, deps: FetchDeps): Located | undefined {
  const copy = deps.index.locate([address.id])[0]!.find((one) => one.store === '' && !tried.has(one.pack));
  if (copy === undefined) return undefined;
  return { id: address.id, keyId: copy.keyId, sealedBytes: copy.sealedBytes, pack: copy.pack, offset: copy.offset };
}

function rangesOf(addresses: readonly Located[]): Range[] {
  const ranges: Range[] = [];
  let open: Located[] = [];
  let start = 0;
  let end = 0;
  const close = (): void => {
    if (open.length > 0) ranges.push({ start, end, addresses: open });
  };
  for (const address of addresses.toSorted((a, b) => a.offset - b.offset)) {
    const from = Math.max(0, address.offset - FRAME_HEADER_BYTES);
    const to = address.offset + address.sealedBytes;
    if (open.length === 0 || from - end > GAP_BYTES_MAX || to - start > RANGE_BYTES_MAX) {
      close();
      open = [];
      start = from;
      end = to;
    }
    open.push(address);
    end = Math.max(end, to);
  }
  close();
  return ranges;
}

async function openPack(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `opening pack ${path}`);
  }
}
