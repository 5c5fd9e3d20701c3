/** The peer protocol as flows call it: `PeerLink` over HTTPS. */
import {
  ByteReader,
  CHUNK_SEALED_BYTES_MAX,
  type ChainEntry,
  type ChunkId,
  EdgeError,
  type EntryBodies,
  HEAD_BYTES,
  isEdgeError,
  type Member,
  type OutgoingFrame,
  type PeerLink,
  type Position,
  type RateLimiter,
  type SealedAddress,
  type SealedFrame,
  type SealedMiss,
  type SealedSource,
  toHex,
} from '@edgestore/engine';
import { withProgress } from './bounded-body.ts';
import {
  ANSWER_BYTES_MAX,
  decodeAnswer,
  decodeEntries,
  decodePosition,
  decodeSeqs,
  decodeState,
  decodeWanted,
  ENTRIES_BYTES_MAX,
  encodeBodies,
  encodeEntries,
  encodeQuestion,
  POSITION_BYTES,
  pagesOf,
  SEQS_BYTES_MAX,
  STATE_BYTES_MAX,
  WANTED_BYTES_MAX,
} from './chain-wire.ts';
import { decodeFrameStream, encodeFrameEnd, encodeFrameItem } from './frame-stream.ts';
import { encodeIds, IDS_MAX } from './id-list.ts';
import type { PeerConnection } from './peer-connection.ts';
import { decodeLocations, decodeVerifyReply, encodeParts, encodeVerifyRequest } from './peer-wire.ts';

/** Frames of one fetch, in bytes: a request that is broken off loses no more than this. */
const FETCH_BYTES_MAX = 64 * 1024 * 1024;
/** Fsync and identification on a slow disk may take a while before the answer comes. */
const STORED_IDLE_MS = 10 * 60_000;

/** Rates that sealed chunks are sent and read at. */
export interface PeerLimits {
  readonly upload: RateLimiter;
  readonly download: RateLimiter;
}

export interface PeerLinkDeps {
  readonly member: Member;
  readonly connection: PeerConnection;
  /** Runs before the first request of this link, and again after the peer was away: exchanges versions and cards. */
  readonly hello: (signal?: AbortSignal) => Promise<void>;
  readonly limits?: PeerLimits;
}

export function createPeerLink(deps: PeerLinkDeps): PeerLink {
  const { connection, member } = deps;
  let greeting: Promise<void> | undefined;

  /** A failed hello, or a peer that was away, is greeted anew: it may have been updated or made anew meanwhile. */
  async function greeted<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    greeting ??= deps.hello(signal);
    try {
      await greeting;
      return await run();
    } catch (error) {
      if (isEdgeError(error, 'E_STORE', 'E_TIMEOUT', 'E_DENIED', 'E_INTERRUPTED', 'E_NEWER_FORMAT'))
        greeting = undefined;
      throw error;
    }
  }

  const call = (
    method: 'GET' | 'POST',
    path: string,
    limit: number,
    body: Uint8Array | undefined,
    signal?: AbortSignal,
  ) =>
    greeted(signal, () => connection.bytes({ method, path, limit, signal, ...(body === undefined ? {} : { body }) }));

  return {
    agent: member.agent,
    name: member.name,
    site: member.site,
    get label() {
      return connection.label;
    },
    source: createPeerSource(connection, greeted, deps.limits?.download),

    statement: async ({ owner, ...question }, signal) =>
      decodeAnswer(
        await call('POST', `/peer/1/statement?owner=${owner}`, ANSWER_BYTES_MAX, encodeQuestion(question), signal),
      ),

    sendEntries: async (owner, entries, signal) => {
      let position: Position | undefined;
      for (const page of pagesOf(entries, ({ body }) => HEAD_BYTES + (body?.length ?? 0)))
        position = decodePosition(
          await call('POST', `/peer/1/entries?owner=${owner}`, POSITION_BYTES, encodeEntries(page), signal),
        );
      if (position === undefined) throw new EdgeError('E_USAGE', 'there is no entry to send');
      return position;
    },

    entries: (owner, options, signal) =>
      fetchEntries(owner, options, (path) => call('GET', path, ENTRIES_BYTES_MAX, undefined, signal)),

    missingBodies: async (owner, shard, limit, signal) =>
      decodeSeqs(
        await call(
          'GET',
          `/peer/1/bodies?owner=${owner}&shard=${shard}&limit=${limit}`,
          SEQS_BYTES_MAX,
          undefined,
          signal,
        ),
      ),

    sendBodies: async (owner, bodies, signal) => {
      for (const page of pagesOf(bodies, ({ body }) => 8 + body.length))
        await call('POST', `/peer/1/bodies?owner=${owner}`, 16, encodeBodies(page), signal);
    },

    wanted: async (owner, { shard, afterSeq, entriesMax }, signal) =>
      decodeWanted(
        await call(
          'GET',
          `/peer/1/wanted?owner=${owner}&shard=${shard}&after=${afterSeq}&entries=${entriesMax}`,
          WANTED_BYTES_MAX,
          undefined,
          signal,
        ),
      ),

    sendFrames: async (owner, frames, signal) => {
      const answer = await greeted(signal, () =>
        connection.bytes({
          method: 'POST',
          path: `/peer/1/frames?owner=${owner}`,
          limit: 4,
          body: piecesOf(frames, deps.limits?.upload, signal),
          idleMs: STORED_IDLE_MS,
          signal,
        }),
      );
      const reader = new ByteReader(answer, 'stored frames');
      const count = reader.u32();
      reader.end();
      return count;
    },

    state: async (signal) => decodeState(await call('GET', '/peer/1/state', STATE_BYTES_MAX, undefined, signal)),

    sendSlots: async (slots, signal) => void (await call('POST', '/peer/1/slots', 16, encodeParts(slots), signal)),

    verify: async (nonce, ids, of, signal) => {
      const out: (Uint8Array | undefined)[] = [];
      for (let at = 0; at < ids.length; at += IDS_MAX) {
        const part = ids.slice(at, at + IDS_MAX);
        out.push(
          ...decodeVerifyReply(
            await call('POST', '/peer/1/verify', part.length * 33, encodeVerifyRequest(nonce, of, part), signal),
            part.length,
          ),
        );
      }
      return out;
    },
  };
}

/** Entries of a chain, page by page. `get` answers the body for a path. */
export async function* fetchEntries(
  owner: string,
  options: { readonly afterSeq: number; readonly bodies: EntryBodies; readonly branch?: string },
  get: (path: string) => Promise<Uint8Array>,
): AsyncGenerator<ChainEntry> {
  let after = options.afterSeq;
  for (;;) {
    const branch = options.branch === undefined ? '' : `&branch=${options.branch}`;
    const path = `/peer/1/entries?owner=${owner}&after=${after}&bodies=${options.bodies}${branch}`;
    const page = decodeEntries(await get(path));
    if (page.length === 0) return;
    for (const entry of page) {
      // A peer that repeats itself would keep us for ever.
      if (entry.head.header.seq !== after + 1) throw new EdgeError('E_FORMAT', 'a peer sent entries out of order');
      after = entry.head.header.seq;
      yield entry;
    }
  }
}

type Greeted = <T>(signal: AbortSignal | undefined, run: () => Promise<T>) => Promise<T>;

/** Sealed chunks of a peer, asked by id. What it sends is checked by the reader, who has the key; here only that it was asked for. */
export function createPeerSource(connection: PeerConnection, greeted: Greeted, download?: RateLimiter): SealedSource {
  return {
    kind: 'peers',
    get label() {
      return connection.label;
    },

    async locate(ids, signal) {
      const out: (SealedAddress | undefined)[] = [];
      for (let at = 0; at < ids.length; at += IDS_MAX) {
        const part = ids.slice(at, at + IDS_MAX);
        const body = await greeted(signal, () =>
          connection.bytes({
            method: 'POST',
            path: '/peer/1/locate',
            body: encodeIds(part),
            limit: part.length * 8,
            signal,
          }),
        );
        for (const [i, found] of decodeLocations(body, part.length).entries())
          out.push(found === undefined ? undefined : { id: part[i]!, ...found });
      }
      return out;
    },

    async *fetch(addresses, signal) {
      for (const part of groupAddresses(addresses)) yield* fetchPart(part, signal);
    },
  };

  async function* fetchPart(
    part: readonly SealedAddress[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<SealedFrame | SealedMiss> {
    const waiting = new Map(part.map((address) => [toHex(address.id), address]));
    const response = await greeted(signal, () =>
      connection.stream({ method: 'POST', path: '/peer/1/fetch', body: encodeIds(part.map((a) => a.id)), signal }),
    );
    const items = decodeFrameStream(withProgress(response), part.length);
    let isWhole = false;
    try {
      for (let next = await items.next(); next.done !== true; next = await items.next()) {
        const item = next.value;
        const id: ChunkId = item.type === 'frame' ? item.header.id : item.id;
        const address = waiting.get(toHex(id));
        if (address === undefined)
          throw new EdgeError('E_FORMAT', `${connection.label} sent a chunk that was not asked for`);
        waiting.delete(toHex(id));
        if (item.type === 'miss') {
          yield { address, reason: item.reason, detail: `${connection.label} does not have it` };
        } else {
          const { keyId, sealedBytes } = item.header;
          await download?.take(sealedBytes, signal);
          yield { address: { id: address.id, keyId, sealedBytes }, sealed: item.sealed };
        }
      }
      isWhole = true;
    } finally {
      // A reader that has what it wanted stops here. What is left is the end of the stream; otherwise the connection is given up, not held for ever.
      if (!isWhole) await (waiting.size === 0 ? items.next().catch(() => response.destroy()) : response.destroy());
    }
    for (const address of waiting.values())
      yield { address, reason: 'absent', detail: `${connection.label} left it out` };
  }
}

async function* piecesOf(
  frames: AsyncIterable<OutgoingFrame>,
  upload: RateLimiter | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array[]> {
  for await (const { id, keyId, packClass, sealed } of frames) {
    await upload?.take(sealed.length, signal);
    yield encodeFrameItem({ type: 'frame', header: { id, keyId, packClass, sealedBytes: sealed.length }, sealed });
  }
  yield [encodeFrameEnd()];
}

function* groupAddresses(addresses: readonly SealedAddress[]): Generator<SealedAddress[]> {
  let group: SealedAddress[] = [];
  let bytes = 0;
  for (const address of addresses) {
    const size = address.sealedBytes || CHUNK_SEALED_BYTES_MAX;
    if (group.length === IDS_MAX || (group.length > 0 && bytes + size > FETCH_BYTES_MAX)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(address);
    bytes += size;
  }
  if (group.length > 0) yield group;
}
