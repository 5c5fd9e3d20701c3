import type { EdgeError } from '../core/errors.ts';
import { compareHeads } from '../log/check-chain.ts';
import { decodeEnvelope, type HashedEnvelope } from '../log/record.ts';
import type { Head } from '../log/record-body.ts';
import { damagedFile, scanAppendFile } from './append-file.ts';
import { type AgentLog, LOG_FORMAT, place, type Segment } from './log-files.ts';

export interface ReadOptions {
  readonly after?: Pick<Head, 'incarnation' | 'seq'> | undefined;
  readonly onDamage?: (error: EdgeError) => void;
}

/** The records of one agent's files in (incarnation, seq) order, each checked against the one before it. See `LogStore.read`. */
export async function* readLog(log: AgentLog | undefined, options: ReadOptions): AsyncGenerator<Uint8Array> {
  const { after } = options;
  const report = (error: EdgeError): void => {
    if (options.onDamage === undefined) throw error;
    options.onDamage(error);
  };
  for (const life of [...(log?.lives.values() ?? [])].sort((a, b) => a.head.incarnation - b.head.incarnation)) {
    if (after !== undefined && compareHeads(life.head, after) <= 0) continue;
    const { end, segments } = life;
    let before: HashedEnvelope | undefined;
    for (const [i, segment] of segments.entries()) {
      const next = segments[i + 1];
      if (after !== undefined && next !== undefined && isWholeBefore(next, after)) continue;
      const scanned = await scanAppendFile(segment.path, LOG_FORMAT);
      if (scanned === undefined) {
        report(damagedFile(LOG_FORMAT, segment.path, 0, 'the file is gone'));
        continue;
      }
      // What is being appended right now is not there yet.
      const until = next === undefined ? end : scanned.size;
      for (const { offset, length } of scanned.damaged) {
        if (offset < until) report(damagedFile(LOG_FORMAT, segment.path, offset, `${length} bytes are no record`));
      }
      for (const { offset, bytes } of scanned.items) {
        if (offset >= until) break;
        const envelope = decodeEnvelope(bytes);
        const problem = misplaced(envelope, before, segment);
        if (problem !== undefined) report(damagedFile(LOG_FORMAT, segment.path, offset, problem));
        before = envelope;
        if (after === undefined || compareHeads(envelope, after) > 0) yield bytes;
      }
      if (scanned.end < until) report(damagedFile(LOG_FORMAT, segment.path, scanned.end, 'its end is no record'));
    }
  }
}

/** What speaks against the record following the one before it, or being the first of its file; undefined when nothing does. */
export function misplaced(
  envelope: HashedEnvelope,
  before: HashedEnvelope | undefined,
  segment: Segment,
): string | undefined {
  const seq = before === undefined ? segment.firstSeq : before.seq + 1;
  if (envelope.incarnation !== segment.incarnation || envelope.seq !== seq) {
    return `record ${place(envelope)} lies where ${place({ incarnation: segment.incarnation, seq })} belongs`;
  }
  if (before === undefined || envelope.previous === before.hash) return undefined;
  return `record ${place(envelope)} does not continue ${place(before)}; one of them was changed`;
}

function isWholeBefore(next: Segment, after: Pick<Head, 'incarnation' | 'seq'>): boolean {
  return compareHeads({ incarnation: next.incarnation, seq: next.firstSeq - 1 }, after) <= 0;
}
