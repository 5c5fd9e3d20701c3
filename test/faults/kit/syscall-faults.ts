/**
 * System calls of the real program that fail, through strace: the kernel answers as a broken disk does. A count is kept for each thread, so the
 * program runs with a single thread for its file system calls.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanEnvironment, EDGESTORE_BIN, type Finished, finished } from '../../support/edgestore-process.ts';

/** Calls by which the program and SQLite read, write and sync. */
export const READS = 'read,pread64,readv,preadv,preadv2';
export const WRITES = 'write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate';
export const SYNCS = 'fsync,fdatasync';

export interface SyscallFault {
  /** Names of system calls, with commas. */
  readonly calls: string;
  /** EIO, ENOSPC, EDQUOT, EROFS, ... */
  readonly error?: string;
  /** The call is not made and gives this number: a short read or write. */
  readonly returns?: number;
  /** Which of the calls: `2`, `1+` (each), `3+2` (the third and every second after it). Default: each. */
  readonly when?: string;
  /** Only calls on these files (whole paths). Default: all files, the runtime's own too. */
  readonly files?: readonly string[];
}

export interface FaultyRun extends Finished {
  /** Calls that were answered by the fault. */
  readonly injected: number;
}

/** Runs `edgestore ARGS...` to its end with the faults. strace takes one list of files for all of them. */
export async function runWithSyscallFaults(
  args: readonly string[],
  faults: readonly SyscallFault[],
  env: Readonly<Record<string, string>> = {},
): Promise<FaultyRun> {
  const scratch = mkdtempSync(join(tmpdir(), 'edgestore-fault-'));
  const trace = join(scratch, 'trace');
  const child = spawn('strace', [...straceOptions(faults, trace), process.execPath, EDGESTORE_BIN, ...args], {
    env: cleanEnvironment({ UV_THREADPOOL_SIZE: '1', ...env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // At its very end Node syncs its own stdout and stderr, and hangs for ever when that is answered with an error which
  // a pipe never gives.
  const ended = setInterval(() => killHangingRuntime(trace), LOOK_EVERY_MS);
  try {
    const done = await finished(child);
    const injected = injectedIn(trace).filter((line) => !OF_STDIO.test(line));
    return { ...done, injected: injected.length };
  } finally {
    clearInterval(ended);
    rmSync(scratch, { recursive: true, force: true });
  }
}

const LOOK_EVERY_MS = 250;
/** A sync of descriptor 1 or 2, by the runtime. */
const OF_STDIO = /^\d+ +(fsync|fdatasync)\([12]\)/;

function injectedIn(trace: string): string[] {
  const text = existsSync(trace) ? readFileSync(trace, 'latin1') : '';
  return text.split('\n').filter((line) => line.includes('(INJECTED)'));
}

function killHangingRuntime(trace: string): void {
  const hanging = injectedIn(trace).find((line) => OF_STDIO.test(line));
  const pid = Number(hanging?.split(' ')[0]);
  if (pid > 0 && existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
}

function straceOptions(faults: readonly SyscallFault[], trace: string): string[] {
  const calls = faults.map(({ calls }) => calls).join(',');
  const files = new Set(faults.flatMap(({ files = [] }) => files));
  return [
    ...['-f', '-s', '0', '-o', trace, '-e', `trace=${calls}`, '-e', 'signal=none'],
    ...[...files].flatMap((file) => ['-P', file]),
    ...faults.flatMap((fault) => ['-e', `inject=${fault.calls}:${answerOf(fault)}:when=${fault.when ?? '1+'}`]),
  ];
}

function answerOf({ error, returns }: SyscallFault): string {
  if ((error === undefined) === (returns === undefined)) throw new Error('a fault has an error or a returned number');
  return error === undefined ? `retval=${returns}` : `error=${error}`;
}
