/**
 * A store that is new or far behind takes the parts of a hold checkpoint in the place of the bodies up to its as-of seq
 * (docs/chain.md 8.1, 8.3). Parts are files first, each compared with the signed checkpoint. Until the last one is
 * durable the shard stays as it was.
 */
import { decodePart, type HoldCheckpoint, PARTS, requirePart } from '../../chain/checkpoint-parts.ts';
import { EntryKind } from '../../chain/entry-head.ts';
import { FORM_BYTES } from '../../chain/forms.ts';
import type { UnsatisfiedReason } from '../../chain/statement.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId } from '../../core/ids.ts';
import { MIB } from '../../core/limits.ts';
import type { ChainRow, EntryRow } from '../../ports/chain-index.ts';
import type { WantedParts } from '../../ports/checkpoints.ts';
import { syncFolder } from '../durable-write.ts';
import { applyWaiting } from './apply-entries.ts';
import { addBodiesFit } from './bodies-fit.ts';
import type { ChainsDeps } from './chains-deps.ts';
import {
  type CheckpointEntry,
  checkpointOf,
  newestCheckpoint,
  partsBytes,
  removeOldParts,
} from './checkpoint-entries.ts';
import type { FollowedChain } from './followed-chain.ts';
import { lackingParts, makePartsFolder, partsFolder, partsIn, readPart, writePart } from './part-files.ts';

/** Longer parts are refused: 800,000 forms, 200 million chunks a shard. */
const PART_BYTES_MAX = 64 * MIB;

/**
 * What this store says of the newest checkpoint of a shard: which parts it lacks, where it takes them, and what it
 * found of it.
 */
export async function wantedParts(chain: FollowedChain, shard: number): Promise<WantedParts> {
  const { row, deps } = chain;
  const none: WantedParts = { seq: 0, lacking: [], judged: undefined };
  if (row === undefined) return none;
  const checked = deps.index.checked.get(row.chain, shard);
  const judged =
    checked === undefined || checked.verdict === 'unmade' ? undefined : { seq: checked.seq, verdict: checked.verdict };
  const newest = newestCheckpoint(row.chain, shard, deps);
  if (newest === undefined || !isWanted(row, shard, newest, deps)) return { ...none, judged };
  const lacking = await lackingParts(partsFolder(deps.chainsDir, chain.agent), shard, newest.checkpoint);
  return { seq: newest.row.seq, lacking, judged };
}

/** Bytes of a part of a checkpoint that is taken: nothing is read before it is known. E_NOT_FOUND, E_LIMIT. */
export function partBytes(chain: FollowedChain, shard: number, seq: number, byte: number): number {
  const bytes = requireEntry(chain, shard, seq).checkpoint.parts[byte]!.rows * FORM_BYTES;
  if (bytes > PART_BYTES_MAX) throw new EdgeError('E_LIMIT', `a part of ${bytes} bytes is longer than is taken`);
  return bytes;
}

/**
 * Durable when it resolves. E_INTEGRITY for other bytes than the checkpoint names, E_FORMAT for rows that no checkpoint
 * has, E_NO_SPACE by 3.3.
 */
export function takePart(
  chain: FollowedChain,
  shard: number,
  seq: number,
  byte: number,
  part: Uint8Array,
): Promise<void> {
  return chain.turn(async () => {
    const entry = requireEntry(chain, shard, seq);
    const { checkpoint } = entry;
    requirePart(checkpoint, byte, part);
    requireRows(part, byte, entry, chain, shard);
    if (!(await addBodiesFit(chain)))
      throw new EdgeError(
        'E_NO_SPACE',
        'parts of a hold checkpoint wait: the free space is below half of the reserve',
        {
          retryable: true,
        },
      );
    const folder = partsFolder(chain.deps.chainsDir, chain.agent);
    await makePartsFolder(folder);
    await writePart(folder, { shard, asOfSeq: checkpoint.asOfSeq }, byte, part);
    await syncFolder(folder);
    failpoint('parts.taken');
  });
}

/** A checkpoint that names parts of no meaning is false: bodies are taken in their place. */
function requireRows(
  part: Uint8Array,
  byte: number,
  entry: CheckpointEntry,
  chain: FollowedChain,
  shard: number,
): void {
  try {
    decodePart(part, byte, entry.checkpoint.asOfSeq);
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT')) throw error;
    const { clock, index } = chain.deps;
    const { message } = error;
    const notedNs = clock.nowNs();
    index.checked.set({ chain: entry.row.chain, shard, seq: entry.row.seq, verdict: 'false', message, notedNs });
    throw error;
  }
}

/**
 * The shard's state becomes that of the parts, all of which have to be here. Again does nothing. E_FAILED while one is
 * lacking.
 */
export function joinByParts(chain: FollowedChain, shard: number, seq: number): Promise<void> {
  return chain.turn(async () => {
    const entry = requireEntry(chain, shard, seq);
    const row = chain.row!;
    const { deps } = chain;
    if (deps.index.holds.baseOf(row.chain, shard) >= entry.checkpoint.asOfSeq) return;
    if (newestCheckpoint(row.chain, shard, deps)?.row.seq !== seq || !isWanted(row, shard, entry, deps))
      throw new EdgeError('E_FAILED', `checkpoint ${seq} of shard ${shard} is not taken here`, { retryable: true });
    await join(row, shard, entry, 'wanted', deps);
  });
}

/**
 * After a rebuild, a takeover or a kill: a shard that waits for a body goes on from parts that are here as a whole.
 * Within a turn, or before any.
 */
export async function joinFromFiles(
  row: ChainRow,
  shard: number,
  missing: UnsatisfiedReason,
  deps: ChainsDeps,
): Promise<void> {
  if (row.isOwn || row.parent !== undefined) return;
  const { chainTable } = deps.index;
  const [waiting] = chainTable.waiting(row.chain, shard, 1);
  if (waiting === undefined || waiting.bodyAt !== undefined) return;
  const folder = partsFolder(deps.chainsDir, row.agent);
  const asOfSeqs = new Set((await partsIn(folder)).filter((one) => one.shard === shard).map(({ asOfSeq }) => asOfSeq));
  for (const entry of chainTable.checkpoints(row.chain, shard, CHECKPOINTS_MAX)) {
    if (entry.seq <= waiting.seq) return;
    const checkpoint = checkpointOf(entry, deps);
    // Of a checkpoint without forms there is no file: it is taken again from the owner.
    if (checkpoint === undefined || checkpoint.asOfSeq < waiting.seq || !asOfSeqs.has(checkpoint.asOfSeq)) continue;
    if ((await lackingParts(folder, shard, checkpoint)).length > 0) continue;
    return await join(row, shard, { row: entry, checkpoint }, missing, deps);
  }
}

/** Checkpoints that are looked through for one whose parts are here. */
const CHECKPOINTS_MAX = 1024;

/**
 * Parts are wanted where they are no more than the bodies that are not here, and where a later checkpoint contradicts
 * the parts that the state rests on.
 */
function isWanted({ chain }: ChainRow, shard: number, { row, checkpoint }: CheckpointEntry, deps: ChainsDeps): boolean {
  const { chainTable, checked, holds } = deps.index;
  const { asOfSeq } = checkpoint;
  if (checked.get(chain, shard)?.seq === row.seq && checked.get(chain, shard)?.verdict === 'false')
    return isContradicted(chain, shard, deps);
  if (holds.baseOf(chain, shard) >= asOfSeq) return false;
  const [waiting] = chainTable.waiting(chain, shard, 1);
  if (waiting === undefined || waiting.seq > asOfSeq) return false;
  return chainTable.missingBodyBytes(chain, shard, asOfSeq) >= partsBytes(checkpoint);
}

/**
 * Nothing proves a state that rests on taken parts: it yields to a later checkpoint that its own parts do not equal
 * (8.3). Until then it is stated as not applied.
 */
export function isContradicted(chain: number, shard: number, { index }: Pick<ChainsDeps, 'index'>): boolean {
  return index.holds.baseOf(chain, shard) > 0 && index.checked.get(chain, shard)?.verdict === 'false';
}

function requireEntry({ row, agent, deps }: FollowedChain, shard: number, seq: number): CheckpointEntry {
  const entry = row === undefined ? undefined : deps.index.chainTable.entry(row.chain, seq);
  const checkpoint =
    entry?.kind === EntryKind.holdCheckpoint && entry.shard === shard ? checkpointOf(entry, deps) : undefined;
  if (checkpoint !== undefined) return { row: entry!, checkpoint };
  throw new EdgeError(
    'E_NOT_FOUND',
    `entry ${seq} of agent ${agent.slice(0, 8)} is no hold checkpoint of shard ${shard} here`,
  );
}

async function join(
  { chain, agent }: ChainRow,
  shard: number,
  { row, checkpoint }: CheckpointEntry,
  missing: UnsatisfiedReason,
  deps: ChainsDeps,
): Promise<void> {
  const { index } = deps;
  const { asOfSeq } = checkpoint;
  await applyParts(chain, agent, shard, checkpoint, missing, deps);
  const notedNs = deps.clock.nowNs();
  // Rows that were satisfied and are not there now were stated to others.
  deps.raiseEpoch();
  index.transaction(() => {
    index.holds.switchToJoined(chain, shard);
    index.chainTable.passOver(chain, shard, asOfSeq);
    index.checked.set({ chain, shard, seq: row.seq, verdict: 'taken', message: '', notedNs });
  });
  failpoint('join.switched');
  applyWaiting(chain, shard, missing, deps);
  await removeOldParts(index.chainTable.row(chain), shard, asOfSeq, deps);
}

/** Puts the rows of the parts beside the shard's state. */
async function applyParts(
  chain: number,
  agent: AgentId,
  shard: number,
  checkpoint: HoldCheckpoint,
  missing: UnsatisfiedReason,
  deps: ChainsDeps,
): Promise<void> {
  const { index } = deps;
  const { asOfSeq } = checkpoint;
  const folder = partsFolder(deps.chainsDir, agent);
  index.holds.beginJoining(chain, shard, asOfSeq);
  for (let byte = 0; byte < PARTS; byte++) {
    const part = await readPart(folder, shard, checkpoint, byte);
    const forms = decodePart(part, byte, asOfSeq);
    if (forms.length === 0) continue;
    index.holds.applyPart(chain, shard, byte, forms, missing);
    failpoint('join.part-applied');
  }
}

/**
 * A branch that is read again after a rebuild, of a store that took parts: they stand for the bodies that are not here.
 * Answers their as-of seq, or that of the entry without a body where no such parts are here.
 */
export async function joinBranch(
  branch: ChainRow,
  { shard, seq: missingSeq }: EntryRow,
  missing: UnsatisfiedReason,
  deps: ChainsDeps,
): Promise<number> {
  const { chainTable, holds } = deps.index;
  const folder = partsFolder(deps.chainsDir, branch.agent);
  for (let seq = branch.position!.seq; seq > missingSeq; seq--) {
    const row = chainTable.entry(branch.chain, seq);
    if (row?.kind !== EntryKind.holdCheckpoint || row.shard !== shard) continue;
    const checkpoint = checkpointOf(row, deps);
    if (checkpoint === undefined || checkpoint.asOfSeq < missingSeq) continue;
    if ((await lackingParts(folder, shard, checkpoint)).length > 0) continue;
    await applyParts(branch.chain, branch.agent, shard, checkpoint, missing, deps);
    holds.switchToJoined(branch.chain, shard);
    return checkpoint.asOfSeq;
  }
  return missingSeq;
}
