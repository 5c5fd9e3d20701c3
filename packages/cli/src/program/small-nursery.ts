/** Keeps the memory of long work small, at no cost for commands that have little to do. */
import { setFlagsFromString } from 'node:v8';

/**
 * From so many MiB on the heap may grow no further than by so many percent of what is alive before it is collected. V8
 * itself lets it grow up to fourfold on a large machine. It costs up to a tenth of the processor time, and keeps large
 * runs below 400 MiB.
 */
const GROWTH_FROM_MIB = [
  { mib: 270, percent: 40 },
  { mib: 330, percent: 15 },
] as const;
const LOOK_MS = 250;

let isSmall = false;

/**
 * The engine's threads make much that dies at once. Left alone, each lets its nursery grow to 100 MiB on a large machine: a restore of 58,000 files
 * then takes 540 MiB instead of 330, and is no faster. Called once what the command needs is loaded, since loading collects the smallest nursery
 * twenty times over: a tenth of a short command's processor time. At the same point of every command: compiled code is stored with the flags that were
 * in force when it was loaded, and taken under no others.
 */
export function keepNurserySmall(): void {
  if (isSmall) return;
  isSmall = true;
  setFlagsFromString('--semi-space-growth-factor=1');
  const ahead = [...GROWTH_FROM_MIB];
  const look = setInterval(() => {
    const mib = residentMib();
    while (ahead[0] !== undefined && mib >= ahead[0].mib)
      setFlagsFromString(`--heap-growing-percent=${ahead.shift()!.percent}`);
    if (ahead.length === 0) clearInterval(look);
  }, LOOK_MS);
  look.unref();
}

/** A process without a descriptor left cannot ask. It goes on: memory is no reason to end. */
function residentMib(): number {
  try {
    return process.memoryUsage.rss() / 2 ** 20;
  } catch {
    return 0;
  }
}
