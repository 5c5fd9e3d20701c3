/** Sealed chunks of a peer, read by id. */
import {
  CHUNK_SEALED_BYTES_MAX,
  type ChunkId,
  EdgeError,
  type RateLimiter,
  type SealedAddress,
  type SealedFrame,
  type SealedMiss,
  type SealedSource,
  toHex,
} from '@edgestore/engine';
import { withProgress } from './bounded-body.ts';
import { decodeFrameStream } from './frame-stream.ts';
import { encodeIds, IDS_MAX } from './id-list.ts';
import type { PeerConnection } from './peer-connection.ts';
import { decodeLocations } from './peer-wire.ts';

/** Frames of one fetch, in bytes: a request that is broken off loses no more than this. */
const FETCH_BYTES_MAX = 64 * 1024 * 1024;

type Greeted = <T>(signal: AbortSignal | undefined, run: () => Promise<T>) => Promise<T>;

/**
 * Sealed chunks of a peer, asked by id. What it sends is checked by the reader, who has the key; here only that it was
 * asked for.
 */
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
      // A reader that has what it wanted stops here. What is left is the end of the stream; otherwise the connection is
      // given up, not held for ever.
      if (!isWhole) await (waiting.size === 0 ? items.next().catch(() => response.destroy()) : response.destroy());
    }
    for (const address of waiting.values())
      yield { address, reason: 'absent', detail: `${connection.label} left it out` };
  }
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
