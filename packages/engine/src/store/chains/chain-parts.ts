/** Parts of hold checkpoints as flows see them (ports/checkpoints.ts). */
import { decodePart, type HoldCheckpoint, PARTS } from '../../chain/checkpoint-parts.ts';
import type { HeldForm } from '../../chain/forms.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import type { AgentId } from '../../core/ids.ts';
import type { ChainParts } from '../../ports/checkpoints.ts';
import { checkpointOf, newestCheckpoint } from './checkpoint-entries.ts';
import type { FollowedChain } from './followed-chain.ts';
import { joinByParts, partBytes, takePart, wantedParts } from './join-shard.ts';
import { partsFolder, readPart } from './part-files.ts';

/** Checkpoints that are looked through for the one that a shard was joined by. */
const CHECKPOINTS_MAX = 1024;

export function chainParts(followed: (agent: AgentId) => FollowedChain): ChainParts {
  return {
    newest: (agent, shard) => {
      const { row, deps } = followed(agent);
      const newest = row === undefined ? undefined : newestCheckpoint(row.chain, shard, deps);
      return newest === undefined ? undefined : { seq: newest.row.seq, asOfSeq: newest.checkpoint.asOfSeq };
    },
    wanted: (agent, shard) => wantedParts(followed(agent), shard),
    bytesOf: (agent, shard, seq, byte) => partBytes(followed(agent), shard, seq, byte),
    take: (agent, shard, seq, byte, part) => takePart(followed(agent), shard, seq, byte, part),
    join: (agent, shard, seq) => joinByParts(followed(agent), shard, seq),
    read: async (agent, shard, seq, byte) => {
      const { row, deps } = followed(agent);
      const entry = row === undefined ? undefined : deps.index.chainTable.entry(row.chain, seq);
      const checkpoint = entry === undefined ? undefined : checkpointOf(entry, deps);
      if (checkpoint === undefined) return undefined;
      try {
        return await readPart(partsFolder(deps.chainsDir, agent), shard, checkpoint, byte);
      } catch (error) {
        if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
        return undefined;
      }
    },
    base: (agent, shard) => {
      const { row, deps } = followed(agent);
      const asOfSeq = row === undefined ? 0 : deps.index.holds.baseOf(row.chain, shard);
      if (row === undefined || asOfSeq === 0) return undefined;
      return {
        asOfSeq,
        forms: () => formsOf(agent, shard, checkpointAsOf(followed(agent), shard, asOfSeq), followed(agent)),
      };
    },
    endedDisputes: (agent, limit) => {
      const { row, deps } = followed(agent);
      return row === undefined ? [] : deps.index.holds.endedDisputes(row.chain, limit);
    },
    forgetDisputes: (agent, ids) => {
      const { row, deps } = followed(agent);
      if (row !== undefined) deps.index.holds.forgetDisputes(row.chain, ids);
    },
  };
}

function checkpointAsOf({ row, deps }: FollowedChain, shard: number, asOfSeq: number): HoldCheckpoint {
  for (const entry of deps.index.chainTable.checkpoints(row!.chain, shard, CHECKPOINTS_MAX)) {
    if (entry.seq <= asOfSeq) break;
    const checkpoint = checkpointOf(entry, deps);
    if (checkpoint?.asOfSeq === asOfSeq) return checkpoint;
  }
  throw new EdgeError('E_INTEGRITY', `the hold checkpoint as of ${asOfSeq} is not here any more`);
}

async function* formsOf(
  agent: AgentId,
  shard: number,
  checkpoint: HoldCheckpoint,
  { deps }: FollowedChain,
): AsyncGenerator<HeldForm[]> {
  const folder = partsFolder(deps.chainsDir, agent);
  for (let byte = 0; byte < PARTS; byte++)
    yield decodePart(await readPart(folder, shard, checkpoint, byte), byte, checkpoint.asOfSeq);
}
