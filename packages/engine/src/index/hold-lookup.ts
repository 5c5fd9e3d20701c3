import type { ChunkId } from '../core/ids.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';

/**
 * Whether another owner's shard, or a branch, holds a chunk here, or a checkpoint that was taken leaves it in dispute;
 * used inside the transactions that drop copies. Only keys are compared: a chance collision keeps a copy longer. The
 * own shards are not asked, because the tier policy drops own copies (docs/invariants.md, P5).
 */
export function holdLookup(db: Db): { isHeld(id: ChunkId): boolean } {
  const find = db
    .prepare<[number], number>(
      `SELECT 1 FROM holds h JOIN shards s USING (shard_ref) JOIN chains c USING (chain)
       WHERE h.key48 = ? AND (c.is_own = 0 OR c.parent IS NOT NULL) LIMIT 1`,
    )
    .pluck();
  const disputed = db
    .prepare<[number], number>('SELECT 1 FROM disputed WHERE key48 = ? AND is_ended = 0 LIMIT 1')
    .pluck();
  return { isHeld: (id) => find.get(key48(id)) !== undefined || disputed.get(key48(id)) !== undefined };
}
