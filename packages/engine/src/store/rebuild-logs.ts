import { type EdgeError, isEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { decodeEnvelope, type HashedEnvelope } from '../log/record.ts';
import type { RecordBody } from '../log/record-body.ts';
import type { RebuildDeps } from './rebuild.ts';

/** Records applied in one transaction. */
const RECORDS_AT_ONCE = 256;

/** Applies what the logs have beyond the heads that the index knows. What cannot be read is named. */
export async function rebuildLogs(
  deps: Pick<RebuildDeps, 'index' | 'log' | 'openRecord' | 'self' | 'progress' | 'signal'>,
  problems: EdgeError[],
): Promise<number> {
  problems.push(...deps.log.problems);
  let applied = 0;
  for (const agent of deps.log.agents()) {
    const known = deps.index.log.headOf(agent);
    const head = deps.log.head(agent);
    if (known !== undefined && head !== undefined && known.hash === head.hash) continue;
    let batch: { envelope: HashedEnvelope; body: RecordBody | undefined }[] = [];
    const apply = (): void => {
      deps.index.transaction(() => {
        for (const { envelope, body } of batch) deps.index.log.applyRecord(envelope, body);
      });
      failpoint('rebuild.records-applied');
      applied += batch.length;
      batch = [];
      deps.progress?.({ phase: 'rebuild', filesDone: applied, detail: 'records' });
    };
    for await (const record of deps.log.read(agent, { after: known, onDamage: (error) => void problems.push(error) })) {
      deps.signal?.throwIfAborted();
      const opened = open(record, deps, problems);
      if (opened === undefined && agent === deps.self && decodeEnvelope(record).hash === head?.hash)
        throw problems.at(-1);
      if (opened !== undefined) batch.push(opened);
      if (batch.length >= RECORDS_AT_ONCE) apply();
    }
    if (batch.length > 0) apply();
  }
  return applied;
}

/** A record of a later format keeps its place without a body. One that is damaged is left out: not even its place in the log can be believed. */
function open(
  record: Uint8Array,
  deps: Pick<RebuildDeps, 'openRecord'>,
  problems: EdgeError[],
): { envelope: HashedEnvelope; body: RecordBody | undefined } | undefined {
  const envelope = decodeEnvelope(record);
  try {
    return { envelope, body: deps.openRecord(record) };
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT', 'E_WRONG_KEY', 'E_DENIED')) throw error;
    problems.push(error);
    return isEdgeError(error, 'E_NEWER_FORMAT') ? { envelope, body: undefined } : undefined;
  }
}
