/**
 * For a scrub: compares chain, hold index and frames of one owner (docs/chain.md 11.3). The hold state is a function of the chain alone, so it is computed again
 * from the bodies, part by part of the ids. Each id needs a row with its added seq, and a good frame exactly when that row says so.
 */
import { EntryKind } from '../chain/entry-head.ts';
import { decodeAdd, decodeRelease, type Form } from '../chain/forms.ts';
import { ChangingHolds, type HeldId } from '../chain/hold-state.ts';
import { bytesEqual } from '../core/bytes.ts';
import { isEdgeError } from '../core/errors.ts';
import type { AgentId, ChunkId } from '../core/ids.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { ChainEntry, Chains, ShardState } from '../ports/chains.ts';

export interface CheckHoldsDeps {
  readonly chains: Pick<Chains, 'entries' | 'heldAs' | 'parts' | 'shards'>;
  readonly chunks: Pick<ChunkIndex, 'locate'>;
}

export interface CheckedHolds {
  readonly shard: number;
  /** Ids that the chain says are held. */
  readonly held: number;
  /** Of these, ids without a good frame here. The store states them. */
  readonly lacking: number;
  /** Ids where the index says otherwise than chain and frames. */
  readonly wrong: number;
  /** The first ones of them. */
  readonly named: readonly ChunkId[];
  /** The index counts otherwise than its rows, or has rows of ids that are not held. Not looked at while entries came in between. */
  readonly isMiscounted: boolean;
}

/** Memory: the ids of one part. */
const IDS_A_PART = 65_536;
const PARTS_MAX = 256;
/** Looked up at once, between two turns of the event loop. */
const IDS_AT_ONCE = 1024;
const NAMED_MAX = 100;

/** E_INTEGRITY for a damaged chain: it is mended first. */
export async function* checkHolds(
  owner: AgentId,
  deps: CheckHoldsDeps,
  signal?: AbortSignal,
): AsyncGenerator<CheckedHolds> {
  for (const { shard } of deps.chains.shards(owner)) {
    let checked = await checkShard(owner, shard, deps, signal);
    // Frames that went and came back in between are counted at two moments: a second look decides.
    if (checked?.isMiscounted === true) checked = await checkShard(owner, shard, deps, signal);
    if (checked !== undefined) yield checked;
  }
}

async function checkShard(
  owner: AgentId,
  shard: number,
  deps: CheckHoldsDeps,
  signal: AbortSignal | undefined,
): Promise<CheckedHolds | undefined> {
  const begun = shardOf(owner, shard, deps);
  if (begun === undefined) return undefined;
  const parts = Math.min(PARTS_MAX, Math.max(1, Math.ceil(begun.held / IDS_A_PART)));
  let held = 0;
  let lacking = 0;
  let wrong = 0;
  let unsatisfied = 0;
  const named: ChunkId[] = [];
  for (let part = 0; part < parts; part++) {
    const state = new ChangingHolds();
    const isOfPart = (id: ChunkId): boolean => (id[0]! * parts) >> 8 === part;
    let seq = 0;
    const base = deps.chains.parts.base(owner, shard);
    if (base !== undefined) {
      try {
        for await (const forms of base.forms()) for (const form of forms) if (isOfPart(form.id)) state.list(form);
      } catch (error) {
        if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
        // Its rows lie in parts that are gone or damaged: nothing of the shard can be believed.
        return { shard, held: begun.held, lacking: 0, wrong: Math.max(1, begun.held), named: [], isMiscounted: true };
      }
      seq = base.asOfSeq;
    }
    /** Entries may come at any time. What is looked up after this is of one moment, up to the next pause. */
    const catchUp = async (): Promise<void> => {
      for (;;) {
        signal?.throwIfAborted();
        const until = shardOf(owner, shard, deps)?.applied ?? seq;
        if (until <= seq) return;
        for await (const entry of deps.chains.entries(owner, { afterSeq: seq, untilSeq: until })) {
          signal?.throwIfAborted();
          if (entry.head.header.shard === shard) apply(state, entry, isOfPart);
        }
        seq = until;
      }
    };
    await catchUp();
    const keys = [...state.byId.keys()];
    for (let at = 0; at < keys.length; at += IDS_AT_ONCE) {
      if (at > 0) await pause();
      await catchUp();
      const group = keys.slice(at, at + IDS_AT_ONCE).flatMap((key) => state.byId.get(key) ?? []);
      const ids = group.map(idOf);
      const rows = deps.chains.heldAs(owner, shard, ids);
      const copies = deps.chunks.locate(ids);
      for (const [i, { addedSeq, forms }] of group.entries()) {
        const isGood = copies[i]!.some((copy) => copy.identified || forms.some((form) => isOf(copy, form)));
        const row = rows[i];
        held++;
        if (!isGood) lacking++;
        if (row !== undefined && row.state !== 'satisfied') unsatisfied++;
        if (row !== undefined && row.seq === addedSeq && isGood === (row.state === 'satisfied')) continue;
        wrong++;
        if (named.length < NAMED_MAX) named.push(ids[i]!);
      }
    }
  }
  const ended = shardOf(owner, shard, deps);
  const isMiscounted = ended !== undefined && isSame(begun, ended) && !agrees(ended, held, unsatisfied);
  return { shard, held, lacking, wrong, named, isMiscounted };
}

function apply(state: ChangingHolds, { head, body }: ChainEntry, isOfPart: (id: ChunkId) => boolean): void {
  const { kind, seq } = head.header;
  if (body === undefined) return;
  try {
    if (kind === EntryKind.add) {
      for (const form of decodeAdd(body)) if (isOfPart(form.id)) state.add(seq, form);
    } else if (kind === EntryKind.release) {
      for (const id of decodeRelease(body)) if (isOfPart(id)) state.release(id);
    }
  } catch (error) {
    // Signed, but of no meaning: it changes nothing at any store.
    if (!isEdgeError(error, 'E_FORMAT')) throw error;
  }
}

function shardOf(owner: AgentId, shard: number, { chains }: CheckHoldsDeps): ShardState | undefined {
  return chains.shards(owner).find((one) => one.shard === shard);
}

/** Nothing came or went between the two: neither entries nor frames. */
function isSame(a: ShardState, b: ShardState): boolean {
  return (
    a.applied === b.applied &&
    a.held === b.held &&
    a.wanted === b.wanted &&
    a.lost === b.lost &&
    a.unreadable === b.unreadable
  );
}

function agrees({ held, wanted, lost, unreadable }: ShardState, ids: number, unsatisfied: number): boolean {
  return held === ids && wanted + lost + unreadable === unsatisfied;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isOf(copy: { readonly sealedSha256: Uint8Array }, form: Form): boolean {
  return bytesEqual(form.sealedSha256, copy.sealedSha256);
}

function idOf({ forms }: HeldId): ChunkId {
  return forms[0]!.id;
}
