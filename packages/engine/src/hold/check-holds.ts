/**
 * For a scrub: compares chain, hold index and frames of one owner (docs/chain.md 11.3). The hold state is a function of the chain alone, so it is computed again
 * from the bodies, part by part of the ids, and each id has to have its row and a frame, or be listed as not satisfied.
 */
import { EntryKind } from '../chain/entry-head.ts';
import { decodeAdd, decodeRelease, type Form } from '../chain/forms.ts';
import { bytesEqual } from '../core/bytes.ts';
import type { AgentId, ChunkId } from '../core/ids.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { Chains } from '../ports/chains.ts';

export interface CheckHoldsDeps {
  readonly chains: Pick<Chains, 'entries' | 'forms' | 'isHeld' | 'shards' | 'unsatisfied'>;
  readonly chunks: Pick<ChunkIndex, 'locate'>;
}

export interface CheckedHolds {
  readonly shard: number;
  /** Ids that the chain says are held. */
  readonly held: number;
  /** Of these, ids without a good frame here. The store states them. */
  readonly lacking: number;
  /** Ids where the index says otherwise than chain and frames: it has to be built again. */
  readonly wrong: readonly ChunkId[];
}

/** Memory: the ids of one part, 1/16 of the shard's. */
const PARTS = 16;
const IDS_AT_ONCE = 1024;
/** Ids that are named of those that are wrong. */
const WRONG_MAX = 100;

export async function* checkHolds(
  owner: AgentId,
  deps: CheckHoldsDeps,
  signal?: AbortSignal,
): AsyncGenerator<CheckedHolds> {
  for (const { shard, applied } of deps.chains.shards(owner)) {
    let held = 0;
    let lacking = 0;
    const wrong: ChunkId[] = [];
    for (let part = 0; part < PARTS; part++) {
      signal?.throwIfAborted();
      const state = await stateOfPart(owner, shard, applied, part, deps, signal);
      held += state.size;
      const listed = unsatisfiedKeys(owner, shard, part, deps);
      const ids = [...state.values()];
      for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
        const group = ids.slice(at, at + IDS_AT_ONCE);
        const rows = deps.chains.isHeld(
          owner,
          shard,
          group.map((forms) => forms[0]!.id),
        );
        const copies = deps.chunks.locate(group.map((forms) => forms[0]!.id));
        for (const [i, forms] of group.entries()) {
          const { id } = forms[0]!;
          const isGood = copies[i]!.some(
            (copy) => copy.identified || forms.some((form) => bytesEqual(form.sealedSha256, copy.sealedSha256)),
          );
          if (!isGood) lacking++;
          if ((rows[i] === 0 || isGood === listed.has(keyOf(id))) && wrong.length < WRONG_MAX) wrong.push(id);
        }
      }
    }
    yield { shard, held, lacking, wrong };
  }
}

/** Held ids of one part with their listed forms, by rule 1.6. */
async function stateOfPart(
  owner: AgentId,
  shard: number,
  applied: number,
  part: number,
  { chains }: CheckHoldsDeps,
  signal: AbortSignal | undefined,
): Promise<Map<string, Form[]>> {
  const state = new Map<string, Form[]>();
  for await (const { head, body } of chains.entries(owner, { untilSeq: applied })) {
    signal?.throwIfAborted();
    const { kind, shard: of } = head.header;
    if (of !== shard || body === undefined) continue;
    if (kind === EntryKind.add) {
      for (const form of decodeAdd(body)) {
        if (partOf(form.id) !== part) continue;
        const key = keyOf(form.id);
        const forms = state.get(key);
        if (forms === undefined) state.set(key, [form]);
        else if (forms.length < 4 && !form.formClass.endsWith('-delta')) forms.push(form);
      }
    } else if (kind === EntryKind.release) {
      for (const id of decodeRelease(body)) if (partOf(id) === part) state.delete(keyOf(id));
    }
  }
  return state;
}

function unsatisfiedKeys(owner: AgentId, shard: number, part: number, { chains }: CheckHoldsDeps): Set<string> {
  const keys = new Set<string>();
  for (let afterSeq = 0; ; ) {
    const page = chains.unsatisfied(owner, shard, afterSeq, 16);
    const last = page.at(-1);
    if (last === undefined) return keys;
    afterSeq = last.seq;
    for (const { seq, positions } of page)
      for (const { id } of chains.forms(owner, seq, positions)) if (partOf(id) === part) keys.add(keyOf(id));
  }
}

function partOf(id: ChunkId): number {
  return id[0]! >> 4;
}

function keyOf(id: ChunkId): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}
