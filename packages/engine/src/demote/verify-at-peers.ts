/**
 * Verifies copies at peers without moving them: the peer hashes each sealed chunk anew from its disk, keyed with a nonce that it could not know before,
 * and sends one whole frame as a sample.
 */
import { bytesEqual } from '../core/bytes.ts';
import { isEdgeError, toEdgeError } from '../core/errors.ts';
import { type AgentId, ChunkKind, type HexId, toHex } from '../core/ids.ts';
import type { PeerLink } from '../core/ports/peer.ts';
import type { SealedAddress } from '../core/ports/sealed-source.ts';
import type { DemoteDeps, PlannedChunk } from './demote-types.ts';

/** A chunk with its sealed bytes as they lie here. */
export interface HeldChunk extends PlannedChunk {
  readonly sealed: Uint8Array;
}

export interface CopyCount {
  readonly isEnough: (chunk: HeldChunk) => boolean;
  /** One more verified copy, in this site. */
  readonly count: (chunk: HeldChunk, site: string) => void;
  readonly note: (note: string) => void;
}

/** Copies of other bytes (the same chunk, sealed by another agent) that are fetched and opened; each costs its transfer. */
const OTHER_COPIES_MAX = 64;

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
  for (const chunk of lacking) {
    for (const { target } of deps.index.placements.placementsOf(chunk.id)) {
      if (/^[0-9a-f]{32}$/.test(target)) placed.set(target, [...(placed.get(target) ?? []), chunk]);
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
      const good = await verifyAtPeer(wanted, link, deps, signal);
      for (const chunk of good) copies.count(chunk, site);
      deps.index.placements.noteVerified(
        agent,
        good.map(({ id }) => id),
        deps.clock.nowNs(),
      );
      if (good.length < wanted.length)
        copies.note(`${link.name} could not show ${wanted.length - good.length} chunks that it gave a receipt for`);
    } catch (error) {
      signal?.throwIfAborted();
      copies.note(`copies at ${link.name} could not be verified: ${toEdgeError(error).message}`);
    }
  }
}

async function verifyAtPeer(
  wanted: readonly HeldChunk[],
  link: PeerLink,
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<HeldChunk[]> {
  const nonce = deps.random(32);
  const answers = await link.verify(
    nonce,
    wanted.map(({ id }) => id),
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
  // Whoever answers without having the bytes would have to have this one too.
  const sample = same[Math.floor((deps.random(1)[0] as number) * (same.length / 256))];
  if (sample !== undefined && (await fetchGood([sample], link, deps, signal)).length === 0) {
    throw new Error(`it does not give chunk ${toHex(sample.id).slice(0, 8)}, although it hashed it`);
  }
  // A copy that another agent sealed has other bytes; only opening it tells.
  return [...same, ...(await fetchGood(other.slice(0, OTHER_COPIES_MAX), link, deps, signal))];
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
