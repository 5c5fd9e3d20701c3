/**
 * Makes the parts of a shard as of an entry, from files and not from the index: the parts of an earlier checkpoint
 * merged with the bodies since then (docs/chain.md 1.7). Memory: one part, and as many changes as one pass over the
 * bodies may gather.
 */
import { type HoldCheckpoint, mergePart, PARTS, type PartSummary, summaryOf } from '../../chain/checkpoint-parts.ts';
import { failpoint } from '../../core/failpoint.ts';
import { MIB } from '../../core/limits.ts';
import type { ChainRow } from '../../ports/chain-index.ts';
import { syncFolder } from '../durable-write.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { hasMeaning, holdBodies, PartChanges, unitOf } from './part-changes.ts';
import { makePartsFolder, partsFolder, readPart, writePart } from './part-files.ts';

/** Changes that one pass over the bodies gathers. */
const CHANGES_BYTES_MAX = 16 * MIB;

export interface MakePartsInput {
  readonly chain: ChainRow;
  readonly shard: number;
  readonly asOfSeq: number;
  /** An earlier checkpoint whose parts are here; undefined to begin with the first entry. */
  readonly from: HoldCheckpoint | undefined;
}

/**
 * The files are durable when it resolves. E_INTEGRITY for an earlier part or a body that is damaged or gone,
 * E_NOT_FOUND for a body that never came; E_NO_SPACE, E_IO. What a failed making leaves is replaced by the next one.
 */
export async function makeParts(
  { chain, shard, asOfSeq, from }: MakePartsInput,
  deps: ChainsDeps,
  signal?: AbortSignal,
): Promise<HoldCheckpoint> {
  const folder = partsFolder(deps.chainsDir, chain.agent);
  await makePartsFolder(folder);
  const afterSeq = from?.asOfSeq ?? 0;
  const bodies = () => holdBodies(chain.chain, shard, afterSeq, asOfSeq, deps);
  const bytesOf = new Array<number>(PARTS).fill(0);
  const meaningless = new Set<number>();
  for (const one of bodies()) {
    await pause(signal);
    const unit = unitOf(one.row);
    if (!hasMeaning(one)) meaningless.add(one.row.seq);
    else for (let at = 0; at < one.body.length; at += unit) bytesOf[one.body[at]!]! += unit;
  }
  const parts: PartSummary[] = [];
  for (let first = 0; first < PARTS; ) {
    let last = first;
    for (let bytes = bytesOf[first]!; last + 1 < PARTS && bytes + bytesOf[last + 1]! <= CHANGES_BYTES_MAX; )
      bytes += bytesOf[++last]!;
    const changes = new PartChanges();
    for (const one of bodies()) {
      await pause(signal);
      if (!meaningless.has(one.row.seq)) changes.take(one, first, last);
    }
    for (let byte = first; byte <= last; byte++) {
      await pause(signal);
      const before = from === undefined ? new Uint8Array() : await readPart(folder, shard, from, byte);
      const part = mergePart(before, changes.of(byte));
      parts.push(summaryOf(part));
      await writePart(folder, { shard, asOfSeq }, byte, part);
    }
    first = last + 1;
  }
  await syncFolder(folder);
  failpoint('parts.synced');
  return { asOfSeq, parts };
}

/** Making parts takes long: everything else of this process goes on meanwhile. */
async function pause(signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise((resolve) => setImmediate(resolve));
}
