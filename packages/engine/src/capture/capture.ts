/**
 * Captures a root: makes a snapshot of it in the agent's store. The order that makes a snapshot safe: packs durable and indexed, then everything held,
 * then the record, then the folder cache (docs/invariants.md).
 */
import { EdgeError, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { FREE_SPACE_FLOOR_BYTES } from '../core/limits.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import { formatBytes } from '../policy/units.ts';
import { CaptureRun } from './capture-run.ts';
import type { CaptureDeps, CaptureInput, CaptureReport } from './capture-types.ts';
import { checkDeleteGuard } from './delete-guard.ts';
import { partsInRow } from './earlier-rows.ts';
import { foldersInRow } from './earlier-snapshot.ts';
import { captureFileRoot } from './file-root.ts';
import { captureFolderRoot } from './folder-root.ts';
import { findRootSource } from './root-source.ts';
import { forgetRows } from './row-store.ts';
import { sameEntry } from './same-entry.ts';

/**
 * Captures one root. E_NOT_FOUND when it is not there, E_ROLLBACK and E_INTEGRITY while nothing can be appended to the
 * own chain, E_DELETE_GUARD when too much of it is gone, E_NO_SPACE, E_INTERRUPTED (a first capture then leaves an
 * unfinished snapshot). What could not be read is in the report, and keeps its earlier version in the snapshot.
 */
export async function capture(input: CaptureInput, deps: CaptureDeps): Promise<CaptureReport> {
  if (deps.signal?.aborted === true) throw new EdgeError('E_INTERRUPTED', 'interrupted before the capture began');
  const startedMs = deps.clock.monotonicMs();
  const startNs = deps.clock.nowNs();
  const source = findRootSource(input.root.path);
  // Before anything is read and stored for a record that cannot be appended.
  if (input.dryRun !== true && deps.chain.blocked !== undefined) throw deps.chain.blocked;
  if (input.dryRun !== true) await requireSpace(deps);
  const shard = deps.chain.shardOf(input.root.name);
  if (shard === undefined && input.dryRun !== true) throw noShard(input.root.name);
  // The snapshot whose rows are used is claimed with the session, so what it reaches stays (docs/chain.md 2.8).
  const { session, before } = beginCapture(input.root.name, deps);
  const run = new CaptureRun({ input, deps, before, session, startNs, shard: shard ?? 0 });
  try {
    const entry = await (source.kind === 'folder' ? captureFolderRoot(source, run) : captureFileRoot(source, run));
    guard(run);
    const treeUnchanged = before !== undefined && sameEntry(before.body.entry, entry);
    const seconds = (): number => (deps.clock.monotonicMs() - startedMs) / 1000;
    if (input.dryRun === true) {
      await run.abandon();
      return run.report(undefined, treeUnchanged, seconds());
    }
    await run.writer.close();
    await run.requireHeld();
    failpoint('capture.chunks-durable');
    const isKept = treeUnchanged && input.skipUnchanged === true && before.body.unfinished !== true;
    if (isKept) await deps.chain.sync();
    const snapshot = isKept
      ? { link: before.id, seq: before.seq }
      : await deps.chain.append(run.body(entry), run.shard);
    failpoint('capture.recorded');
    run.rememberFolders(snapshot.link);
    forgetFolders(run);
    failpoint('capture.cached');
    return run.report(snapshot, treeUnchanged, seconds());
  } catch (error) {
    await run.abandon();
    throw toEdgeError(error);
  } finally {
    deps.index.chunks.endSession(session);
  }
}

function beginCapture(
  root: string,
  { index, identity }: CaptureDeps,
): { session: number; before: SnapshotRow | undefined } {
  const before = index.log.latestSnapshot(identity.agentId, root);
  const claims = before === undefined ? [] : [before.id];
  return { before, session: index.chunks.beginSession(`capture of ${root}`, claims) };
}

function noShard(root: string): EdgeError {
  return new EdgeError('E_NOT_FOUND', `root ${root} has no shard: its settings were not recorded`, {
    hint: 'Run the command again; when it says so again, report it.',
    context: { root },
  });
}

function forgetFolders({ deps, input, forgotten, droppedRows }: CaptureRun): void {
  const { folders } = deps.index;
  for (const path of forgotten) forgetRows(folders, input.root.name, path, { partsInRow, foldersInRow });
  if (droppedRows.length > 0) folders.delete(input.root.name, droppedRows);
}

/** Below the floor capture stops before it begins, so that what frees space has room to work (P7). */
async function requireSpace({ chunks, dataDir }: CaptureDeps): Promise<void> {
  const { belowFloor, freeBytes } = await chunks.freeSpace();
  if (!belowFloor) return;
  const floor = formatBytes(FREE_SPACE_FLOOR_BYTES);
  throw new EdgeError(
    'E_NO_SPACE',
    `only ${formatBytes(freeBytes)} are free at ${dataDir.packDir}; below ${floor} nothing new is stored`,
    {
      hint: 'Free some space there and run the command again; nothing that was acknowledged is lost.',
      context: { free_bytes: freeBytes, floor_bytes: FREE_SPACE_FLOOR_BYTES },
    },
  );
}

function guard({ input, before, tally, removed }: CaptureRun): void {
  if (before === undefined || before.body.unfinished === true) return;
  checkDeleteGuard({
    path: input.root.path,
    before: before.body.stats.files + before.body.stats.others,
    removed,
    now: tally.scanned.files + tally.scanned.others,
    maxDelete: input.maxDelete,
    acceptEmpty: input.acceptEmpty === true,
  });
}
