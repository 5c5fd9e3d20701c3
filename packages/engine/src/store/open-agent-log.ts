/** Reading where one agent's log ends, and whether that end can be believed. What a crash left behind it is the caller's to move aside. */
import { decodeEnvelope, type HashedEnvelope } from '../log/record.ts';
import type { Head } from '../log/record-body.ts';
import { damagedFile, scanAppendFile } from './append-file.ts';
import { readFolder } from './data-dir.ts';
import { type AgentLog, type Life, LOG_FORMAT, type Segment, segmentsByIncarnation } from './log-files.ts';
import { misplaced } from './read-log.ts';

/** The unfinished end of a file: none of it was acknowledged. */
export interface TornEnd {
  readonly path: string;
  readonly end: number;
  readonly bytes: Uint8Array;
}

type OnTorn = (torn: TornEnd) => Promise<void>;

/** The log of one agent as its files are; E_INTEGRITY for damage in the newest file of a life. */
export async function openAgentLog(dir: string, known: Head | undefined, onTorn: OnTorn): Promise<AgentLog> {
  const lives = new Map<number, Life>();
  for (const segments of segmentsByIncarnation(dir, await readFolder(dir)).values()) {
    const life = await openLife(segments, known, onTorn);
    if (life !== undefined) lives.set(segments[0]!.incarnation, life);
  }
  return { dir, lives };
}

/** Only the newest file can have an unfinished end. One that holds nothing else was just begun, and the one before it is the newest. */
async function openLife(segments: Segment[], known: Head | undefined, onTorn: OnTorn): Promise<Life | undefined> {
  for (let i = segments.length - 1; i >= 0; i--) {
    const { path } = segments[i]!;
    const scanned = await scanAppendFile(path, LOG_FORMAT);
    if (scanned === undefined) continue;
    const first = scanned.damaged[0];
    if (first !== undefined) throw damagedFile(LOG_FORMAT, path, first.offset, `${first.length} bytes are no record`);
    if (scanned.rest !== undefined) {
      const lastSeq =
        scanned.items.length > 0 ? decodeEnvelope(scanned.items.at(-1)!.bytes).seq : segments[i]!.firstSeq - 1;
      const wasAcknowledged =
        known !== undefined && known.incarnation === segments[i]!.incarnation && known.seq > lastSeq;
      if (wasAcknowledged || !scanned.rest.isTorn)
        throw damagedFile(LOG_FORMAT, path, scanned.end, 'the last record is not whole');
      await onTorn({ path, end: scanned.end, bytes: scanned.rest.bytes });
    }
    let head: HashedEnvelope | undefined;
    for (const { offset, bytes } of scanned.items) {
      const envelope = decodeEnvelope(bytes);
      const problem = misplaced(envelope, head, segments[i]!);
      if (problem !== undefined) throw damagedFile(LOG_FORMAT, path, offset, problem);
      head = envelope;
    }
    if (head !== undefined) return { segments: segments.slice(0, i + 1), end: scanned.end, head };
  }
  return undefined;
}

/** E_INTEGRITY when a record that the index knows is not the log's any more. */
export function requireKnown(log: AgentLog, known: Head | undefined): void {
  if (known === undefined) return;
  const life = log.lives.get(known.incarnation);
  const lost = life === undefined || life.head.seq < known.seq;
  const changed = life !== undefined && life.head.seq === known.seq && life.head.hash !== known.hash;
  if (!lost && !changed) return;
  const place = `${known.incarnation}/${known.seq}`;
  throw damagedFile(
    LOG_FORMAT,
    life?.segments.at(-1)?.path ?? log.dir,
    life?.end ?? 0,
    changed ? `record ${place} is not the one that was written` : `record ${place}, which was acknowledged, is missing`,
  );
}
