/** The roots: whether they are there, can be read, and have no more folders than can be watched. */
import { constants, type Dirent } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { errnoOf, toEdgeError, unescapeName } from '@edgestore/engine';
import type { RootConfig } from '../../config/config.ts';
import { watchablePath } from '../../watch/root-watcher.ts';
import type { DoctorCheck } from './check.ts';
import { WATCHES_MIN, watchLimit } from './machine.ts';

/** Counting folders of a huge root is not worth more than this. */
const COUNT_MS_MAX = 5000;

export async function checkRoots(roots: readonly RootConfig[], signal: AbortSignal): Promise<DoctorCheck[]> {
  const checks: DoctorCheck[] = [];
  for (const root of roots) checks.push(await checkRoot(root));
  const watched = roots.filter((root, i) => root.watch && checks[i]!.result === 'ok');
  const limit = await watchLimit();
  if (watched.length === 0 || limit === undefined) return checks;
  const folders = await countFolders(
    watched.map((root) => Buffer.from(unescapeName(root.path))),
    limit,
    AbortSignal.any([signal, AbortSignal.timeout(COUNT_MS_MAX)]),
  );
  signal.throwIfAborted();
  if (folders > limit)
    checks.push({
      what: 'watches',
      result: 'problem',
      message: `the watched roots have more than ${limit} folders, and no more can be watched: changes beyond are found by the rescan only`,
      hint: `Raise it: sysctl fs.inotify.max_user_watches=${Math.max(WATCHES_MIN * 8, limit * 4)}`,
    });
  return checks;
}

async function checkRoot({ name, path, watch }: RootConfig): Promise<DoctorCheck> {
  const what = `root ${name}`;
  try {
    await access(Buffer.from(unescapeName(path)), constants.R_OK);
    if (watch && watchablePath(path) === undefined)
      return {
        what,
        result: 'warning',
        message: `${path} cannot be watched, since its name is not UTF-8 or has a backslash: an agent finds changes there by its rescan only`,
        hint: 'Set a shorter rescan for it in the configuration, or rename the folder.',
      };
    return { what, result: 'ok', message: path };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT')
      return {
        what,
        result: 'problem',
        message: `${path} is not there`,
        hint: `Is its disk mounted? What is gone for good: edgestore root remove ${name}`,
      };
    if (errno === 'EACCES' || errno === 'EPERM')
      return {
        what,
        result: 'problem',
        message: `${path} cannot be read by uid ${process.getuid?.()}`,
        hint: 'Run the agent as a user that may read it.',
      };
    return { what, result: 'problem', message: toEdgeError(error, path).message };
  }
}

/** Stops counting above the limit. What cannot be read is no folder that could be watched. */
async function countFolders(roots: readonly Buffer[], limit: number, signal: AbortSignal): Promise<number> {
  const waiting = [...roots];
  let count = 0;
  for (let folder = waiting.pop(); folder !== undefined && count <= limit && !signal.aborted; folder = waiting.pop()) {
    let entries: Dirent<Buffer>[];
    try {
      entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      continue;
    }
    count++;
    for (const entry of entries)
      if (entry.isDirectory()) waiting.push(Buffer.concat([folder, Buffer.from('/'), entry.name]));
  }
  return count;
}
