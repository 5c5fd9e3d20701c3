/**
 * One turn of the own chain that gives up chunks (docs/chain.md 2.10): a record *damaged* with the snapshots that reach
 * them, behind it their release in each shard that holds them, and behind that what is added again. One append, one
 * fsync, one transaction.
 */
import { EntryKind } from '../../chain/entry-head.ts';
import { encodeAdd, encodeRelease, FORMS_MAX, type Form, RELEASE_IDS_MAX } from '../../chain/forms.ts';
import type { Position } from '../../chain/position.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ChunkId } from '../../core/ids.ts';
import type { RecordBody } from '../../log/record-body.ts';
import { DAMAGED_SNAPSHOTS_MAX } from '../../log/record-layout.ts';
import type { ReleaseTurn } from '../../ports/chain-index.ts';
import type { GaveUp, GiveUp, GoneChunk } from '../../ports/chains.ts';

export interface GiveUpTurnDeps {
  readonly releases: Pick<ReleaseTurn, 'markGone' | 'clear'>;
  /** Number and end of the own chain; everything that was added before is applied. */
  readonly chain: number;
  readonly position: Position;
  /** Makes the next entry behind those that were made before. */
  readonly make: {
    clear(kind: EntryKind, shard: number, body: Uint8Array): Promise<void>;
    record(body: RecordBody): Promise<void>;
  };
  /** One fsync for all that was made, then the index. */
  readonly settle: () => Promise<void>;
}

const NOTHING: GaveUp = { hasMoved: false, chunks: [], snapshots: [] };

/** Within a turn. */
export async function giveUpTurn(input: GiveUp, deps: GiveUpTurnDeps): Promise<GaveUp> {
  const { walked, chunks, mayGo } = input;
  if (deps.position.link !== walked.link) return { ...NOTHING, hasMoved: true };
  const { byShard, marked } = deps.releases.markGone(
    deps.chain,
    chunks.map(({ id }) => id),
    (at) => mayGo(chunks[at]!),
  );
  try {
    failpoint('give-up.marked');
    const given = marked.map((at) => chunks[at]!);
    if (given.length === 0) return NOTHING;
    input.voidRows();
    const snapshots = [...new Set(given.flatMap((chunk) => chunk.snapshots))];
    for (const part of pagesOf(snapshots, DAMAGED_SNAPSHOTS_MAX))
      await deps.make.record({ type: 'damaged', snapshots: part });
    failpoint('give-up.recorded');
    for (const [shard, ids] of byShard)
      for (const part of pagesOf(ids, RELEASE_IDS_MAX))
        await deps.make.clear(EntryKind.release, shard, encodeRelease(part));
    for (const [shard, ids] of byShard)
      for (const part of pagesOf(formsAgain(ids, given), FORMS_MAX))
        await deps.make.clear(EntryKind.add, shard, encodeAdd(part));
    failpoint('give-up.written');
    await deps.settle();
    failpoint('give-up.applied');
    return { hasMoved: false, chunks: given, snapshots };
  } finally {
    deps.releases.clear();
  }
}

function formsAgain(ids: readonly ChunkId[], given: readonly GoneChunk[]): Form[] {
  const again = new Map(
    given.flatMap(({ id, again: form }) => (form === undefined ? [] : [[nameOf(id), form] as const])),
  );
  return ids.flatMap((id) => again.get(nameOf(id)) ?? []);
}

function nameOf(id: ChunkId): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}

function pagesOf<T>(items: readonly T[], most: number): T[][] {
  const pages: T[][] = [];
  for (let at = 0; at < items.length; at += most) pages.push(items.slice(at, at + most));
  return pages;
}
