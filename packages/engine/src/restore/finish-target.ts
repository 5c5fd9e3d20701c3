/** The last steps of a restore into a fresh target: what was built under other names goes to its place, and the marker goes. */
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { FinishFolder } from '../pipeline/tasks/extract-finish-folders.ts';
import { escapeName } from '../policy/escape-name.ts';
import { metaOf } from './finish-window.ts';
import { type Marker, writeMarker } from './marker.ts';
import type { RestoreRun } from './restore-run.ts';
import { join, markerIn, splitTarget } from './target-rules.ts';

/** Makes the place where entries are created, and the marker, before anything else. */
export async function beginTarget(run: RestoreRun): Promise<void> {
  const { target, input } = run.plan;
  const marker: Marker = { restore: 1, snapshot: input.snapshot, step: 'writing' };
  try {
    if (target.kind === 'in-place') {
      await mkdir(Buffer.from(target.target), { recursive: true });
      await writeMarker(target.partial, marker);
    } else {
      await mkdir(Buffer.from(splitTarget(target.partial).parent), { recursive: true });
      await makeIfAbsent(target.partial);
      await writeMarker(markerIn(target.partial), marker);
      await makeIfAbsent(target.tree);
    }
    await syncFolder(splitTarget(target.partial).parent);
  } catch (error) {
    throw toEdgeError(error, `target ${escapeName(target.target)}`);
  }
  failpoint('restore.target-begun');
}

/** Moves what was built to its place. A stop at any moment in here is taken up by the next run, which finds the marker. */
export async function finishTarget(run: RestoreRun): Promise<void> {
  const { target, input } = run.plan;
  await closeWorkers(run, true);
  failpoint('restore.content-synced');
  if (target.kind === 'in-place') {
    await finishTop(run);
    await rm(Buffer.from(target.partial), { force: true });
    await syncFolder(target.target);
    return;
  }
  await writeMarker(markerIn(target.partial), {
    restore: 1,
    snapshot: input.snapshot,
    step: 'renaming',
    failures: run.failures.listed.map(({ path, code, message }) => ({
      path: Buffer.from(path).toString('base64'),
      code,
      message,
    })),
  });
  failpoint('restore.marked-renaming');
  await moveIntoPlace(run);
  failpoint('restore.renamed');
  await finishTop(run);
  await syncFolder(target.target);
  await syncFolder(splitTarget(target.target).parent);
  // The marker goes last of all in the partial folder: without it, what is left there would be nobody's.
  await rmdirIfThere(target.tree);
  await rm(Buffer.from(markerIn(target.partial)), { force: true });
  await rmdirIfThere(target.partial);
  failpoint('restore.marker-removed');
}

/** Lets go of open folders in all workers; one of them writes the file system out. */
export async function closeWorkers(run: RestoreRun, sync: boolean): Promise<void> {
  const workers = Array.from({ length: run.pool.size }, (_, worker) => worker);
  await Promise.all(
    workers.map((worker) => run.pool.run('extractClose', { root: run.root, sync: sync && worker === 0 }, { worker })),
  );
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
    // An earlier run moved it already.
    if (errno === 'ENOENT' && run.plan.target.resume) return;
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

/** Metadata of the top folder, and of the folders that were moved by themselves. */
async function finishTop(run: RestoreRun): Promise<void> {
  const { plan } = run;
  const folders: FinishFolder[] = [];
  if (plan.target.kind === 'inside' && plan.single === undefined) {
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
  for (const failure of output.failures) {
    // A folder that only might have held something selected was perhaps not made.
    if (filter !== undefined && failure.message.includes('ENOENT')) continue;
    run.failures.add(made[failure.index]!.path, failure, false);
  }
  run.counts.ownersKept += output.ownersKept;
  await run.pool.run('extractClose', { root, sync: false }, { worker: 0 });
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

async function syncFolder(path: Uint8Array): Promise<void> {
  const folder = await open(Buffer.from(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
