/** Ends a running edgestore with SIGKILL: at a named failpoint, or at a random moment after its first written byte. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, runEdgestore } from '../support/edgestore-process.ts';

/** When a run is killed. Neither: it runs to its end, and is watched to learn how long it writes and which failpoints it passes. */
export interface Kill {
  readonly failpoint?: { readonly name: string; readonly nth: number };
  /** Milliseconds after the first change in one of the watched folders. */
  readonly afterMs?: number;
}

export interface KilledRun extends Finished {
  readonly killed: boolean;
  /** From the first written byte to the end, in milliseconds; undefined when nothing was written. */
  readonly writingMs: number | undefined;
  /** How often each failpoint was passed; only of runs that were not to be killed. */
  readonly hits: ReadonlyMap<string, number>;
}

export interface RunAndKill {
  readonly args: readonly string[];
  /** Folders whose first change counts as the first written byte. */
  readonly folders: readonly string[];
  readonly kill: Kill;
  /** Called at the first written byte, for scenes in which something else happens to the process then. */
  readonly onFirstWrite?: (child: ChildProcess) => void;
}

export async function runAndKill({ args, folders, kill, onFirstWrite }: RunAndKill): Promise<KilledRun> {
  const log = new FailpointLog();
  let firstWrite: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess | undefined;
  const onChange = (): void => {
    if (firstWrite !== undefined) return;
    firstWrite = performance.now();
    if (child !== undefined) onFirstWrite?.(child);
    if (kill.afterMs !== undefined) timer = setTimeout(() => child?.kill('SIGKILL'), kill.afterMs);
  };
  const watchers = folders.map((folder) => watch(folder, onChange));
  try {
    const done = await runEdgestore(args, {
      env: failpointEnvironment(kill, log),
      onStart: (started) => {
        child = started;
      },
    });
    const writingMs = firstWrite === undefined ? undefined : performance.now() - firstWrite;
    return { ...done, killed: done.signal === 'SIGKILL', writingMs, hits: log.hits() };
  } finally {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
    log.remove();
  }
}

/** What arms a process: its failpoint, or the log of them when it is to run to its end. */
export function failpointEnvironment(kill: Kill, log: FailpointLog): Record<string, string> {
  if (kill.failpoint !== undefined) return { EDGESTORE_FAILPOINT: `${kill.failpoint.name}:${kill.failpoint.nth}` };
  return kill.afterMs === undefined ? { EDGESTORE_FAILPOINT_LOG: log.path } : {};
}

/** The file to which an armed process writes a line at each failpoint. */
export class FailpointLog {
  readonly #folder = mkdtempSync(join(tmpdir(), 'edgestore-failpoints-'));
  readonly path = join(this.#folder, 'hits');

  hits(): Map<string, number> {
    const hits = new Map<string, number>();
    if (!existsSync(this.path)) return hits;
    for (const name of readFileSync(this.path, 'utf8').trimEnd().split('\n')) hits.set(name, (hits.get(name) ?? 0) + 1);
    return hits;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
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
