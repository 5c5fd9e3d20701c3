/**
 * Compares parts with the index (docs/chain.md 1.7): the index may be further than the parts by then, so each part is
 * brought up to it in memory first. Within one part nothing of the index changes, because nothing waits in between.
 */
import { type HoldCheckpoint, mergePart, PARTS } from '../../chain/checkpoint-parts.ts';
import { FORM_BYTES } from '../../chain/forms.ts';
import { EdgeError } from '../../core/errors.ts';
import { MIB } from '../../core/limits.ts';
import type { ChainRow, HoldPlace } from '../../ports/chain-index.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { type HoldBody, hasMeaning, holdBodies, PartChanges } from './part-changes.ts';
import { partsFolder, readPart } from './part-files.ts';

/** Bodies that came since the parts were made, kept in memory. */
const NEWER_BYTES_MAX = 64 * MIB;

/**
 * Undefined where they are equal: the same ids by their first 48 bits, with the same added seqs and as many forms. Else
 * says where they differ. E_BUSY when more came meanwhile than can be compared.
 */
export async function differenceOfParts(
  chain: ChainRow,
  shard: number,
  checkpoint: HoldCheckpoint,
  deps: ChainsDeps,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const folder = partsFolder(deps.chainsDir, chain.agent);
  const newer = new NewerBodies(chain, shard, checkpoint.asOfSeq, deps);
  for (let byte = 0; byte < PARTS; byte++) {
    signal?.throwIfAborted();
    const made = await readPart(folder, shard, checkpoint, byte);
    // From here on nothing is waited for.
    const part = mergePart(made, newer.of(byte).of(byte));
    const rows = deps.index.holds.rowsOfByte(chain.chain, shard, byte);
    const difference = differenceOf(part, rows);
    if (difference !== undefined) return `in the part ${byte.toString(16).padStart(2, '0')}, ${difference}`;
  }
  return undefined;
}

class NewerBodies {
  readonly #chain: ChainRow;
  readonly #shard: number;
  readonly #deps: ChainsDeps;
  readonly #bodies: HoldBody[] = [];
  #untilSeq: number;
  #bytes = 0;

  constructor(chain: ChainRow, shard: number, asOfSeq: number, deps: ChainsDeps) {
    this.#chain = chain;
    this.#shard = shard;
    this.#deps = deps;
    this.#untilSeq = asOfSeq;
  }

  /** What changed the part of a byte up to the entries that the index has applied now. */
  of(byte: number): PartChanges {
    const { chainTable } = this.#deps.index;
    const [waiting] = chainTable.waiting(this.#chain.chain, this.#shard, 1);
    const end = waiting === undefined ? (chainTable.row(this.#chain.chain).position?.seq ?? 0) : waiting.seq - 1;
    for (const one of holdBodies(this.#chain.chain, this.#shard, this.#untilSeq, end, this.#deps)) {
      if (hasMeaning(one)) this.#bodies.push(one);
      this.#bytes += one.body.length;
      if (this.#bytes > NEWER_BYTES_MAX)
        throw new EdgeError('E_BUSY', 'more was captured than a hold checkpoint can be compared with', {
          hint: 'It is made again later.',
          retryable: true,
        });
    }
    this.#untilSeq = Math.max(this.#untilSeq, end);
    const changes = new PartChanges();
    for (const one of this.#bodies) changes.take(one, byte, byte);
    return changes;
  }
}

/** Both are sorted by key. Ids that share a key are compared together: the index does not have the whole id. */
function differenceOf(part: Uint8Array, rows: readonly HoldPlace[]): string | undefined {
  const view = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  let at = 0;
  for (let i = 0; i < rows.length || at < view.length; ) {
    const listed = at < view.length ? view.readUIntBE(at, 6) : Number.POSITIVE_INFINITY;
    const indexed = rows[i]?.key48 ?? Number.POSITIVE_INFINITY;
    if (listed < indexed) return `an id that begins with ${hex(listed)} is held by the files and not by the index`;
    if (indexed < listed) return `an id that begins with ${hex(indexed)} is held by the index and not by the files`;
    const addedSeqs: number[] = [];
    const forms = at;
    for (let before = -1; at < view.length && view.readUIntBE(at, 6) === listed; at += FORM_BYTES) {
      const isSameId = before >= 0 && view.compare(view, before, before + 32, at, at + 32) === 0;
      if (!isSameId) addedSeqs.push(view.readUIntLE(at + 74, 6));
      before = at;
    }
    const seqs: number[] = [];
    for (; rows[i]?.key48 === indexed; i++) seqs.push(rows[i]!.seq);
    const isEqual = seqs.length === (at - forms) / FORM_BYTES && addedSeqs.every((seq) => seqs.includes(seq));
    if (!isEqual || Math.min(...seqs) !== Math.min(...addedSeqs))
      return `the id that begins with ${hex(listed)} was added by other entries than the index says`;
  }
  return undefined;
}

function hex(key: number): string {
  return key.toString(16).padStart(12, '0');
}
