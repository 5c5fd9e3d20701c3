/** Hold checkpoints among the entries of a chain, and which of their parts have to stay. */
import { decodeHoldCheckpoint, type HoldCheckpoint } from '../../chain/checkpoint-parts.ts';
import { FORM_BYTES } from '../../chain/forms.ts';
import { isEdgeError } from '../../core/errors.ts';
import type { ChainRow, EntryRow } from '../../ports/chain-index.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { partsFolder, removeParts } from './part-files.ts';
import { readBody, readHead } from './read-entry.ts';

export interface CheckpointEntry {
  readonly row: EntryRow;
  readonly checkpoint: HoldCheckpoint;
}

type Deps = Pick<ChainsDeps, 'index' | 'bytes'>;

/** Undefined where the body is not here, is damaged, or has no meaning. */
export function checkpointOf(row: EntryRow, deps: Deps): HoldCheckpoint | undefined {
  try {
    const body = readBody(row, readHead(row, deps), deps);
    return body === undefined ? undefined : decodeHoldCheckpoint(body, row.seq);
  } catch (error) {
    if (isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) return undefined;
    throw error;
  }
}

/** The newest checkpoint of a shard that can be read here. */
export function newestCheckpoint(chain: number, shard: number, deps: Deps): CheckpointEntry | undefined {
  for (const row of deps.index.chainTable.checkpoints(chain, shard, CHECKPOINTS_LOOKED_AT)) {
    const checkpoint = checkpointOf(row, deps);
    if (checkpoint !== undefined) return { row, checkpoint };
  }
  return undefined;
}

/** Checkpoints that are looked at, the newest first: older ones have no parts here. */
export const CHECKPOINTS_LOOKED_AT = 8;

export function checkpointsOf(chain: number, shard: number, limit: number, deps: Deps): CheckpointEntry[] {
  return deps.index.chainTable.checkpoints(chain, shard, limit).flatMap((row) => {
    const checkpoint = checkpointOf(row, deps);
    return checkpoint === undefined ? [] : [{ row, checkpoint }];
  });
}

export function partsBytes({ parts }: HoldCheckpoint): number {
  return parts.reduce((sum, { rows }) => sum + rows * FORM_BYTES, 0);
}

/** Parts of the newest checkpoint stay, and those that rows of the index lie in: of the chain or of a branch. */
export async function removeOldParts(
  { agent }: ChainRow,
  shard: number,
  newestAsOfSeq: number,
  { index, chainsDir }: Pick<ChainsDeps, 'index' | 'chainsDir'>,
): Promise<void> {
  const bases = index.chainTable
    .rows()
    .filter((row) => row.agent === agent)
    .map(({ chain }) => index.holds.baseOf(chain, shard));
  await removeParts(partsFolder(chainsDir, agent), shard, new Set([newestAsOfSeq, ...bases]));
}
