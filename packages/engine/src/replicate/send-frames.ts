/**
 * Sends a holder the frames that it asks for, by its own pages of wanted forms: shards in turn, in each by added seq. Reading, sending and the holder's fsync
 * overlap, because one group is on its way while the next is read.
 */
import { type Form, isSameForm } from '../chain/forms.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import { MIB, PEER_ITEMS_MAX } from '../core/limits.ts';
import type { OutgoingFrame, PeerLink } from '../core/ports/peer.ts';
import type { ReplicateDeps } from './replicate-deps.ts';
import { supplyForms, type Unsupplied } from './supply-forms.ts';

/** Sealed bytes of one stream: a broken connection makes us send so much again. */
const GROUP_BYTES_MAX = 48 * MIB;
/** Streams on their way at once: the holder syncs one while the next one comes. */
const STREAMS_AT_ONCE = 2;
/** Add entries in one page of wanted forms. */
const PAGE_ENTRIES = 16;

export interface SentFrames {
  /** Forms that the holder asked for. */
  readonly chunks: number;
  readonly bytes: number;
  readonly sentBytes: number;
  /** Chunks of which no good copy of a listed form was found. */
  readonly unsupplied: Unsupplied;
}

type FrameDeps = Pick<ReplicateDeps, 'asked' | 'chains' | 'self' | 'sources' | 'progress'>;

export async function sendFrames(
  link: PeerLink,
  shards: readonly number[],
  deps: FrameDeps,
  signal?: AbortSignal,
): Promise<SentFrames> {
  const totals = { chunks: 0, bytes: 0, sentBytes: 0 };
  const unsupplied: Unsupplied = { count: 0, first: undefined, unlisted: [] };
  // A stream that fails stops the others and the reading.
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const underWay = new Set<Promise<void>>();

  async function* frames(group: readonly Form[]): AsyncGenerator<OutgoingFrame> {
    for await (const frame of supplyForms(group, deps, unsupplied, stop)) {
      // A holder that is asked to prove it has to have it already.
      await deps.asked.ended(frame.id);
      yield frame;
      totals.sentBytes += frame.sealed.length;
      deps.progress?.({ phase: 'replicate', bytesDone: totals.sentBytes, detail: link.name });
    }
  }

  async function send(group: readonly Form[]): Promise<void> {
    try {
      await link.sendFrames(deps.self.agentId, frames(group), stop);
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  }

  try {
    for await (const group of groupsOf(wantedForms(link, shards, deps, stop))) {
      totals.chunks += group.length;
      for (const form of group) totals.bytes += form.sealedBytes;
      const stream = send(group).finally(() => underWay.delete(stream));
      underWay.add(stream);
      // The rejection is met at the next wait, or at the end.
      stream.catch(() => {});
      while (underWay.size >= STREAMS_AT_ONCE) await Promise.race(underWay);
    }
    await Promise.all(underWay);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(underWay);
    throw failed.signal.reason ?? error;
  }
  return { ...totals, unsupplied };
}

/** All that the holder asks for, page by page, each shard in its turn. A page is asked for while the forms of the one before are used. */
async function* wantedForms(
  link: PeerLink,
  shards: readonly number[],
  deps: FrameDeps,
  signal: AbortSignal,
): AsyncGenerator<Form> {
  const ask = (shard: number, afterSeq: number) =>
    link.wanted(deps.self.agentId, { shard, afterSeq, entriesMax: PAGE_ENTRIES }, signal);
  let turns = shards.map((shard) => ({ shard, afterSeq: 0 }));
  while (turns.length > 0) {
    const next: typeof turns = [];
    for (const { shard, afterSeq } of turns) {
      const page = await ask(shard, afterSeq);
      if (page.length === 0) continue;
      for (const { seq, positions, forms } of page) {
        if (seq <= afterSeq) throw new EdgeError('E_FORMAT', `${link.label} asks for the same forms again`);
        yield* forms === undefined ? formsAt(link, seq, positions, deps) : listedForms(forms, deps);
      }
      next.push({ shard, afterSeq: page.at(-1)!.seq });
    }
    turns = next;
  }
}

function formsAt(
  link: PeerLink,
  seq: number,
  positions: readonly number[],
  { chains, self }: FrameDeps,
): readonly Form[] {
  const refused = (cause?: unknown): EdgeError =>
    new EdgeError('E_FORMAT', `${link.label} asks for forms that entry ${seq} of this agent does not have`, { cause });
  let forms: readonly Form[];
  try {
    forms = chains.forms(self.agentId, seq, positions);
  } catch (error) {
    throw isEdgeError(error, 'E_NOT_FOUND') ? refused(error) : error;
  }
  if (forms.length !== positions.length) throw refused();
  return forms;
}

/**
 * A holder that joined by parts names forms. What is not listed any more is not sent: the entry that released it is on
 * its way.
 */
function listedForms(named: readonly Form[], { chains, self }: FrameDeps): Form[] {
  const held = chains.heldForms(
    self.agentId,
    named.map(({ id }) => id),
  );
  return named.flatMap((form, i) => held[i]!.find((one) => isSameForm(one, form)) ?? []);
}

async function* groupsOf(forms: AsyncIterable<Form>): AsyncGenerator<Form[]> {
  let group: Form[] = [];
  let bytes = 0;
  for await (const form of forms) {
    if (group.length === PEER_ITEMS_MAX || (group.length > 0 && bytes + form.sealedBytes > GROUP_BYTES_MAX)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(form);
    bytes += form.sealedBytes;
  }
  if (group.length > 0) yield group;
}
