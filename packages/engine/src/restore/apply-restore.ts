/** Carries a restore plan out. See docs/decisions for why files are written under final names in a folder of their own. */

import { contentBytes } from '../browse/tree-reader.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { beginTarget, closeWorkers, finishTarget } from './finish-target.ts';
import { type FirstNames, finishWindow } from './finish-window.ts';
import { readerFor } from './plan-restore.ts';
import { type PreparedWindow, prepareWindow } from './prepare-window.ts';
import { createRun, type RestoreRun } from './restore-run.ts';
import type { RestoreDeps, RestorePlan, RestoreReport } from './restore-types.ts';
import { cutWindows, type RestoreWindow, SMALL_FILE_BYTES_MAX, type WindowItem, windowOfOne } from './windows.ts';
import { writeLargeFile } from './write-large-file.ts';
import { writeSmallFiles } from './write-small-files.ts';

/** Windows under way: one is written, the next waits with its chunks looked up, and a third is read and gets its folders. */
const WINDOWS_MAX = 3;
/** Large files at once: their pieces already keep all workers busy. */
const LARGE_FILES_AT_ONCE = 2;

/**
 * Restores what can be restored and reports the rest. Throws only what ends the whole: E_NO_SPACE (resumable), an abort (resumable), a target that
 * cannot be made. In each of those the marker stays, and the same restore goes on from there.
 */
export async function applyRestore(plan: RestorePlan, deps: RestoreDeps): Promise<RestoreReport> {
  const began = deps.monotonicMs();
  const run = createRun(plan, readerFor(plan.input, deps), deps);
  const { target } = plan;
  warnAboutDelete(run);
  try {
    await beginTarget(run);
    await writeContent(run);
    run.stop.check();
    await finishTarget(run);
  } catch (error) {
    run.stop.stop(error);
    await run.earlySync.end().catch(() => {});
    await closeWorkers(run, false);
    throw stopReason(run);
  }
  warnAboutOwners(run);
  const { counts, failures } = run;
  return {
    snapshot: plan.input.snapshot,
    root: plan.input.body.root,
    target: target.target,
    files: { restored: counts.restored, skipped: counts.skipped, failed: failures.failedFiles },
    bytes: { written: counts.written, from: { ...counts.from } },
    failures: failures.listed,
    failuresOmitted: failures.omitted,
    removed: counts.removed,
    durationS: (deps.monotonicMs() - began) / 1000,
  };
}

function stopReason(run: RestoreRun): EdgeError {
  try {
    run.stop.check();
  } catch (error) {
    return toEdgeError(error, isEdgeError(error) ? undefined : 'the restore');
  }
  return new EdgeError('E_FAILED', 'the restore ended without saying why');
}

/** Windows are prepared one after the other, written a few at a time, and finished in order. */
async function writeContent(run: RestoreRun): Promise<void> {
  const firstNames: FirstNames = new Map();
  const underWay: Promise<void>[] = [];
  let last: Promise<void> = Promise.resolve();
  try {
    for await (const window of windowsOf(run)) {
      run.stop.check();
      const prepared = await prepareWindow(run, window);
      failpoint('restore.window-prepared');
      last = writeWindow(run, window, prepared, firstNames, last);
      // Waited for below; a failure in between must not count as unhandled.
      last.catch((error: unknown) => run.stop.stop(error));
      underWay.push(last);
      if (underWay.length >= WINDOWS_MAX) await underWay.shift();
    }
    await Promise.all(underWay);
  } catch (error) {
    run.stop.stop(error);
    // Nothing may still write when the caller hears of it.
    await Promise.allSettled(underWay);
    throw error;
  }
}

function windowsOf(run: RestoreRun): AsyncIterable<RestoreWindow> | readonly RestoreWindow[] {
  const { plan, reader, signal, removeExtras } = run;
  if (plan.single !== undefined) return [windowOfOne(plan.single)];
  return cutWindows(reader, plan.top, { filter: plan.filter, withNames: removeExtras, signal });
}

async function writeWindow(
  run: RestoreRun,
  window: RestoreWindow,
  prepared: PreparedWindow,
  firstNames: FirstNames,
  before: Promise<void>,
): Promise<void> {
  const settled = await Promise.allSettled([
    writeSmallFiles(run, prepared.smallFiles),
    writeLargeFiles(run, prepared.largeFiles),
    before,
  ]);
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  failpoint('restore.window-written');
  await finishWindow(run, window, prepared, firstNames, async (items) => {
    const isLarge = (item: WindowItem) =>
      item.entry.content?.form === 'lists' || contentBytes(item.entry) > SMALL_FILE_BYTES_MAX;
    await writeSmallFiles(
      run,
      items.filter((item) => !isLarge(item)),
    );
    await writeLargeFiles(
      run,
      items.filter(isLarge).map((item) => ({ item, looksDone: false })),
    );
  });
  failpoint('restore.window-finished');
}

async function writeLargeFiles(run: RestoreRun, files: PreparedWindow['largeFiles']): Promise<void> {
  const line = files[Symbol.iterator]();
  const lanes = Array.from({ length: LARGE_FILES_AT_ONCE }, async () => {
    for (const { item, looksDone } of line) await writeLargeFile(run, item, looksDone);
  });
  const settled = await Promise.allSettled(lanes);
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
}

function warnAboutOwners(run: RestoreRun): void {
  if (run.counts.ownersKept === 0) return;
  run.warn({
    code: 'W_OWNER',
    message: `${run.counts.ownersKept} items could not be given their owner, and no setuid or setgid bits: only root may do that. Their content is restored.`,
  });
}

function warnAboutDelete(run: RestoreRun): void {
  const { body, inPlace } = run.plan.input;
  if (inPlace?.delete !== true || body.failed === 0) return;
  run.warn({
    code: 'W_DELETE',
    message: `nothing is deleted in the target: ${body.failed} items could not be read when the snapshot was made, and would look like extras`,
  });
}
