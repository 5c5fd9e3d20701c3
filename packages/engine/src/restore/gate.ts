/** Bounds how much of a restore is under way at once, and stops all of it at the first error that ends it. */
import { isEdgeError } from '../core/errors.ts';
import { noSpaceError } from './marker.ts';

export interface Gate {
  /** Runs when a place is free. Rejects without running once the restore is to stop. `first`: before all that wait already. */
  run<Result>(act: () => Promise<Result>, options?: { readonly first?: boolean }): Promise<Result>;
}

/** What ends a whole restore: no space, an abort, a failure that is nobody's item. The first one wins. */
export interface StopSwitch {
  /** Throws when the restore is to stop. */
  check(): void;
  stop(error: unknown): void;
}

export function createStopSwitch(target: Uint8Array, signal: AbortSignal | undefined): StopSwitch {
  let stopped: { readonly error: unknown } | undefined;
  return {
    check() {
      signal?.throwIfAborted();
      if (stopped !== undefined) throw stopped.error;
    },
    stop(error) {
      stopped ??= { error: isEdgeError(error, 'E_NO_SPACE') ? noSpaceError(target, error) : error };
    },
  };
}

/** At most `places` at once; the others wait in line. */
export function createGate(places: number, stop: StopSwitch): Gate {
  let free = places;
  const line: (() => void)[] = [];
  return {
    async run(act, options) {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => (options?.first === true ? line.unshift(resolve) : line.push(resolve)));
      try {
        stop.check();
        return await act();
      } finally {
        const next = line.shift();
        if (next === undefined) free++;
        else next();
      }
    },
  };
}
