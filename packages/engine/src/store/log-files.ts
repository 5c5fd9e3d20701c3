/** How logs lie in files: `log/<agent>/<incarnation>-<first seq>.log`, each a segment. */
import { join } from 'node:path';
import type { EdgeError } from '../core/errors.ts';
import { type AgentId, toHex } from '../core/ids.ts';
import { RECORD_BYTES_MAX } from '../core/limits.ts';
import type { HashedEnvelope } from '../log/record.ts';
import type { Head } from '../log/record-body.ts';
import { ENVELOPE_BYTES, RECORD_MAGIC } from '../log/record-layout.ts';
import { decodeSegment } from '../log/segment.ts';
import type { AppendFileFormat } from './append-file.ts';

export const LOG_FORMAT: AppendFileFormat = {
  what: 'log',
  damageHint:
    'Nothing was changed. Put the file back from a copy, or mend the log (`edgestore scrub --repair`): from a peer or the bucket, else as far as its records verify. Or recover into a new data dir (`edgestore recover`).',
  magic: RECORD_MAGIC,
  itemBytesMax: RECORD_BYTES_MAX,
  split: (bytes) => {
    const { records, ...rest } = decodeSegment(bytes);
    return { items: records, ...rest };
  },
  claimedBytes: (start) =>
    start.length < ENVELOPE_BYTES
      ? undefined
      : ENVELOPE_BYTES + new DataView(start.buffer, start.byteOffset).getUint32(ENVELOPE_BYTES - 4, true) + 64,
};

export interface Segment {
  readonly path: string;
  readonly incarnation: number;
  readonly firstSeq: number;
}

/** One incarnation's records: its files in order, the end of the last one, and the newest record. */
export interface Life {
  readonly segments: Segment[];
  end: number;
  head: HashedEnvelope;
}

export interface AgentLog {
  readonly dir: string;
  readonly lives: Map<number, Life>;
  /** Why nothing may be appended. What can still be read is read. */
  readonly damage?: { readonly error: EdgeError; readonly known: Head | undefined };
}

/** The lives of a damaged log, as far as its files' names tell. */
export function livesByName(agent: AgentId, dir: string, names: readonly string[]): Map<number, Life> {
  const lives = new Map<number, Life>();
  const unknown = { vault: '', agent, seq: Number.MAX_SAFE_INTEGER, previous: '', keyId: 0, hash: '' };
  for (const [incarnation, segments] of segmentsByIncarnation(dir, names)) {
    lives.set(incarnation, { segments, end: Number.MAX_SAFE_INTEGER, head: { ...unknown, incarnation } });
  }
  return lives;
}

export function segmentName({ incarnation, seq }: HashedEnvelope): string {
  const number = Buffer.alloc(12);
  number.writeUInt32BE(incarnation, 0);
  number.writeBigUInt64BE(BigInt(seq), 4);
  const hex = toHex(number);
  return `${hex.slice(0, 8)}-${hex.slice(8)}.log`;
}

export function segmentsByIncarnation(dir: string, names: readonly string[]): Map<number, Segment[]> {
  const lives = new Map<number, Segment[]>();
  for (const name of names) {
    const match = /^([0-9a-f]{8})-([0-9a-f]{16})\.log$/.exec(name);
    if (match === null) continue;
    const segment = {
      path: join(dir, name),
      incarnation: Number.parseInt(match[1]!, 16),
      firstSeq: Number.parseInt(match[2]!, 16),
    };
    lives.set(segment.incarnation, [...(lives.get(segment.incarnation) ?? []), segment]);
  }
  return lives;
}

/** How people read a place in a log: `incarnation/seq`. */
export function place({ incarnation, seq }: Pick<Head, 'incarnation' | 'seq'>): string {
  return `${incarnation}/${seq}`;
}
