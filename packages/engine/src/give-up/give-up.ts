/**
 * Gives up chunks that no store has any more (docs/chain.md 2.10). The caller asked the own store, every ranked holder
 * and every bucket target in this job, and had the files captured again. Here: every live snapshot is walked, then one
 * turn of the chain says which ones are damaged, and releases the chunks.
 */
import type { Form } from '../chain/forms.ts';
import { EdgeError } from '../core/errors.ts';
import { type AgentId, type ChunkId, fromHex, type HexId, toHex } from '../core/ids.ts';
import type { ChunkIndex, LogIndex, SnapshotRow } from '../core/ports/index.ts';
import type { ClaimingSession } from '../index/claims.ts';
import type { GoneChunk, OwnChain } from '../ports/chains.ts';
import { type FindReachDeps, findReach } from './find-reach.ts';

export interface GiveUpInput {
  readonly gone: readonly ChunkId[];
  /**
   * Called before anything is appended, with the snapshots that will be damaged, and how many chunks they reach. Again
   * after each walk.
   */
  readonly announce: (snapshots: readonly SnapshotRow[], chunks: number) => void;
  /** Forms to add again behind the release, by chunk (2.11). */
  readonly again?: ReadonlyMap<HexId, Form>;
}

export interface GiveUpDeps extends FindReachDeps {
  readonly identity: { readonly agentId: AgentId };
  readonly log: Pick<LogIndex, 'snapshots'>;
  readonly chunks: Pick<ChunkIndex, 'allCopies' | 'forgetBadCopies' | 'settleLosses'> & {
    sessions(): ClaimingSession[];
    voidRows(): void;
  };
  readonly isHeld: (id: ChunkId) => boolean;
  readonly chain: Pick<OwnChain, 'giveUp' | 'position'>;
}

export interface GivenUp {
  readonly chunks: readonly ChunkId[];
  /** Live snapshots that reach them. */
  readonly snapshots: readonly SnapshotRow[];
}

/** Snapshots that are recorded while others are walked come one after the other; nobody records so fast for long. */
const WALKS_MAX = 5;

/**
 * Chunks that came back, or that a session relies on, stay as they are. E_FAILED, retryable, where the chain went on
 * again and again.
 */
export async function giveUp({ gone, announce, again }: GiveUpInput, deps: GiveUpDeps): Promise<GivenUp> {
  const { chain, log, identity } = deps;
  const wanted = new Set(gone.map(toHex));
  for (let walk = 1; walk <= WALKS_MAX; walk++) {
    const walked = chain.position();
    if (walked === undefined || gone.length === 0) return { chunks: [], snapshots: [] };
    const reach = await findReach(log.snapshots({ agent: identity.agentId }), wanted, deps);
    announce([...reach.keys()], new Set([...reach.values()].flatMap((met) => [...met])).size);
    const done = await chain.giveUp({
      walked,
      chunks: chunksOf(wanted, reach, again),
      mayGo: (chunk) => isGone(chunk, deps),
      voidRows: () => deps.chunks.voidRows(),
    });
    if (done.hasMoved) continue;
    const damaged = new Set(done.snapshots);
    const chunks = done.chunks.map(({ id }) => id);
    forgetCopies(chunks, deps);
    return { chunks, snapshots: [...reach.keys()].filter(({ id }) => damaged.has(id)) };
  }
  throw new EdgeError(
    'E_FAILED',
    'snapshots were recorded all the time while it was looked up which ones are damaged',
    {
      retryable: true,
    },
  );
}

/** Marks of copies that nothing waits for any more. What is held again meanwhile keeps them. */
export function forgetCopies(ids: readonly ChunkId[], { chunks, isHeld }: Pick<GiveUpDeps, 'chunks' | 'isHeld'>): void {
  if (ids.length === 0) return;
  chunks.forgetBadCopies(ids, isHeld);
  chunks.settleLosses();
}

function chunksOf(
  wanted: ReadonlySet<HexId>,
  reach: ReadonlyMap<SnapshotRow, ReadonlySet<HexId>>,
  again: GiveUpInput['again'],
): GoneChunk[] {
  const snapshotsOf = new Map<HexId, string[]>();
  for (const [{ id }, met] of reach) for (const hex of met) snapshotsOf.set(hex, [...(snapshotsOf.get(hex) ?? []), id]);
  // What no walk met lies below a page that is gone, so its snapshots are damaged anyway, or no live snapshot needs it:
  // it is released alone.
  return [...wanted].map((hex) => {
    const snapshots = snapshotsOf.get(hex) ?? [];
    const form = again?.get(hex);
    return { id: fromHex(hex, 32), snapshots, ...(form === undefined ? {} : { again: form }) };
  });
}

/** Not here in any form that may be good, and no session relies on a snapshot that reaches it. */
function isGone({ id, snapshots, again }: GoneChunk, { chunks }: GiveUpDeps): boolean {
  const copies = chunks.allCopies([id])[0]!;
  if (again === undefined && copies.some(({ marked }) => marked === undefined || marked === 'unreadable')) return false;
  // Of a chunk that no walk met any snapshot may be the one.
  const isOfIt = (one: string): boolean => snapshots.length === 0 || snapshots.includes(one);
  return !chunks.sessions().some((session) => session.snapshots.some(isOfIt));
}
