/** Takes a stream of frames into the local packs: each is checked against what its owner signed, and opened where the key is here. */
import { EdgeError } from '../core/errors.ts';
import { type HexId, toHex } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { ChunkStore, ChunkWriter } from '../core/ports/chunk-store.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { OutgoingFrame } from '../core/ports/peer.ts';
import type { HoldEntry } from '../log/hold-batch.ts';
import { sha256Matches } from './chunk-store/sealed-hash.ts';
import type { IdentifyFrames } from './identify-frames.ts';

export interface ReceiveDeps {
  readonly chunks: Pick<ChunkStore, 'openWriter'>;
  readonly index: { readonly chunks: Pick<ChunkIndex, 'beginSession' | 'endSession'> };
  readonly identify: IdentifyFrames | undefined;
}

/** Frames opened together: enough to share among workers, little enough to keep in memory. */
const GROUP_BYTES = 4 * MIB;

/** Every frame that was taken is durable and indexed when this ends, also when it ends with an error: what came over a thin line is not sent again. */
export async function receiveFrames(
  entries: readonly HoldEntry[],
  frames: AsyncIterable<OutgoingFrame>,
  deps: ReceiveDeps,
  signal?: AbortSignal,
): Promise<void> {
  const expected = new Map<HexId, HoldEntry>(entries.map((entry) => [toHex(entry.id), entry]));
  const session = deps.index.chunks.beginSession('receive');
  const writer = deps.chunks.openWriter();
  try {
    let group: OutgoingFrame[] = [];
    let bytes = 0;
    try {
      for await (const frame of frames) {
        signal?.throwIfAborted();
        checkFrame(frame, expected.get(toHex(frame.id)));
        group.push(frame);
        bytes += frame.sealed.length;
        if (bytes < GROUP_BYTES) continue;
        const full = group;
        group = [];
        bytes = 0;
        await store(full, writer, expected, deps);
      }
    } finally {
      await store(group, writer, expected, deps);
    }
  } finally {
    try {
      await writer.close();
    } finally {
      deps.index.chunks.endSession(session);
    }
  }
}

function checkFrame(frame: OutgoingFrame, entry: HoldEntry | undefined): void {
  const id = toHex(frame.id);
  if (entry === undefined) throw refused(id, 'it is not in the hold batch');
  if (frame.sealed.length !== entry.sealedBytes || frame.keyId !== entry.keyId || frame.packClass !== entry.packClass) {
    throw refused(id, 'its length, key or class is not what the owner signed');
  }
  if (!sha256Matches(frame.sealed, entry.sealedSha256)) throw refused(id, 'its bytes are not what the owner signed');
}

async function store(
  group: readonly OutgoingFrame[],
  writer: ChunkWriter,
  expected: ReadonlyMap<HexId, HoldEntry>,
  deps: ReceiveDeps,
): Promise<void> {
  if (group.length === 0) return;
  const good = deps.identify === undefined ? undefined : await deps.identify(group);
  for (const [i, frame] of group.entries()) {
    if (good !== undefined && good[i] !== true) throw refused(toHex(frame.id), 'it does not open to what its id names');
    const entry = expected.get(toHex(frame.id))!;
    await writer.add({
      id: entry.id,
      packClass: frame.packClass,
      keyId: frame.keyId,
      bytes: frame.sealed,
      sha256: entry.sealedSha256,
      identified: good !== undefined,
    });
  }
}

function refused(id: string, problem: string): EdgeError {
  return new EdgeError('E_INTEGRITY', `a received chunk ${id.slice(0, 8)} is refused: ${problem}`, {
    context: { chunk: id },
  });
}
