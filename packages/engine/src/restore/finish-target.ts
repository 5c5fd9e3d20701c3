/** The last steps of a restore into a fresh target: what was built under other names goes to its place, and the marker goes. */
import { chmod, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { makeFolders } from '../files/make-folders.ts';
import type { FinishFolder } from '../pipeline/tasks/extract-finish-folders.ts';
import { escapeName } from '../policy/escape-name.ts';
import { metaOf } from './finish-window.ts';
import { type Marker, readMarker, writeMarker } from './marker.ts';
import type { RestoreRun } from './restore-run.ts';
import { syncFolder } from './sync-folder.ts';
import { besideOf, join, markerIn, splitTarget } from './target-rules.ts';

/** Makes the place where entries are created, and the marker, before anything else. */
export async function beginTarget(run: RestoreRun): Promise<void> {
  const { target, input } = run.plan;
  const marker: Marker = { restore: 1, snapshot: input.snapshot, step: 'writing' };
  try {
    if (target.kind === 'in-place') {
      await makeFolders(target.target);
      await writeMarker(target.partial, marker);
    } else {
      await makeFolders(splitTarget(target.partial).parent);
      await makeIfAbsent(target.partial);
      if (target.resume) await takeBack(run);
      await writeMarker(markerIn(target.partial), marker);
      await makeIfAbsent(target.tree);
    }
    await syncFolder(splitTarget(target.partial).parent);
  } catch (error) {
    throw toEdgeError(error, `target ${escapeName(target.target)}`);
  }
  failpoint('restore.target-begun');
}

/**
 * An earlier run was stopped while it moved things to their place. They go back into the partial folder and are verified there like all else:
 * after a power loss, what was written may not be what is on the disk.
 */
async function takeBack(run: RestoreRun): Promise<void> {
  const { target } = run.plan;
  if ((await readMarker(markerIn(target.partial)))?.step !== 'renaming') return;
  if (target.kind === 'sibling') {
    await moveBack(target.target, target.tree);
    return;
  }
  await makeIfAbsent(target.tree);
  const own = splitTarget(target.partial).name;
  for (const name of await readdir(Buffer.from(target.target), { encoding: 'buffer' })) {
    if (!name.equals(own)) await moveBack(join(target.target, name), join(target.tree, name));
  }
}

async function moveBack(from: Uint8Array, to: Uint8Array): Promise<void> {
  try {
    await rename(Buffer.from(from), Buffer.from(to));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return;
    if (errno !== 'EACCES') throw error;
    // A folder that its owner may not write to cannot be moved by its owner either; its metadata is put on it again in the end.
    await chmod(Buffer.from(from), 0o700);
    await rename(Buffer.from(from), Buffer.from(to));
  }
}

/** Moves what was built to its place. A stop at any moment in here is taken up by the next run, which finds the marker. */
export async function finishTarget(run: RestoreRun): Promise<void> {
  const { target, input } = run.plan;
  await run.earlySync.end();
  // Content before the marker goes: without it nothing would say that this restore is to be done again.
  await closeWorkers(run, true);
  failpoint('restore.content-synced');
  if (target.kind === 'in-place') {
    await finishTop(run, false);
    await closeWorkers(run, true);
    await rm(Buffer.from(target.partial), { force: true });
    await finishTop(run, true);
    await syncFolder(target.target);
    return;
  }
  await writeMarker(markerIn(target.partial), { restore: 1, snapshot: input.snapshot, step: 'renaming' });
  failpoint('restore.marked-renaming');
  await moveIntoPlace(run);
  failpoint('restore.renamed');
  await finishTop(run, false);
  await syncMoved(run);
  // The marker goes last of all in the partial folder: without it, what is left there would be nobody's.
  await rmdirIfThere(target.tree);
  let partial = target.partial;
  if (target.kind === 'inside') {
    // In one step, and with its marker: stopped here, the next run finds it beside the target as after a rename, and ends what is left.
    partial = await moveOut(target.partial, besideOf(target.target, target.id));
    // Taking the partial folder away has touched the time of the folder that it was in.
    if (partial !== target.partial) await finishTop(run, true);
  }
  failpoint('restore.moved-out');
  await rm(Buffer.from(markerIn(partial)), { force: true });
  await rmdirIfThere(partial);
  if (target.kind === 'inside' && partial === target.partial) await finishTop(run, true);
  failpoint('restore.marker-removed');
}

/** The new place; the old one where the target is a mount point or its folder may not be written to. */
async function moveOut(from: Uint8Array, to: Uint8Array): Promise<Uint8Array> {
  try {
    await rename(Buffer.from(from), Buffer.from(to));
    return to;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EXDEV' || errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS' || errno === 'EBUSY')
      return from;
    throw toEdgeError(error, `moving ${escapeName(from)} away`);
  }
}

/** Lets go of open folders in all workers; with `sync` the file systems that were written to are on stable storage then. */
export async function closeWorkers(run: RestoreRun, sync: boolean): Promise<void> {
  const workers = Array.from({ length: run.pool.size }, (_, worker) => worker);
  await Promise.all(
    workers.map((worker) => {
      const which = !sync ? 'nothing' : worker === 0 ? 'all' : 'mounted';
      return run.pool.run('extractClose', { root: run.root, sync: which }, { worker });
    }),
  );
}

/** Names and metadata at the final place; little is left to be written by now. */
async function syncMoved(run: RestoreRun): Promise<void> {
  const { target } = run.plan;
  const root = target.target;
  await run.pool.run('extractClose', { root, sync: 'all' }, { worker: 0 });
  await syncFolder(splitTarget(root).parent);
}

async function moveIntoPlace(run: RestoreRun): Promise<void> {
  const { target } = run.plan;
  try {
    if (target.kind === 'sibling') {
      await rename(Buffer.from(target.tree), Buffer.from(target.target));
      return;
    }
    for (const name of await readdir(Buffer.from(target.tree), { encoding: 'buffer' })) {
      await rename(join(target.tree, name), join(target.target, name));
      failpoint('restore.entry-renamed');
    }
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOTEMPTY' || errno === 'EEXIST' || errno === 'ENOTDIR') {
      throw new EdgeError(
        'E_TARGET_NOT_EMPTY',
        `something appeared at the target meanwhile: ${escapeName(target.target)}`,
        {
          hint: `All is restored in ${escapeName(target.tree)}: move the other thing away and run the same command again.`,
          cause: error,
        },
      );
    }
    throw toEdgeError(error, `target ${escapeName(target.target)}`);
  }
}

/** Metadata of the top folder, and (unless it is only set once more) of the folders that were moved by themselves. */
async function finishTop(run: RestoreRun, again: boolean): Promise<void> {
  const { plan } = run;
  const folders: FinishFolder[] = [];
  if (!again && plan.target.kind === 'inside' && plan.single === undefined) {
    for (const page of plan.top.pages ?? []) {
      const [entries] = await run.reader.pages([page]);
      if (!Array.isArray(entries)) continue; // Said when the tree was walked.
      for (const entry of entries) if (entry.type === 'dir') folders.push({ path: entry.name, meta: metaOf(entry) });
    }
  }
  if (plan.topHasMeta) folders.push({ path: new Uint8Array(0), meta: metaOf(plan.top) });
  const { filter } = plan;
  const made = folders.filter(({ path }) => path.length === 0 || filter === undefined || filter(path, true) !== 'skip');
  const root = plan.target.target;
  const output = await run.pool.run('extractFinishFolders', { root, folders: made }, { worker: 0 });
  for (const failure of again ? [] : output.failures) {
    // A folder that only might have held something selected was perhaps not made.
    if (filter !== undefined && failure.message.includes('ENOENT')) continue;
    run.failures.add(made[failure.index]!.path, failure, false);
  }
  if (!again) run.counts.ownersKept += output.ownersKept;
  await run.pool.run('extractClose', { root, sync: 'nothing' }, { worker: 0 });
}

async function makeIfAbsent(path: Uint8Array): Promise<void> {
  try {
    await mkdir(Buffer.from(path), { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

async function rmdirIfThere(path: Uint8Array): Promise<void> {
  try {
    await rmdir(Buffer.from(path));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw toEdgeError(error, escapeName(path));
  }
}
