/** The peer protocol as flows call it: `PeerLink` over HTTPS. */
import {
  ByteReader,
  EdgeError,
  HEAD_BYTES,
  isEdgeError,
  type Member,
  type OutgoingFrame,
  type PeerLink,
  type Position,
  type RateLimiter,
} from '@edgestore/engine';
import {
  ANSWER_BYTES_MAX,
  decodeAnswer,
  decodePosition,
  decodeSeqs,
  decodeState,
  ENTRIES_BYTES_MAX,
  encodeBodies,
  encodeEntries,
  encodeQuestion,
  POSITION_BYTES,
  pagesOf,
  SEQS_BYTES_MAX,
  STATE_BYTES_MAX,
} from './chain-wire.ts';
import { fetchEntries } from './fetch-entries.ts';
import { encodeFrameEnd, encodeFrameItem } from './frame-stream.ts';
import { IDS_MAX } from './id-list.ts';
import type { PeerConnection } from './peer-connection.ts';
import { createPeerSource } from './peer-source.ts';
import { decodeVerifyReply, encodeParts, encodeVerifyRequest } from './peer-wire.ts';
import { decodeWanted, decodeWantedParts, WANTED_BYTES_MAX, WANTED_PARTS_BYTES } from './wanted-wire.ts';

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

    wantedParts: async (owner, shard, signal) =>
      decodeWantedParts(
        await call('GET', `/peer/1/parts?owner=${owner}&shard=${shard}`, WANTED_PARTS_BYTES, undefined, signal),
      ),

    sendPart: async (owner, { shard, seq, byte }, bytes, signal) =>
      void (await call(
        'POST',
        `/peer/1/parts?owner=${owner}&shard=${shard}&seq=${seq}&part=${byte}`,
        16,
        bytes,
        signal,
      )),

    joinByParts: async (owner, shard, seq, signal) => {
      // A large shard is put into the index before the answer comes.
      await greeted(signal, () =>
        connection.bytes({
          method: 'POST',
          path: `/peer/1/joined?owner=${owner}&shard=${shard}&seq=${seq}`,
          limit: 16,
          body: new Uint8Array(0),
          idleMs: STORED_IDLE_MS,
          signal,
        }),
      );
    },

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
