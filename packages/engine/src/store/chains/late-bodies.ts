/** Bodies of hold entries that came after their headers: `u32 length ‖ seq u64 ‖ body`, in a file beside the chain file of the header. */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ENTRY_BODY_BYTES_MAX } from '../../chain/entry-head.ts';
import { EdgeError, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { syncFolder, writeFully } from '../durable-write.ts';
import { copyRange } from './chain-file.ts';
import { FileWindow } from './file-window.ts';

/** Length and seq, before each body. */
export const BODY_HEAD_BYTES = 12;

export interface LateBody {
  readonly seq: number;
  readonly body: Uint8Array;
}

export interface PlacedBody extends LateBody {
  /** Of the body itself. */
  readonly at: number;
}

/**
 * Appends and fsyncs. Bytes behind the last whole item, which a crash left, are kept aside and cut off first. Answers
 * where each body lies.
 */
export async function appendBodies(path: string, bodies: readonly LateBody[]): Promise<PlacedBody[]> {
  const end = await endOfBodies(path);
  try {
    const file = await open(path, end === undefined ? 'wx' : 'r+', 0o600);
    let at = end ?? 0;
    const placed: PlacedBody[] = [];
    try {
      const { size } = await file.stat();
      if (size > at) {
        await copyRange(path, `${path}.torn-${at}`, at, size);
        await file.truncate(at);
      }
      for (const { seq, body } of bodies) {
        const head = Buffer.alloc(BODY_HEAD_BYTES);
        head.writeUInt32LE(BODY_HEAD_BYTES - 4 + body.length, 0);
        head.writeBigUInt64LE(BigInt(seq), 4);
        await writeFully(file, Buffer.concat([head, body]), at);
        placed.push({ seq, body, at: at + BODY_HEAD_BYTES });
        at += BODY_HEAD_BYTES + body.length;
      }
      failpoint('chain.bodies-written');
      await file.sync();
    } finally {
      await file.close();
    }
    if (end === undefined) await syncFolder(dirname(path));
    failpoint('chain.bodies-synced');
    return placed;
  } catch (error) {
    throw toEdgeError(error, `writing ${path}`);
  }
}

/** Whole items in order, unverified: the caller compares each body with its header. Nothing for a file that is not there. */
export async function* readBodies(path: string): AsyncGenerator<PlacedBody> {
  const window = await FileWindow.open(path);
  if (window === undefined) return;
  try {
    for (let at = 0; ; ) {
      const item = await itemAt(window, at);
      if (item === undefined) return;
      yield {
        seq: item.seq,
        body: new Uint8Array(await window.at(at + BODY_HEAD_BYTES, item.bytes)),
        at: at + BODY_HEAD_BYTES,
      };
      at += BODY_HEAD_BYTES + item.bytes;
    }
  } finally {
    await window.close();
  }
}

async function endOfBodies(path: string): Promise<number | undefined> {
  const window = await FileWindow.open(path);
  if (window === undefined) return undefined;
  try {
    let at = 0;
    for (let item = await itemAt(window, at); item !== undefined; item = await itemAt(window, at))
      at += BODY_HEAD_BYTES + item.bytes;
    return at;
  } finally {
    await window.close();
  }
}

async function itemAt(window: FileWindow, at: number): Promise<{ seq: number; bytes: number } | undefined> {
  const head = await window.at(at, BODY_HEAD_BYTES);
  if (head.length < BODY_HEAD_BYTES) return undefined;
  const bytes = head.readUInt32LE(0) - (BODY_HEAD_BYTES - 4);
  if (bytes < 1 || bytes > ENTRY_BODY_BYTES_MAX || at + BODY_HEAD_BYTES + bytes > window.size) return undefined;
  const seq = head.readBigUInt64LE(4);
  if (seq > BigInt(Number.MAX_SAFE_INTEGER))
    throw new EdgeError('E_INTEGRITY', `${window.path} is damaged at byte ${at}`, { context: { path: window.path } });
  return { seq: Number(seq), bytes };
}
