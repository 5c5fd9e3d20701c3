/** Peak memory of a process, as the kernel counts it (VmHWM), and whole commands with theirs. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { type Finished, finished, startEdgestore } from '../support/edgestore-process.ts';

export interface MeasuredRun {
  readonly seconds: number;
  readonly peakMib: number;
  readonly done: Finished;
}

/** How often a command's peak is read: what grows after the last look at it is missed. */
const LOOK_MS = 20;

/** The highest resident size since the process began, or since `resetPeak`; undefined when there is no such process. */
export function peakMibOf(pid: number): number | undefined {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return line === null ? undefined : Number(line[1]) / 1024;
  } catch {
    return undefined;
  }
}

/** From here on the peak is that of what comes. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Runs `edgestore ARGS…` to its end. */
export async function runMeasured(args: readonly string[], env: Record<string, string> = {}): Promise<MeasuredRun> {
  const start = performance.now();
  const child = startEdgestore(args, { env });
  child.stdin?.end();
  const peak = watchPeak(child);
  const done = await finished(child);
  return { seconds: (performance.now() - start) / 1000, peakMib: peak(), done };
}

function watchPeak(child: ChildProcess): () => number {
  let peak = 0;
  const look = (): void => {
    if (child.pid !== undefined) peak = Math.max(peak, peakMibOf(child.pid) ?? 0);
  };
  const timer = setInterval(look, LOOK_MS);
  return () => {
    clearInterval(timer);
    return peak;
  };
}
