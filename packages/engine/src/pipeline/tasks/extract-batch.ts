/**
 * What one `extractFiles` task writes, packed into two arrays: with one object a file, handing 58,000 files to the workers costs as much as
 * writing a tenth of them. Names, chunk ids and sealed chunks lie in `bytes`; everything that is a number lies in `numbers`.
 */
import type { ChunkId } from '../../core/ids.ts';
import type { Entry, Hole, Xattr } from '../../tree/entry.ts';

/** A chunk that files of the batch are made of. */
export interface ExtractChunk {
  readonly id: ChunkId;
  readonly keyId: number;
  readonly sealedBytes: number;
  /** The content need not be compared with the id again. */
  readonly identified: boolean;
  /** In a local pack, or brought along. */
  readonly place: { readonly pack: string; readonly offset: number } | { readonly sealed: Uint8Array };
}

/** A whole file: created, written and given its metadata by one worker. */
export interface ExtractFile {
  /** Index of its folder in `folders`. */
  readonly folder: number;
  readonly name: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly size: number;
  /** Indexes of its chunks with the lengths of their plaintexts, in order. */
  readonly refs: readonly { readonly chunk: number; readonly length: number }[];
  readonly holes?: readonly Hole[] | undefined;
  readonly xattrs?: readonly Xattr[] | undefined;
}

/** A part of a large file that was created before: one chunk and where its bytes go. */
export interface ExtractPiece {
  readonly folder: number;
  readonly name: Uint8Array;
  readonly chunk: number;
  readonly length: number;
  readonly segments: readonly Segment[];
}

/** `length` bytes of a chunk's plaintext from `from` go to the file's byte `to`. */
export interface Segment {
  readonly to: number;
  readonly from: number;
  readonly length: number;
}

export interface PackedBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly packs: readonly string[];
  /** What few files have, by index of the file. */
  readonly extras: readonly {
    readonly file: number;
    readonly holes?: readonly Hole[];
    readonly xattrs?: readonly Xattr[];
  }[];
}

export interface UnpackedBatch {
  readonly folders: readonly Uint8Array[];
  readonly chunks: readonly ExtractChunk[];
  readonly files: readonly ExtractFile[];
  readonly pieces: readonly ExtractPiece[];
}

const BILLION = 1_000_000_000n;

/** Packs a batch. The arrays are of their own memory, to be transferred. */
export function packBatch(batch: UnpackedBatch): PackedBatch {
  const bytes = new BytePool();
  const numbers: number[] = [batch.folders.length, batch.chunks.length, batch.files.length, batch.pieces.length];
  const packs = new Map<string, number>();
  const extras: { file: number; holes?: readonly Hole[]; xattrs?: readonly Xattr[] }[] = [];
  for (const folder of batch.folders) numbers.push(bytes.add(folder), folder.length);
  for (const { id, keyId, sealedBytes, identified, place } of batch.chunks) {
    let pack = -1;
    if ('pack' in place) {
      pack = packs.get(place.pack) ?? packs.size;
      packs.set(place.pack, pack);
    }
    numbers.push(
      bytes.add(id),
      keyId,
      sealedBytes,
      Number(identified),
      pack,
      'pack' in place ? place.offset : bytes.add(place.sealed),
    );
  }
  for (const [i, file] of batch.files.entries()) {
    let seconds = file.mtimeNs / BILLION;
    let nanos = file.mtimeNs % BILLION;
    if (nanos < 0n) {
      nanos += BILLION;
      seconds -= 1n;
    }
    numbers.push(file.folder, bytes.add(file.name), file.name.length, file.mode, file.uid, file.gid);
    numbers.push(Number(seconds), Number(nanos), file.size, file.refs.length);
    for (const ref of file.refs) numbers.push(ref.chunk, ref.length);
    if (file.holes !== undefined || file.xattrs !== undefined) {
      extras.push({
        file: i,
        ...(file.holes === undefined ? {} : { holes: file.holes }),
        ...(file.xattrs === undefined ? {} : { xattrs: file.xattrs.map(ownXattr) }),
      });
    }
  }
  for (const piece of batch.pieces) {
    numbers.push(
      piece.folder,
      bytes.add(piece.name),
      piece.name.length,
      piece.chunk,
      piece.length,
      piece.segments.length,
    );
    for (const segment of piece.segments) numbers.push(segment.to, segment.from, segment.length);
  }
  return { bytes: bytes.finish(), numbers: Float64Array.from(numbers), packs: [...packs.keys()], extras };
}

/** The batch again, with views into its memory. */
export function unpackBatch(packed: PackedBatch): UnpackedBatch {
  const { bytes, numbers, packs } = packed;
  let at = 0;
  const next = () => numbers[at++]!;
  const slice = () => {
    const from = next();
    return bytes.subarray(from, from + next());
  };
  const counts = [next(), next(), next(), next()] as const;
  const folders = Array.from({ length: counts[0] }, slice);
  const chunks = Array.from({ length: counts[1] }, (): ExtractChunk => {
    const idAt = next();
    const [keyId, sealedBytes, identified, pack, offset] = [next(), next(), next() === 1, next(), next()];
    const place =
      pack === -1 ? { sealed: bytes.subarray(offset, offset + sealedBytes) } : { pack: packs[pack]!, offset };
    return { id: bytes.subarray(idAt, idAt + 32), keyId, sealedBytes, identified, place };
  });
  const extras = new Map(packed.extras.map((extra) => [extra.file, extra]));
  const files = Array.from({ length: counts[2] }, (_, i): ExtractFile => {
    const folder = next();
    const name = slice();
    const [mode, uid, gid, seconds, nanos, size, refCount] = [next(), next(), next(), next(), next(), next(), next()];
    const refs = Array.from({ length: refCount }, () => ({ chunk: next(), length: next() }));
    const mtimeNs = BigInt(seconds) * BILLION + BigInt(nanos);
    const { holes, xattrs } = extras.get(i) ?? {};
    return { folder, name, mode, uid, gid, mtimeNs, size, refs, holes, xattrs };
  });
  const pieces = Array.from({ length: counts[3] }, (): ExtractPiece => {
    const folder = next();
    const name = slice();
    const [chunk, length, segmentCount] = [next(), next(), next()];
    const segments = Array.from({ length: segmentCount }, () => ({ to: next(), from: next(), length: next() }));
    return { folder, name, chunk, length, segments };
  });
  return { folders, chunks, files, pieces };
}

/** Files' metadata as an `ExtractFile` wants it. */
export function extractMetaOf(
  entry: Entry,
): Pick<ExtractFile, 'mode' | 'uid' | 'gid' | 'mtimeNs' | 'size' | 'holes' | 'xattrs'> {
  const { mode, uid, gid, xattrs } = entry.posix;
  return { mode, uid, gid, mtimeNs: entry.mtimeNs, size: entry.size ?? 0, holes: entry.holes, xattrs };
}

/** Structured clone copies the whole buffer behind a view, which for an xattr of a tree page is the page. */
export function ownXattr(xattr: Xattr): Xattr {
  return { name: Uint8Array.from(xattr.name), value: Uint8Array.from(xattr.value) };
}

class BytePool {
  #bytes = Buffer.alloc(64 * 1024);
  #length = 0;

  /** Appends and says where. */
  add(part: Uint8Array): number {
    const at = this.#length;
    if (at + part.length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(this.#bytes.length * 2, at + part.length));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    this.#bytes.set(part, at);
    this.#length += part.length;
    return at;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes.subarray(0, this.#length));
  }
}
