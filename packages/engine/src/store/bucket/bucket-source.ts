/** Reads sealed chunks from packs in a bucket: neighbours as one request, a few requests at a time. */
import { bytesEqual } from '../../core/bytes.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import type { ChunkId, PackClass, PackName } from '../../core/ids.ts';
import { MIB } from '../../core/limits.ts';
import type { CopyMark } from '../../core/ports/index.ts';
import type { SealedAddress, SealedFrame, SealedMiss, SealedSource } from '../../core/ports/sealed-source.ts';
import { decodeFrameHeader } from '../../pack/frame-header.ts';
import { FRAME_HEADER_BYTES, PACK_HEADER_BYTES } from '../../pack/layout.ts';
import { decodePackHeader } from '../../pack/pack-header.ts';
import { newerPack } from '../chunk-store/pack-format.ts';
import type { NamedPack } from './bucket-layout.ts';
import type { BucketPacks } from './bucket-packs.ts';

/** A request costs as much as about this many bytes: frames with less between them are read as one. */
const GAP_BYTES_MAX = MIB;
/** Bytes of one request, which with the next bounds memory; a larger frame is a request of its own. */
const RANGE_BYTES_MAX = 8 * MIB;
const REQUESTS_AT_ONCE = 4;

export interface BucketAddress extends SealedAddress {
  readonly pack: PackName;
  readonly packClass: PackClass;
  readonly offset: number;
}

export interface BucketSourceDeps {
  readonly packs: Pick<BucketPacks, 'label' | 'readRange'>;
  /**
   * Reads the identity of the place that was asked: throws when it is not the one that packs were put into (a wrong url, a folder whose disk is not
   * mounted), or cannot tell. Nothing is called absent before.
   */
  readonly requireIdentity: (signal?: AbortSignal) => Promise<void>;
  /** Where the index (or a recovery's own map) says that each chunk lies in this bucket. */
  readonly locate: (ids: readonly ChunkId[]) => (BucketAddress | undefined)[];
  /** Hears of copies that are damaged or gone, those of a request at a time. */
  readonly mark?: (marks: readonly CopyMark[]) => void;
  /** Hears of frames whose address was marked; a copy that is what was stored loses its mark. */
  readonly seen?: (frame: { readonly id: ChunkId; readonly pack: PackName; readonly sealed: Uint8Array }) => void;
}

/** A `SealedSource` of kind `s3`. `locate` asks no network. */
export function createBucketSource(deps: BucketSourceDeps): SealedSource {
  return {
    kind: 's3',
    label: deps.packs.label,
    locate: async (ids) => deps.locate(ids),
    fetch: (addresses, signal) => fetchFromBucket(addresses, deps, signal),
    // What is absent was noted when it was asked for, and an error now is noted nowhere.
    spoiled: ({ id, pack }, reason, detail) => {
      if (reason === 'damaged' && pack !== undefined) deps.mark?.([{ id, pack, reason, why: detail }]);
    },
  };
}

interface Range {
  readonly pack: PackName;
  readonly packClass: PackClass;
  readonly start: number;
  readonly end: number;
  readonly addresses: readonly BucketAddress[];
}

async function* fetchFromBucket(
  addresses: readonly SealedAddress[],
  deps: BucketSourceDeps,
  signal: AbortSignal | undefined,
): AsyncGenerator<SealedFrame | SealedMiss> {
  const located: BucketAddress[] = [];
  for (const address of addresses) {
    const at =
      address.pack === undefined || address.offset === undefined
        ? deps.locate([address.id])[0]
        : (address as BucketAddress);
    if (at === undefined) yield { address, reason: 'absent', detail: `it is not in ${deps.packs.label}` };
    else located.push(at);
  }
  const ranges = rangesOf(located);
  const underWay: Promise<(SealedFrame | SealedMiss)[]>[] = [];
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  let next = 0;
  const startOne = (): void => {
    const range = ranges[next++];
    if (range === undefined) return;
    const reading = readRange(range, deps, both);
    // Its failure is met when its turn comes; until then it must not count as unhandled.
    reading.catch(() => {});
    underWay.push(reading);
  };
  try {
    for (let i = 0; i < REQUESTS_AT_ONCE; i++) startOne();
    for (let reading = underWay.shift(); reading !== undefined; reading = underWay.shift()) {
      const outcomes = await reading;
      startOne();
      deps.mark?.(marksOf(outcomes));
      for (const outcome of outcomes) {
        const { id, pack, marked } = outcome.address;
        if ('sealed' in outcome && marked !== undefined && pack !== undefined)
          deps.seen?.({ id, pack, sealed: outcome.sealed });
        yield outcome;
      }
    }
  } finally {
    stop.abort(new EdgeError('E_INTERRUPTED', 'the reader has what it wanted'));
  }
}

/** A store that could not be asked says nothing about its copies: nothing is noted. */
function marksOf(outcomes: readonly (SealedFrame | SealedMiss)[]): CopyMark[] {
  const marks: CopyMark[] = [];
  for (const outcome of outcomes) {
    if (!('reason' in outcome) || outcome.reason === 'unreadable' || outcome.address.pack === undefined) continue;
    const { address, reason, detail } = outcome;
    marks.push({ id: address.id, pack: outcome.address.pack, reason, why: detail });
  }
  return marks;
}

async function readRange(
  range: Range,
  deps: BucketSourceDeps,
  signal: AbortSignal,
): Promise<(SealedFrame | SealedMiss)[]> {
  const { pack, packClass, start, end, addresses } = range;
  const named = { name: pack, packClass };
  const place = `pack ${pack.slice(0, 8)} in ${deps.packs.label}`;
  let bytes: Uint8Array | undefined;
  try {
    bytes = await deps.packs.readRange(named, { offset: start, length: end - start }, signal);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    // The pack is shorter than the index thinks: only those beyond its end are lost.
    const [only] = addresses;
    if (addresses.length === 1 && only !== undefined)
      return [{ address: only, reason: 'damaged', detail: `${place}: ${error.message}` }];
    const outcomes: (SealedFrame | SealedMiss)[] = [];
    for (const one of addresses) outcomes.push(...(await readRange(rangesOf([one])[0] as Range, deps, signal)));
    return outcomes;
  }
  if (bytes === undefined) {
    await deps.requireIdentity(signal);
    return addresses.map((address) => ({ address, reason: 'absent', detail: `${place} is gone` }));
  }
  const got = bytes;
  const problems = addresses.map((address) => problemOf(got, address.offset - start, address));
  if (problems.some((problem) => problem !== undefined)) await requireKnownFormat(named, place, deps, signal);
  return addresses.map((address, i) => {
    const at = address.offset - start;
    const problem = problems[i];
    if (problem !== undefined) return { address, reason: 'damaged', detail: `${place}: ${problem}` };
    return { address, sealed: got.subarray(at, at + address.sealedBytes) };
  });
}

/** What looks damaged may be a pack of a later format. Asked only then: a good frame needs no request more. */
async function requireKnownFormat(
  pack: NamedPack,
  place: string,
  deps: BucketSourceDeps,
  signal: AbortSignal,
): Promise<void> {
  try {
    const header = await deps.packs.readRange(pack, { offset: 0, length: PACK_HEADER_BYTES }, signal);
    if (header !== undefined) decodePackHeader(header);
  } catch (error) {
    if (isEdgeError(error, 'E_NEWER_FORMAT')) throw newerPack(place, error);
    if (!isEdgeError(error, 'E_FORMAT', 'E_INTEGRITY')) throw error;
  }
}

/** What speaks against the bytes being the frame; undefined when nothing does (its tag is verified by who opens it). */
function problemOf(bytes: Uint8Array, at: number, address: BucketAddress): string | undefined {
  try {
    const header = decodeFrameHeader(bytes, at - FRAME_HEADER_BYTES);
    if (!bytesEqual(header.id, address.id)) return `another chunk lies at ${address.offset}`;
    if (header.packClass !== address.packClass) return `the frame at ${address.offset} has another class`;
    if (header.sealedBytes === address.sealedBytes && header.keyId === address.keyId) return undefined;
    return `the frame at ${address.offset} has another length or key`;
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT')) return `no frame at ${address.offset}`;
    throw error;
  }
}

function rangesOf(addresses: readonly BucketAddress[]): Range[] {
  const sorted = addresses.toSorted((a, b) => (a.pack === b.pack ? a.offset - b.offset : a.pack < b.pack ? -1 : 1));
  const ranges: Range[] = [];
  let open: BucketAddress[] = [];
  let start = 0;
  let end = 0;
  for (const address of sorted) {
    // A frame that claims to begin before its header is looked at from the pack's first byte, and found to be none.
    const from = Math.max(0, address.offset - FRAME_HEADER_BYTES);
    const to = address.offset + address.sealedBytes;
    const first = open[0];
    if (
      first !== undefined &&
      (first.pack !== address.pack || from - end > GAP_BYTES_MAX || to - start > RANGE_BYTES_MAX)
    ) {
      ranges.push({ pack: first.pack, packClass: first.packClass, start, end, addresses: open });
      open = [];
    }
    if (open.length === 0) {
      start = from;
      end = to;
    }
    open.push(address);
    end = Math.max(end, to);
  }
  const [first] = open;
  if (first !== undefined) ranges.push({ pack: first.pack, packClass: first.packClass, start, end, addresses: open });
  return ranges;
}
