import { type HexId, toHex } from '../core/ids.ts';
import { FRAME_HEADER_BYTES, PACK_HEADER_BYTES } from '../pack/layout.ts';
import { packTailBytes } from '../pack/pack-tail.ts';
import type { DemoteDeps, PlannedChunk } from './demote-types.ts';
import type { HeldChunk } from './verify-at-peers.ts';

/** A group's chunks in memory, each where it lies in the pack that they make together. */
export interface ReadGroup {
  /** Without those that are damaged or gone here. */
  readonly held: readonly HeldChunk[];
  /** Of the size of the pack of all of the group: header, frames and tail are still blank. */
  readonly body: Buffer;
  readonly isWhole: boolean;
}

/** The sealed chunks as they lie here, re-read from the medium and equal to what the index says was stored; what is not is marked and left out. */
export async function readHere(
  group: readonly PlannedChunk[],
  deps: DemoteDeps,
  signal: AbortSignal | undefined,
): Promise<ReadGroup> {
  const places = new Map<HexId, { readonly chunk: PlannedChunk; readonly at: number }>();
  let end = PACK_HEADER_BYTES;
  for (const chunk of group) {
    places.set(toHex(chunk.id), { chunk, at: end + FRAME_HEADER_BYTES });
    end += FRAME_HEADER_BYTES + chunk.sealedBytes;
  }
  const body = Buffer.allocUnsafeSlow(end + packTailBytes(group.length));
  const good = new Set<HexId>();
  for await (const answer of deps.chunks.verify(group, signal)) {
    const hex = toHex(answer.address.id);
    const place = places.get(hex);
    if (place === undefined) continue;
    if ('sealed' in answer) {
      body.set(answer.sealed, place.at);
      good.add(hex);
    } else if (answer.reason !== 'absent') {
      deps.warn({
        code: 'chunk-damaged',
        message: `the local copy of chunk ${hex.slice(0, 8)} is ${answer.reason}; it is not moved: ${answer.detail}`,
      });
    }
  }
  const held: HeldChunk[] = [];
  const present = [...places].flatMap(([hex, place]) => (good.has(hex) ? [place] : []));
  const holds = deps.chains.holdsOf(
    deps.self.agentId,
    present.map(({ chunk }) => chunk.id),
  );
  for (const [i, { chunk, at }] of present.entries())
    held.push({ ...chunk, sealed: body.subarray(at, at + chunk.sealedBytes), holds: holds[i]! });
  return { held, body, isWhole: held.length === group.length };
}
