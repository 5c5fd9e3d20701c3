/**
 * The owner's hold checkpoints (docs/chain.md 1.7, 2.12, 9.1): parts are made from files, compared with the index, and
 * named by an entry. Nothing waits for it: what is captured meanwhile stands behind the as-of seq.
 */
import { encodeHoldCheckpoint, type HoldCheckpoint } from '../../chain/checkpoint-parts.ts';
import { EntryKind } from '../../chain/entry-head.ts';
import type { Position } from '../../chain/position.ts';
import { isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { MIB } from '../../core/limits.ts';
import type { ChainRow } from '../../ports/chain-index.ts';
import type { CheckpointPolicy, MadeCheckpoint } from '../../ports/checkpoints.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { newestCheckpoint, partsBytes, removeOldParts } from './checkpoint-entries.ts';
import { differenceOfParts } from './compare-parts.ts';
import type { FollowedChain } from './followed-chain.ts';
import { makeParts } from './make-parts.ts';

/** Bodies since the last checkpoint from which on another one is made (2.12). */
export const CHECKPOINT_BYTES_MIN = 16 * MIB;

/** Appends an entry in the clear: of the chain's single writer. */
export type AppendClear = (kind: EntryKind, body: Uint8Array, shard: number) => Promise<Position>;

/**
 * Makes a checkpoint of each shard that is due. Answers those that were made, and those that were not because files and
 * index differ.
 */
export async function makeCheckpoints(
  chain: FollowedChain,
  append: AppendClear,
  { bytesMin = CHECKPOINT_BYTES_MIN, shards }: CheckpointPolicy,
  signal?: AbortSignal,
): Promise<MadeCheckpoint[]> {
  const { row, deps } = chain;
  if (row?.position === undefined || chain.blocked !== undefined) return [];
  const made: MadeCheckpoint[] = [];
  for (const { shard } of deps.index.holds.shards(row.chain)) {
    signal?.throwIfAborted();
    if (!isDue(row, shard, bytesMin, shards?.includes(shard) === true, deps)) continue;
    made.push(await makeCheckpoint(chain, shard, append, signal));
  }
  return made;
}

function isDue(chain: ChainRow, shard: number, bytesMin: number, isAsked: boolean, deps: ChainsDeps): boolean {
  const { chainTable } = deps.index;
  const { chain: number, position } = chain;
  // Of a shard whose bodies no store had at a takeover there is no checkpoint (9.1). A damaged chain is mended first.
  if (chainTable.waiting(number, shard, 1).length > 0 || chainTable.damage(number).length > 0) return false;
  const last = newestCheckpoint(number, shard, deps);
  if (isAsked || lacksCheckpoint(chain, shard, deps) || isRefused(number, shard, deps)) return true;
  const since = chainTable.bodyBytes(number, shard, last?.checkpoint.asOfSeq ?? 0, position!.seq);
  return since > Math.max(bytesMin, last === undefined ? 0 : partsBytes(last.checkpoint));
}

/**
 * A holder called the newest one false: another one is written, once (8.3). Where that is refused too, the next one
 * comes at its time.
 */
function isRefused(chain: number, shard: number, { index }: ChainsDeps): boolean {
  const checked = index.checked.get(chain, shard);
  const [newest, before] = index.chainTable.checkpoints(chain, shard, 2);
  if (checked?.verdict !== 'false' || checked.seq !== newest?.seq) return false;
  return before === undefined || index.chainTable.bodyBytes(chain, shard, before.seq, newest.seq) > 0;
}

/** After a takeover each shard has a checkpoint before its first release (9.1). */
export function lacksCheckpoint({ chain }: ChainRow, shard: number, { index }: Pick<ChainsDeps, 'index'>): boolean {
  const takeover = index.chainTable.takeovers(chain).at(-1);
  if (takeover === undefined || takeover.seq === 1) return false;
  const [newest] = index.chainTable.checkpoints(chain, shard, 1);
  return (newest?.seq ?? 0) < takeover.seq;
}

async function makeCheckpoint(
  chain: FollowedChain,
  shard: number,
  append: AppendClear,
  signal: AbortSignal | undefined,
): Promise<MadeCheckpoint> {
  const { deps } = chain;
  const row = chain.row!;
  const asOfSeq = row.position!.seq;
  const last = newestCheckpoint(row.chain, shard, deps)?.checkpoint;
  const isFirstAsked = last === undefined || isRefused(row.chain, shard, deps);
  let made = isFirstAsked ? undefined : await madeFrom(last);
  let difference = made === undefined ? undefined : await differenceOfParts(row, shard, made, deps, signal);
  if (made === undefined || difference !== undefined) {
    // From the first entry on: the fault may be in the parts of the last checkpoint.
    made = await makeParts({ chain: row, shard, asOfSeq, from: undefined }, deps, signal);
    difference = await differenceOfParts(row, shard, made, deps, signal);
  }
  const noted = { chain: row.chain, shard, notedNs: deps.clock.nowNs() };
  if (difference !== undefined) {
    deps.index.checked.set({ ...noted, seq: asOfSeq, verdict: 'unmade', message: difference });
    return { shard, asOfSeq, seq: undefined, difference };
  }
  const { seq } = await append(EntryKind.holdCheckpoint, encodeHoldCheckpoint(made), shard);
  failpoint('checkpoint.appended');
  deps.index.checked.set({ ...noted, seq, verdict: 'proved', message: '' });
  await removeOldParts(row, shard, asOfSeq, deps);
  return { shard, asOfSeq, seq, difference: undefined };

  /**
   * Undefined where a part of the last checkpoint is gone or damaged: it can be made again while the bodies are here.
   */
  async function madeFrom(from: HoldCheckpoint): Promise<HoldCheckpoint | undefined> {
    try {
      return await makeParts({ chain: row, shard, asOfSeq, from }, deps, signal);
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
      // A machine that was recovered has the bodies, and never had the parts.
      if (error.context?.isAbsent !== true) deps.onProblem(error);
      return undefined;
    }
  }
}
