import { EdgeError, isEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { AgentId } from '../core/ids.ts';
import { decodeHoldBatch, type HoldEntry, holdBatchHash } from '../log/hold-batch.ts';
import type { Head } from '../log/record-body.ts';
import { damagedFile, moveTornEndAside, type PlacedItem, scanAppendFile } from './append-file.ts';
import { readFolder } from './data-dir.ts';
import { HOLD_LOG_FORMAT } from './hold-log.ts';
import type { RebuildDeps } from './rebuild.ts';

/** A batch that lies in the hold log, as the index takes it. */
export interface AppliedHoldBatch {
  readonly owner: AgentId;
  readonly incarnation: number;
  readonly op: number;
  readonly hash: string;
  readonly head: Head;
  readonly entries: readonly HoldEntry[];
  readonly logBytes: number;
}

type Deps = Pick<RebuildDeps, 'index' | 'dataDir' | 'vault' | 'progress' | 'signal'>;

/**
 * Applies what the hold logs have beyond what the index applied. Batches were verified before they were appended. While one log is damaged, every
 * chunk counts as held: what it held is not known.
 */
export async function rebuildHolds(deps: Deps, problems: EdgeError[]): Promise<number> {
  const before = problems.length;
  let applied = 0;
  const owners = new Set(
    (await readFolder(deps.dataDir.holdsDir))
      .map((name) => /^([0-9a-f]{32})\.log$/.exec(name)?.[1])
      .filter((owner) => owner !== undefined),
  );
  for (const owner of deps.index.holds.owners()) owners.add(owner);
  for (const owner of [...owners].sort()) {
    deps.signal?.throwIfAborted();
    deps.progress?.({ phase: 'rebuild', filesDone: applied, detail: 'holds' });
    applied += await rebuildOwner(owner, deps, problems);
  }
  const broken = problems.slice(before);
  const why = broken.length === 0 ? undefined : broken.map((problem) => problem.message).join('; ');
  if (deps.index.holds.incomplete() !== why) deps.index.holds.setIncomplete(why);
  return applied;
}

async function rebuildOwner(owner: AgentId, deps: Deps, problems: EdgeError[]): Promise<number> {
  const path = deps.dataDir.holdLogFile(owner);
  const known = deps.index.holds.ownerState(owner)?.logBytes ?? 0;
  // After damage all of it is read again each time: whether it was mended is seen nowhere else.
  const from = deps.index.holds.incomplete() === undefined ? known : 0;
  const scanned = await scanAppendFile(path, HOLD_LOG_FORMAT, from);
  if (scanned === undefined || scanned.size < known) {
    problems.push(damagedFile(HOLD_LOG_FORMAT, path, scanned?.size ?? 0, `${known} bytes of it were acknowledged`));
    return 0;
  }
  for (const { offset, length } of scanned.damaged)
    problems.push(damagedFile(HOLD_LOG_FORMAT, path, offset, `${length} bytes are no hold batch`));
  if (scanned.rest !== undefined) {
    if (scanned.rest.isTorn && scanned.damaged.length === 0)
      await moveTornEndAside(path, scanned.end, scanned.rest.bytes);
    else problems.push(damagedFile(HOLD_LOG_FORMAT, path, scanned.end, 'its end is no hold batch'));
  }
  let applied = 0;
  for (const item of scanned.items) if (applyItem(owner, item, path, deps, problems)) applied++;
  return applied;
}

function applyItem(owner: AgentId, item: PlacedItem, path: string, deps: Deps, problems: EdgeError[]): boolean {
  try {
    const batch = decodeHoldBatch(item.bytes);
    if (batch.owner !== owner || batch.vault !== deps.vault)
      throw new EdgeError('E_INTEGRITY', 'it is of another owner or vault');
    const { incarnation } = batch.head;
    const hash = holdBatchHash(item.bytes);
    if (deps.index.holds.batchHash(owner, incarnation, batch.op) === hash) return false;
    deps.index.holds.applyBatch({
      owner,
      incarnation,
      op: batch.op,
      hash,
      head: batch.head,
      entries: batch.entries,
      logBytes: item.offset + 4 + item.bytes.length,
    });
    failpoint('rebuild.hold-applied');
    return true;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
    problems.push(damagedFile(HOLD_LOG_FORMAT, path, item.offset, error.message));
    return false;
  }
}
