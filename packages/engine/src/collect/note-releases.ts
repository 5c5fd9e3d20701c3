/** Notes which frames lost their last hold, by the hold entries that were applied since the last collection. */
import { EntryKind } from '../chain/entry-head.ts';
import { decodeAdd, decodeRelease } from '../chain/forms.ts';
import type { AgentId, ChunkId } from '../core/ids.ts';
import type { ChunkIndex, KeyValue } from '../core/ports/index.ts';
import type { Chains } from '../ports/chains.ts';
import type { GraceClock, ReleasedFrame, ReleasedIndex } from '../ports/released.ts';

export interface NoteDeps {
  readonly chains: Chains;
  readonly index: {
    readonly chunks: Pick<ChunkIndex, 'locate'>;
    readonly released: ReleasedIndex;
    readonly kv: KeyValue;
  };
  /** Whether any shard of any owner, own ones included, or a branch holds the chunk. */
  readonly isHeld: (id: ChunkId) => boolean;
}

const DISPUTES_AT_ONCE = 4096;

const progressKey = (owner: AgentId): string => `collect.${owner}`;

/**
 * A frame that was released and added again meanwhile is held, and its row goes: the next release begins a new grace. An owner whose chain became another one,
 * or was built anew, is looked at from its first entry on: a grace begins again then, it is never shortened.
 */
export async function noteReleases(
  owner: AgentId,
  at: GraceClock,
  deps: NoteDeps,
  signal?: AbortSignal,
): Promise<void> {
  const { chains, index } = deps;
  const position = chains.position(owner);
  if (position === undefined) return;
  noteDisputes(owner, at, deps);
  // No further than every shard is applied: an entry whose body is not here may add what a later one seems to release.
  const untilSeq = Math.min(position.seq, ...chains.shards(owner).map(({ applied }) => applied));
  const afterSeq = lookedAt(owner, deps);
  if (untilSeq <= afterSeq) return;
  for await (const { head, body } of chains.entries(owner, { afterSeq, untilSeq })) {
    signal?.throwIfAborted();
    if (body === undefined) continue;
    if (head.header.kind === EntryKind.add) index.released.forget(decodeAdd(body).map(({ id }) => id));
    else if (head.header.kind === EntryKind.release) noteFrames(owner, decodeRelease(body), at, deps);
  }
  const end = chains.positionAt(owner, untilSeq);
  if (end !== undefined) index.kv.set(progressKey(owner), `${end.seq}/${end.link}`);
}

/** What a checkpoint lacks that was proved by now is a release at this moment (8.2). */
function noteDisputes(owner: AgentId, at: GraceClock, deps: NoteDeps): void {
  for (;;) {
    const ids = deps.chains.parts.endedDisputes(owner, DISPUTES_AT_ONCE);
    if (ids.length === 0) return;
    noteFrames(owner, ids, at, deps);
    deps.chains.parts.forgetDisputes(owner, ids);
  }
}

function noteFrames(owner: AgentId, ids: readonly ChunkId[], at: GraceClock, { index, isHeld }: NoteDeps): void {
  const frames: ReleasedFrame[] = [];
  for (const [i, copies] of index.chunks.locate(ids).entries()) {
    const here = copies.filter((copy) => copy.store === '');
    if (here.length === 0 || isHeld(ids[i]!)) continue;
    frames.push({ id: ids[i]!, owner, sealedBytes: here.reduce((sum, copy) => sum + copy.sealedBytes, 0) });
  }
  if (frames.length > 0) index.released.note(frames, at);
}

function lookedAt(owner: AgentId, { chains, index }: NoteDeps): number {
  const match = /^(\d+)\/([0-9a-f]{64})$/.exec(index.kv.get(progressKey(owner)) ?? '');
  if (match === null) return 0;
  const seq = Number(match[1]);
  return chains.positionAt(owner, seq)?.link === match[2] ? seq : 0;
}
