/** Takes a stream of frames into the local packs: each has to be a listed form of a held chunk, and opens to its id where the key is here. */
import { createHash } from 'node:crypto';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import { type AgentId, toHex } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { ChunkStore, ChunkWriter } from '../core/ports/chunk-store.ts';
import type { IdentifyFrames } from '../core/ports/identify-frames.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { OutgoingFrame } from '../core/ports/peer.ts';
import type { Chains } from '../ports/chains.ts';

export interface ReceiveDeps {
  readonly chunks: Pick<ChunkStore, 'openWriter'>;
  readonly chains: Pick<Chains, 'heldForms'>;
  readonly index: { readonly chunks: Pick<ChunkIndex, 'beginSession' | 'endSession' | 'settleLosses'> };
  readonly identify: IdentifyFrames | undefined;
}

/** Frames opened together: enough to share among workers, little enough to keep in memory. */
const GROUP_BYTES = 4 * MIB;

/** A frame with the hash of its bytes, which is listed. */
interface CheckedFrame {
  readonly frame: OutgoingFrame;
  readonly sha256: Uint8Array;
}

/** Every frame that was taken is durable and indexed when this ends, also when it ends with an error. Answers how many were taken. */
export async function receiveFrames(
  owner: AgentId,
  frames: AsyncIterable<OutgoingFrame>,
  deps: ReceiveDeps,
  signal?: AbortSignal,
): Promise<number> {
  const session = deps.index.chunks.beginSession('receive');
  const writer = deps.chunks.openWriter();
  try {
    let group: OutgoingFrame[] = [];
    let bytes = 0;
    const storeGroup = async (): Promise<void> => {
      const full = group;
      group = [];
      bytes = 0;
      await store(checkForms(owner, full, deps), writer, deps);
    };
    try {
      for await (const frame of frames) {
        signal?.throwIfAborted();
        group.push(frame);
        bytes += frame.sealed.length;
        if (bytes >= GROUP_BYTES) await storeGroup();
      }
    } finally {
      await storeGroup();
    }
  } finally {
    try {
      await writer.close();
      // A pack that went is no loss any more when each of its chunks came again.
      if (writer.stats.chunks > 0) deps.index.chunks.settleLosses();
    } finally {
      deps.index.chunks.endSession(session);
    }
  }
  return writer.stats.chunks;
}

function checkForms(owner: AgentId, group: readonly OutgoingFrame[], deps: ReceiveDeps): CheckedFrame[] {
  const held = deps.chains.heldForms(
    owner,
    group.map((frame) => frame.id),
  );
  return group.map((frame, i) => {
    const sha256 = createHash('sha256').update(frame.sealed).digest();
    const form = held[i]!.find((one) => bytesEqual(one.sealedSha256, sha256));
    if (form === undefined)
      throw refused(frame, held[i]!.length === 0 ? 'it is not held' : 'its bytes are not a form that the owner listed');
    if (form.keyId !== frame.keyId || classOf(form.formClass) !== frame.packClass)
      throw refused(frame, 'its key or class is not the one that the owner listed');
    return { frame, sha256 };
  });
}

function classOf(formClass: string): OutgoingFrame['packClass'] {
  return formClass.startsWith('meta') ? 'meta' : 'data';
}

async function store(group: readonly CheckedFrame[], writer: ChunkWriter, deps: ReceiveDeps): Promise<void> {
  if (group.length === 0) return;
  const good = deps.identify === undefined ? undefined : await deps.identify(group.map(({ frame }) => frame));
  for (const [i, { frame, sha256 }] of group.entries()) {
    if (good !== undefined && good[i] !== true) throw refused(frame, 'it does not open to what its id names');
    await writer.add({
      id: frame.id,
      packClass: frame.packClass,
      keyId: frame.keyId,
      bytes: frame.sealed,
      sha256,
      identified: good !== undefined,
    });
  }
}

function refused({ id }: OutgoingFrame, problem: string): EdgeError {
  const chunk = toHex(id);
  return new EdgeError('E_INTEGRITY', `a received chunk ${chunk.slice(0, 8)} is refused: ${problem}`, {
    context: { chunk },
  });
}
