/**
 * Verifies copies at peers without moving them (docs/chain.md 5.5). First the peer states, for a fresh nonce, that it holds the chunks: bytes alone may be in
 * their grace there. Then it shows the bytes, still under the same start. The transaction that drops looks once more. For the bytes the peer hashes each sealed chunk anew from its disk, keyed with a nonce that it could not know before,
 * and sends one whole frame as a sample. A copy that was sealed at another time (by another agent, or before this one was recovered) has other
 * bytes: of those the peer opens each and hashes what is in it. One without the key cannot; then some are fetched and opened here.
 */
import { setImmediate } from 'node:timers/promises';
import type { CoveredStore } from '../chain/cover.ts';
import { isPlaced, type ShardHold } from '../chain/listed.ts';
import { openClassed } from '../codec/opens-to-its-id.ts';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import { type AgentId, ChunkKind, type HexId, toHex } from '../core/ids.ts';
import { LAYOUT_VERSION, MIB } from '../core/limits.ts';
import type { PeerLink } from '../core/ports/peer.ts';
import type { SealedAddress } from '../core/ports/sealed-source.ts';
import type { HolderAnswer } from '../ports/witnesses.ts';
import type { DemoteDeps, PlannedChunk } from './demote-types.ts';

/** A chunk with its sealed bytes as they lie here. */
export interface HeldChunk extends PlannedChunk {
  readonly sealed: Uint8Array;
  /** Own shards that hold it, with its present added seq. Read before any store is asked; the drop compares them. */
  readonly holds: readonly ShardHold[];
}

export interface CopyCount {
  readonly isEnough: (chunk: HeldChunk) => boolean;
  /** One more verified copy, in this store. */
  readonly count: (chunk: HeldChunk, store: CoveredStore) => void;
  /** What went wrong; the counts of equal notes are added up. */
  readonly note: (note: string, chunks?: number) => void;
}

/** Copies of other bytes that are fetched and opened at each peer, for each group of chunks; each costs its transfer. */
const FETCHED_MAX = 64;
/** Opening a chunk takes about a millisecond: other work of this thread waits no longer than for so many bytes. */
const OPENED_BYTES = 8 * MIB;

/** Asks peers, those with the most of the chunks first, until every chunk has enough copies or no peer is left. A peer that fails is noted. */
export async function verifyAtPeers(
  held: readonly HeldChunk[],
  copies: CopyCount,
  deps: DemoteDeps,
  signal?: AbortSignal,
): Promise<void> {
  const lacking = held.filter((chunk) => !copies.isEnough(chunk));
  if (lacking.length === 0) return;
  const placed = new Map<AgentId, HeldChunk[]>();
  const targets = deps.placed.targetsOf(lacking.map(({ id }) => id));
  for (const [i, chunk] of lacking.entries()) {
    for (const { target } of targets[i]!) {
      if (!/^[0-9a-f]{32}$/.test(target)) continue;
      const there = placed.get(target);
      if (there === undefined) placed.set(target, [chunk]);
      else there.push(chunk);
    }
  }
  const members = new Map(deps.peers.members().map((member) => [member.agent, member]));
  const askable = [...placed].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1));
  for (const [agent, chunks] of askable) {
    const wanted = chunks.filter((chunk) => !copies.isEnough(chunk));
    if (wanted.length === 0) continue;
    const link = deps.peers.link(agent);
    const site = members.get(agent)?.site;
    if (link === undefined || site === undefined) {
      copies.note(`${members.get(agent)?.name ?? agent.slice(0, 8)} holds copies but has no known address`);
      continue;
    }
    try {
      const before = await deps.witnesses.holder(agent, signal);
      const there = stated(wanted, before, link, copies.note, deps);
      if (before === undefined || there.length === 0) continue;
      const ids = there.map(({ id }) => id);
      const shown = await deps.asked.during(ids, () => rereadAtPeer(there, link, copies.note, deps, signal));
      if (shown.length === 0) continue;
      const now = await deps.witnesses.holder(agent, signal);
      requireSameStart(before, now);
      for (const chunk of stated(shown, now, link, copies.note, deps))
        copies.count(chunk, { ...storeOf(chunk, before), agent, site });
    } catch (error) {
      signal?.throwIfAborted();
      copies.note(`copies at ${link.name} could not be verified: ${toEdgeError(error).message}`);
    }
  }
}

type Note = CopyCount['note'];

/** Those that the peer states to hold, each at its present added seq in each own shard that has it. */
function stated(
  wanted: readonly HeldChunk[],
  answer: HolderAnswer | undefined,
  link: PeerLink,
  note: Note,
  deps: DemoteDeps,
): HeldChunk[] {
  if (answer === undefined) {
    note(`${link.name} holds copies but is not among the holders of this agent`);
    return [];
  }
  const { position, layoutVersion } = answer.statement;
  const { agentId, incarnation } = deps.self;
  const isOfThisChain =
    position !== undefined &&
    position.incarnation === incarnation &&
    layoutVersion === LAYOUT_VERSION &&
    deps.chains.isOnTrail(agentId, position);
  if (!isOfThisChain) {
    note(`${link.name} does not follow the present chain of this agent yet`, wanted.length);
    return [];
  }
  const there = wanted.filter(({ id, holds }) => holds.length > 0 && holds.every((hold) => isPlaced(id, hold, answer)));
  if (there.length < wanted.length)
    note(`${link.name} does not hold it as it is held here`, wanted.length - there.length);
  return there;
}

/** A store that was started again, or lost something, may not have now what it stated before. */
function requireSameStart({ statement: before }: HolderAnswer, now: HolderAnswer | undefined): void {
  const after = now?.statement;
  if (after !== undefined && (['storeId', 'startId', 'epoch'] as const).every((key) => before[key] === after[key]))
    return;
  throw new EdgeError('E_FAILED', 'it was started again or lost something meanwhile', { retryable: true });
}

/** Buckets behind the shards that hold the chunk there: what they share is one copy. */
function storeOf({ holds }: HeldChunk, { statement: { storeId, backing } }: HolderAnswer) {
  const behind = backing.filter(({ shards }) => holds.some(({ shard }) => shards.includes(shard)));
  return { type: 'peer' as const, storeId, backing: behind.map(({ location }) => location) };
}

/** The chunks of which this peer showed a good copy now; what became of the others is noted. */
async function rereadAtPeer(
  wanted: readonly HeldChunk[],
  link: PeerLink,
  note: Note,
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<HeldChunk[]> {
  const noteSome = (chunks: number, text: string): void => {
    if (chunks > 0) note(text, chunks);
  };
  const nonce = deps.random(32);
  const answers = await link.verify(
    nonce,
    wanted.map(({ id }) => id),
    'sealed',
    signal,
  );
  const same: HeldChunk[] = [];
  const other: HeldChunk[] = [];
  for (const [i, chunk] of wanted.entries()) {
    const answer = answers[i];
    if (answer === undefined) continue;
    if (bytesEqual(answer, deps.sodium.crypto_generichash(32, chunk.sealed, nonce))) same.push(chunk);
    else other.push(chunk);
  }
  noteSome(
    wanted.length - same.length - other.length,
    `${link.name} stated that it has a copy, but has none any more or cannot read it`,
  );
  await requireSample(same, link, deps, signal);

  const opened = await verifyPlaintexts(other, link, deps, signal);
  noteSome(opened.wrong.length, `the copy at ${link.name} is not the chunk: it answered another hash`);
  await requireSample(opened.equal, link, deps, signal);

  const tried = opened.unknown.slice(0, FETCHED_MAX);
  const fetched = await fetchGood(tried, link, deps, signal);
  noteSome(tried.length - fetched.length, `the copy at ${link.name} is damaged: it does not open`);
  noteSome(
    opened.unknown.length - tried.length,
    `${link.name} has a copy that was sealed at another time and did not open it; to fetch and open more was left to the next run`,
  );
  return [...same, ...opened.equal, ...fetched];
}

/** Whoever answers without having the bytes would have to have this one too. */
async function requireSample(
  shown: readonly HeldChunk[],
  link: PeerLink,
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (shown.length === 0) return;
  const sample = shown[Math.floor((deps.random(1)[0] as number) * (shown.length / 256))] as HeldChunk;
  if ((await fetchGood([sample], link, deps, signal)).length === 0)
    throw new Error(`it does not give chunk ${toHex(sample.id).slice(0, 8)}, although it hashed it`);
}

interface ComparedPlaintexts {
  readonly equal: readonly HeldChunk[];
  readonly wrong: readonly HeldChunk[];
  /** Not to be compared: the peer has no key, or a copy does not open. */
  readonly unknown: readonly HeldChunk[];
}

/** Asks with a nonce of its own, so that no answer can be made from an earlier one. */
async function verifyPlaintexts(
  chunks: readonly HeldChunk[],
  link: PeerLink,
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<ComparedPlaintexts> {
  const equal: HeldChunk[] = [];
  const wrong: HeldChunk[] = [];
  const unknown: HeldChunk[] = [];
  if (chunks.length === 0) return { equal, wrong, unknown };
  const nonce = deps.random(32);
  const answers = await link.verify(
    nonce,
    chunks.map(({ id }) => id),
    'plain',
    signal,
  );
  let openedBytes = 0;
  for (const [i, chunk] of chunks.entries()) {
    const answer = answers[i];
    const plain = answer === undefined ? undefined : openClassed(deps.opener, { ...chunk, packClass: 'data' });
    if (answer === undefined || plain === undefined) {
      unknown.push(chunk);
      continue;
    }
    (bytesEqual(answer, deps.sodium.crypto_generichash(32, plain, nonce)) ? equal : wrong).push(chunk);
    openedBytes += plain.length;
    if (openedBytes < OPENED_BYTES) continue;
    openedBytes = 0;
    await setImmediate();
    signal?.throwIfAborted();
  }
  return { equal, wrong, unknown };
}

/** Those of which the peer gives a frame that opens to the chunk. */
async function fetchGood(
  chunks: readonly HeldChunk[],
  link: PeerLink,
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<HeldChunk[]> {
  if (chunks.length === 0) return [];
  const byHex = new Map<HexId, HeldChunk>(chunks.map((chunk) => [toHex(chunk.id), chunk]));
  const located = await link.source.locate(
    chunks.map(({ id }) => id),
    signal,
  );
  const good: HeldChunk[] = [];
  const addresses = located.filter((address): address is SealedAddress => address !== undefined);
  for await (const answer of link.source.fetch(addresses, signal)) {
    const chunk = byHex.get(toHex(answer.address.id));
    if (chunk === undefined || !('sealed' in answer)) continue;
    try {
      if (!bytesEqual(answer.sealed, chunk.sealed))
        deps.opener.open(ChunkKind.data, chunk.id, answer.address.keyId, answer.sealed);
      good.push(chunk);
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
      deps.warn({ code: 'peer-copy-damaged', message: `${link.name}: ${error.message}` });
    }
  }
  return good;
}
