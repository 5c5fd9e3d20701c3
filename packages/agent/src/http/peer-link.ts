/** The peer protocol as flows call it: `PeerLink` over HTTPS. */
import {
  ByteReader,
  CHUNK_SEALED_BYTES_MAX,
  type ChunkId,
  EdgeError,
  type Head,
  isEdgeError,
  type Member,
  type OutgoingFrame,
  type PeerLink,
  type RateLimiter,
  RECORD_BYTES_MAX,
  type RecordPlace,
  type SealedAddress,
  type SealedFrame,
  type SealedMiss,
  type SealedSource,
  toHex,
} from '@edgestore/engine';
import { withIdleDeadline } from './bounded-body.ts';
import { decodeFrameStream, encodeFrameEnd, encodeFrameItem } from './frame-stream.ts';
import { encodeIds, IDS_MAX } from './id-list.ts';
import type { PeerConnection } from './peer-connection.ts';
import {
  decodeHoldReply,
  decodeLocations,
  decodeParts,
  decodeState,
  decodeVerifyReply,
  encodeParts,
  encodeVerifyRequest,
  HOLD_BATCH_BYTES_MAX,
  RECEIPT_BYTES_MAX,
  RECORDS_BYTES_MAX,
  readHead,
  STATE_BYTES_MAX,
} from './peer-wire.ts';

/** Frames of one fetch, in bytes: a request that is broken off loses no more than this. */
const FETCH_BYTES_MAX = 64 * 1024 * 1024;
/** Merging, fsync and identification on a slow disk may take a while before the receipt comes. */
const RECEIPT_IDLE_MS = 10 * 60_000;

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

    hold: async (batch, signal) => {
      if (batch.length > HOLD_BATCH_BYTES_MAX) throw new EdgeError('E_LIMIT', `a hold batch of ${batch.length} bytes`);
      return decodeHoldReply(await call('POST', '/peer/1/hold', 4 * IDS_MAX + RECEIPT_BYTES_MAX + 8, batch, signal));
    },

    sendFrames: (op, frames, signal) =>
      greeted(signal, () =>
        connection.bytes({
          method: 'POST',
          path: `/peer/1/frames?op=${op}`,
          limit: RECEIPT_BYTES_MAX,
          body: piecesOf(frames, deps.limits?.upload, signal),
          idleMs: RECEIPT_IDLE_MS,
          signal,
        }),
      ),

    state: async (signal) => decodeState(await call('GET', '/peer/1/state', STATE_BYTES_MAX, undefined, signal)),

    records: (agent, after, signal) =>
      fetchRecords(agent, after, (path) => call('GET', path, RECORDS_BYTES_MAX, undefined, signal)),

    sendRecords: async (records, signal) => {
      let head: Head | undefined;
      for (const part of groupsOf(records, RECORDS_BYTES_MAX - 64)) {
        const reader = new ByteReader(
          await call('POST', '/peer/1/records', 1024, encodeParts(part), signal),
          'record reply',
        );
        head = readHead(reader).head;
        reader.end();
      }
      if (head === undefined) throw new EdgeError('E_USAGE', 'there is no record to send');
      return head;
    },

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

/** Records of a log, page by page. `get` answers the body for a path. */
export async function* fetchRecords(
  agent: string,
  after: RecordPlace | undefined,
  get: (path: string) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let place = after;
  for (;;) {
    const from = place === undefined ? '' : `&incarnation=${place.incarnation}&seq=${place.seq}`;
    const records = decodeParts(await get(`/peer/1/records?agent=${agent}${from}`), 'records', RECORD_BYTES_MAX);
    if (records.length === 0) return;
    for (const record of records) {
      const next = placeOf(record);
      // A peer that repeats itself would keep us for ever.
      if (place !== undefined && compare(next, place) <= 0)
        throw new EdgeError('E_FORMAT', 'a peer sent records out of order');
      place = next;
      yield record;
    }
  }
}

/** (incarnation, seq) lie at fixed offsets of the clear envelope (docs/formats/record.md). */
function placeOf(record: Uint8Array): RecordPlace {
  const reader = new ByteReader(record, 'record');
  reader.bytes(8 + 2 + 4 + 4 + 16 + 16);
  return { incarnation: reader.u32(), seq: reader.u64() };
}

function compare(a: RecordPlace, b: RecordPlace): number {
  return a.incarnation - b.incarnation || a.seq - b.seq;
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
    const items = decodeFrameStream(withIdleDeadline(response), part.length);
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

function* groupsOf(parts: readonly Uint8Array[], bytesMax: number): Generator<Uint8Array[]> {
  let group: Uint8Array[] = [];
  let bytes = 4;
  for (const part of parts) {
    if (group.length > 0 && bytes + part.length + 4 > bytesMax) {
      yield group;
      group = [];
      bytes = 4;
    }
    group.push(part);
    bytes += part.length + 4;
  }
  if (group.length > 0) yield group;
}
