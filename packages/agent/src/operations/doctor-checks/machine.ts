/** What the machine gives: runtime, open files, watches, the clock. */
import { readFile, stat } from 'node:fs/promises';
import { type Clock, type DataDir, errnoOf, formatDuration, formatTimeNs, toEdgeError } from '@edgestore/engine';
import type { DoctorCheck } from './check.ts';

const OPEN_FILES_MIN = 1024;
export const WATCHES_MIN = 65_536;
/** Nobody's machine lives before this program was written. */
const PROGRAM_YEAR_NS = BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n;
/** As in P8: a jump of more than a day stops what rests on ages. */
const CLOCK_JUMP_MS = 24 * 3_600_000;

export async function checkMachine(): Promise<DoctorCheck[]> {
  return [checkRuntime(), await checkOpenFiles(), await checkWatches()];
}

function checkRuntime(): DoctorCheck {
  return {
    what: 'runtime',
    result: 'ok',
    message: `Node.js ${process.versions.node} on ${process.platform} ${process.arch}`,
  };
}

async function checkOpenFiles(): Promise<DoctorCheck> {
  const text = await readIfThere('/proc/self/limits');
  const limit = Number(/^Max open files\s+(\d+)/m.exec(text ?? '')?.[1] ?? Number.NaN);
  if (Number.isNaN(limit)) return { what: 'open files', result: 'ok', message: 'not limited, as far as can be seen' };
  if (limit >= OPEN_FILES_MIN) return { what: 'open files', result: 'ok', message: `up to ${limit}` };
  return {
    what: 'open files',
    result: 'warning',
    message: `only ${limit}`,
    hint: `Raise it: ulimit -n ${OPEN_FILES_MIN}`,
  };
}

async function checkWatches(): Promise<DoctorCheck> {
  const limit = await watchLimit();
  if (limit === undefined || limit >= WATCHES_MIN)
    return {
      what: 'watches',
      result: 'ok',
      message: limit === undefined ? 'not limited, as far as can be seen' : `up to ${limit} folders`,
    };
  return {
    what: 'watches',
    result: 'warning',
    message: `only ${limit} folders can be watched; one watch a folder is needed`,
    hint: `Raise it: sysctl fs.inotify.max_user_watches=${WATCHES_MIN * 8}. Without it, changes are found by the rescan.`,
  };
}

/** How many folders the processes of one user can watch; undefined where the system does not say. */
export async function watchLimit(): Promise<number | undefined> {
  const limit = Number((await readIfThere('/proc/sys/fs/inotify/max_user_watches')) ?? Number.NaN);
  return Number.isNaN(limit) ? undefined : limit;
}

/** The clock beside what this machine wrote before: a file of the data dir that is from the future shows a clock that was put back. */
export async function checkClock(dir: DataDir, clock: Clock): Promise<DoctorCheck> {
  const what = 'clock';
  const nowNs = clock.nowNs();
  const hint =
    'Put the clock right (NTP). Ages decide what is cold; a bucket refuses requests that are a quarter of an hour off.';
  if (nowNs < PROGRAM_YEAR_NS)
    return { what, result: 'problem', message: `it says ${formatTimeNs(nowNs)}, which cannot be`, hint };
  const newest = Math.max(...(await Promise.all([dir.vaultFile, dir.indexFile, dir.identityFile].map(writtenMs))));
  const aheadMs = newest - Number(nowNs / 1_000_000n);
  if (aheadMs > CLOCK_JUMP_MS)
    return {
      what,
      result: 'problem',
      message: `it says ${formatTimeNs(nowNs)}, but the data dir was written ${formatDuration(aheadMs / 1000)} later than that`,
      hint,
    };
  return { what, result: 'ok', message: formatTimeNs(nowNs) };
}

async function writtenMs(file: string): Promise<number> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return 0;
    throw toEdgeError(error, `looking at ${file}`);
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EACCES') return undefined;
    throw toEdgeError(error, `reading ${file}`);
  }
}
