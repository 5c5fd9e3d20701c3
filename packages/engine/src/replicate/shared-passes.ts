/** One pass at a time for each target, shared by all who wait for it. It is aborted when nobody waits any more. */
import { EdgeError, toEdgeError } from '../core/errors.ts';
import type { TargetId } from '../core/ports/index.ts';
import type { ReplicateReport } from './replicate-deps.ts';

/** How a pass ended. Passes are numbered as they begin. */
export type PassOutcome =
  | { readonly number: number; readonly report: ReplicateReport; readonly error?: undefined }
  | { readonly number: number; readonly report?: undefined; readonly error: EdgeError };

export interface SharedPasses {
  /** Rejects only when the own signal is aborted. */
  run(
    target: TargetId,
    pass: (signal: AbortSignal) => Promise<ReplicateReport>,
    signal?: AbortSignal,
  ): Promise<PassOutcome>;
  isRunning(target: TargetId): boolean;
  /** Passes that begin from now on have a higher number. */
  lastNumber(): number;
}

interface Running {
  readonly outcome: Promise<PassOutcome>;
  readonly controller: AbortController;
  waiting: number;
}

export function createSharedPasses(): SharedPasses {
  const running = new Map<TargetId, Running>();
  let last = 0;

  function begin(target: TargetId, pass: (signal: AbortSignal) => Promise<ReplicateReport>): Running {
    const controller = new AbortController();
    const number = ++last;
    const outcome = pass(controller.signal)
      .then(
        (report): PassOutcome => ({ number, report }),
        (error: unknown): PassOutcome => ({ number, error: toEdgeError(error) }),
      )
      .finally(() => running.delete(target));
    const entry = { outcome, controller, waiting: 0 };
    running.set(target, entry);
    return entry;
  }

  return {
    lastNumber: () => last,
    isRunning: (target) => running.has(target),
    run: (target, pass, signal) => {
      const entry = running.get(target) ?? begin(target, pass);
      entry.waiting++;
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          entry.waiting--;
          if (entry.waiting === 0)
            entry.controller.abort(new EdgeError('E_INTERRUPTED', 'nobody waits for it any more'));
          // The pass ends in good order first, so that nothing of it goes on beside what comes next.
          void entry.outcome.then(() => reject(signal?.reason));
        };
        if (signal?.aborted === true) return leave();
        signal?.addEventListener('abort', leave, { once: true });
        void entry.outcome.then((outcome) => {
          signal?.removeEventListener('abort', leave);
          if (signal?.aborted !== true) resolve(outcome);
        });
      });
    },
  };
}
