/** How many files the process may have open. */
import { readFileSync } from 'node:fs';

/** The soft limit of open files (`ulimit -n`); undefined where the kernel does not say, or sets none. */
export function descriptorLimit(): number | undefined {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return line === null ? undefined : Number(line[1]);
  } catch {
    // No /proc, or no descriptor left even for this: the caller has a default for not knowing.
    return undefined;
  }
}
