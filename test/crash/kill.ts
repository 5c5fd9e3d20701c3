/** Ends a running edgestore with SIGKILL: at a named failpoint, or at a random moment after its first written byte. */
import { watch } from 'node:fs';
import { type Finished, runEdgestore } from '../support/edgestore-process.ts';

export interface KilledRun extends Finished {
  readonly killed: boolean;
  /** From the first written byte to the end, in milliseconds; undefined when nothing was written. */
  readonly writingMs: number | undefined;
}

/** Runs with a failpoint armed; `nth` is its how-manieth hit. */
export async function runToFailpoint(
  args: readonly string[],
  failpoint: string,
  nth: number,
  env: Record<string, string> = {},
): Promise<KilledRun> {
  const done = await runEdgestore(args, { env: { ...env, EDGESTORE_FAILPOINT: `${failpoint}:${nth}` } });
  return { ...done, killed: done.signal === 'SIGKILL', writingMs: undefined };
}

/** Runs and kills `afterMs` after the first change in one of the folders; undefined lets it run to its end and only measures. */
export async function runAndKill(
  args: readonly string[],
  folders: readonly string[],
  afterMs: number | undefined,
): Promise<KilledRun> {
  let firstWrite: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let kill: (() => void) | undefined;
  const onChange = (): void => {
    if (firstWrite !== undefined) return;
    firstWrite = performance.now();
    if (afterMs !== undefined) timer = setTimeout(() => kill?.(), afterMs);
  };
  const watchers = folders.map((folder) => watch(folder, onChange));
  try {
    const done = await runEdgestore(args, {
      onStart: (child) => {
        kill = () => child.kill('SIGKILL');
      },
    });
    const writingMs = firstWrite === undefined ? undefined : performance.now() - firstWrite;
    return { ...done, killed: done.signal === 'SIGKILL', writingMs };
  } finally {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  }
}

/** A seeded stream of numbers in [0, 1), printed by the caller so that a failed run can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
