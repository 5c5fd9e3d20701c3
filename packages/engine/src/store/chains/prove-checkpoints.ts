/**
 * A store that has the bodies makes the parts of a checkpoint that it got, and compares (docs/chain.md 8.3). Equal: the
 * checkpoint is proved. Unequal twice: it is false, because the chain decides. Then this store keeps its own state and
 * its bodies, and says so.
 */
import { type HoldCheckpoint, PARTS } from '../../chain/checkpoint-parts.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ChainRow, CheckpointVerdict } from '../../ports/chain-index.ts';
import type { ChainsDeps } from './chains-deps.ts';
import {
  CHECKPOINTS_LOOKED_AT,
  type CheckpointEntry,
  checkpointsOf,
  newestCheckpoint,
  removeOldParts,
} from './checkpoint-entries.ts';
import type { FollowedChain } from './followed-chain.ts';
import { makeParts } from './make-parts.ts';
import { lackingParts, partsFolder } from './part-files.ts';

export interface ProvedCheckpoint {
  readonly shard: number;
  readonly seq: number;
  readonly verdict: CheckpointVerdict;
}

/**
 * Looks at the newest checkpoint of each shard of another owner's chain, where that was not done yet and its bodies are
 * here. E_NO_SPACE, E_IO.
 */
export async function proveCheckpoints(chain: FollowedChain, signal?: AbortSignal): Promise<ProvedCheckpoint[]> {
  const { row, deps } = chain;
  if (row?.position === undefined || chain.isOwn) return [];
  const proved: ProvedCheckpoint[] = [];
  for (const { shard } of deps.index.holds.shards(row.chain)) {
    signal?.throwIfAborted();
    const newest = newestCheckpoint(row.chain, shard, deps);
    if (newest === undefined || !canBeMade(row, shard, newest, deps)) continue;
    try {
      const verdict = await judge(row, shard, newest, deps, signal);
      if (verdict !== undefined) proved.push({ shard, seq: newest.row.seq, verdict });
    } catch (error) {
      // A body that is damaged: the chain is mended first. One that is gone comes again.
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_NOT_FOUND')) throw error;
      deps.onProblem(error);
    }
  }
  return proved;
}

function canBeMade({ chain }: ChainRow, shard: number, newest: CheckpointEntry, { index }: ChainsDeps): boolean {
  if ((index.checked.get(chain, shard)?.seq ?? 0) >= newest.row.seq) return false;
  const [waiting] = index.chainTable.waiting(chain, shard, 1);
  const { asOfSeq } = newest.checkpoint;
  return (waiting === undefined || waiting.seq > asOfSeq) && index.holds.baseOf(chain, shard) < asOfSeq;
}

async function judge(
  row: ChainRow,
  shard: number,
  { row: entry, checkpoint }: CheckpointEntry,
  deps: ChainsDeps,
  signal: AbortSignal | undefined,
): Promise<CheckpointVerdict | undefined> {
  const { chainTable, holds, checked } = deps.index;
  const { asOfSeq } = checkpoint;
  const baseSeq = holds.baseOf(row.chain, shard);
  const earlier = await earlierParts(row, shard, asOfSeq, baseSeq, deps);
  let difference = await differenceFrom(earlier);
  if (difference !== undefined && earlier !== undefined && earlier.asOfSeq > baseSeq)
    difference = await differenceFrom(await earlierParts(row, shard, baseSeq + 1, baseSeq, deps));
  // A takeover may have put another entry in its place meanwhile: then nothing was found of this one.
  if (chainTable.entry(row.chain, entry.seq)?.link !== entry.link) return undefined;
  const verdict = difference === undefined ? 'proved' : 'false';
  const message = difference ?? '';
  // Before the verdict, because nobody looks again after it.
  await removeOldParts(row, shard, difference === undefined ? asOfSeq : (earlier?.asOfSeq ?? 0), deps);
  // Parts made here prove it also where they rest on parts that were taken (8.3).
  if (verdict === 'proved') holds.endDisputes(row.chain, shard);
  checked.set({ chain: row.chain, shard, seq: entry.seq, verdict, message, notedNs: deps.clock.nowNs() });
  failpoint('checkpoint.judged');
  return verdict;

  async function differenceFrom(from: HoldCheckpoint | undefined): Promise<string | undefined> {
    if (from === undefined && baseSeq > 0) throw partsGone(baseSeq);
    return differenceOf(await makeParts({ chain: row, shard, asOfSeq, from }, deps, signal), checkpoint);
  }
}

/**
 * The newest checkpoint as of an entry before `beforeSeq` whose parts are all here; none before the parts that the rows
 * of the index lie in.
 */
async function earlierParts(
  { chain, agent }: ChainRow,
  shard: number,
  beforeSeq: number,
  baseSeq: number,
  deps: ChainsDeps,
): Promise<HoldCheckpoint | undefined> {
  const folder = partsFolder(deps.chainsDir, agent);
  for (const { checkpoint } of checkpointsOf(chain, shard, CHECKPOINTS_LOOKED_AT, deps)) {
    if (checkpoint.asOfSeq >= beforeSeq || checkpoint.asOfSeq < baseSeq) continue;
    if ((await lackingParts(folder, shard, checkpoint)).length === 0) return checkpoint;
  }
  return undefined;
}

/** Undefined where they are the same parts. */
function differenceOf(made: HoldCheckpoint, named: HoldCheckpoint): string | undefined {
  const unequal = Array.from({ length: PARTS }, (_, byte) => byte).filter(
    (byte) =>
      made.parts[byte]!.sha256 !== named.parts[byte]!.sha256 || made.parts[byte]!.rows !== named.parts[byte]!.rows,
  );
  const [first] = unequal;
  if (first === undefined) return undefined;
  const rows = `it names ${named.parts[first]!.rows} forms in part ${first} where the entries have ${made.parts[first]!.rows}`;
  return `${unequal.length} parts differ from those that the entries before it make: ${rows}`;
}

function partsGone(baseSeq: number): EdgeError {
  return new EdgeError('E_INTEGRITY', `parts of the hold checkpoint as of ${baseSeq} are gone or damaged here`);
}
