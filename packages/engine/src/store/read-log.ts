import type { EdgeError } from '../core/errors.ts';
import { compareHeads } from '../log/check-chain.ts';
import { decodeEnvelope, type HashedEnvelope } from '../log/record.ts';
import type { Head } from '../log/record-body.ts';
import { damagedFile, scanAppendFile } from './append-file.ts';
import { type AgentLog, LOG_FORMAT, place } from './log-files.ts';

export interface ReadOptions {
  readonly after?: Pick<Head, 'incarnation' | 'seq'> | undefined;
  readonly onDamage?: (error: EdgeError) => void;
}

/** The records of one agent's files in (incarnation, seq) order, each checked against the one before it. See `LogStore.read`. */
export async function* readLog(log: AgentLog | undefined, options: ReadOptions): AsyncGenerator<Uint8Array> {
  const lives = [...(log?.lives.values() ?? [])].sort((a, b) => a.head.incarnation - b.head.incarnation);
  const report = (error: EdgeError): void => {
    if (options.onDamage === undefined) throw error;
    options.onDamage(error);
  };
  for (const life of lives) {
    if (options.after !== undefined && compareHeads(life.head, options.after) <= 0) continue;
    let before: HashedEnvelope | undefined;
    for (const [i, segment] of life.segments.entries()) {
      const next = life.segments[i + 1];
      if (
        options.after !== undefined &&
        next !== undefined &&
        compareHeads({ incarnation: next.incarnation, seq: next.firstSeq - 1 }, options.after) <= 0
      )
        continue;
      const scanned = await scanAppendFile(segment.path, LOG_FORMAT);
      if (scanned === undefined) {
        report(damagedFile(LOG_FORMAT, segment.path, 0, 'the file is gone'));
        continue;
      }
      for (const { offset, length } of scanned.damaged)
        report(damagedFile(LOG_FORMAT, segment.path, offset, `${length} bytes are no record`));
      if (next !== undefined && scanned.rest !== undefined)
        report(damagedFile(LOG_FORMAT, segment.path, scanned.end, 'its end is no record'));
      for (const item of scanned.items) {
        // What is being appended right now is not there yet.
        const envelope = decodeEnvelope(item.bytes);
        if (envelope.seq > life.head.seq) break;
        if (before !== undefined && (envelope.seq !== before.seq + 1 || envelope.previous !== before.hash)) {
          report(
            damagedFile(
              LOG_FORMAT,
              segment.path,
              item.offset,
              `record ${place(envelope)} does not continue ${place(before)}; one of them was changed`,
            ),
          );
        }
        before = envelope;
        if (options.after === undefined || compareHeads(envelope, options.after) > 0) yield item.bytes;
      }
    }
  }
}
