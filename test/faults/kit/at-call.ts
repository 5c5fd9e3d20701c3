/**
 * Does something in the middle of a run of the real program: while it waits in the nth close of a file, which strace
 * delays.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { cleanEnvironment, EDGESTORE_BIN, type Finished, finished } from '../../support/edgestore-process.ts';

const DELAY_MS = 1_500;
const LOOK_EVERY_MS = 40;
/** An open file that is seen so often in a row is one that is delayed. */
const SEEN_MIN = 4;

export interface RunWithAct extends Finished {
  /** The program came to that close. */
  readonly acted: boolean;
}

/**
 * Runs `edgestore ARGS...`; `act` runs when it closes the file for the nth time. The program has one thread for its
 * file system calls.
 */
export async function runAndActAtClose(
  args: readonly string[],
  { file, nth }: { readonly file: string; readonly nth: number },
  act: () => void,
): Promise<RunWithAct> {
  const inject = `inject=close:delay_enter=${DELAY_MS * 1000}:when=${nth}`;
  const strace = ['-f', '-o', '/dev/null', '-e', 'trace=close', '-e', 'signal=none', '-P', file, '-e', inject];
  const child = spawn('strace', [...strace, process.execPath, EDGESTORE_BIN, ...args], {
    env: cleanEnvironment({ UV_THREADPOOL_SIZE: '1' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let isOver = false;
  let acted = false;
  const watching = (async () => {
    for (let seen = 0; !isOver && !acted; await pause(LOOK_EVERY_MS)) {
      seen = isOpen(file) ? seen + 1 : 0;
      if (seen < SEEN_MIN) continue;
      act();
      acted = true;
    }
  })();
  const done = await finished(child);
  isOver = true;
  await watching;
  return { ...done, acted };
}

/** By any process of this machine: the tests that use it have folders of their own. */
function isOpen(file: string): boolean {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) if (readlinkSync(`/proc/${pid}/fd/${fd}`) === file) return true;
    } catch {
      // It ended meanwhile.
    }
  }
  return false;
}
