/** Keeps every worker of the pool busy with a few pieces of work at a time, and never gives it more. */

/** Pieces that a worker has at a time: one that it works on, one that waits, one whose answer is on its way. */
const IN_FLIGHT_PER_WORKER = 3;

export class WorkerLanes {
  readonly #load: number[];
  readonly #limit: number;
  #waiting: (() => void)[] = [];
  #idleWaiting: (() => void)[] = [];
  #busy = 0;

  constructor(workers: number, limit = IN_FLIGHT_PER_WORKER) {
    this.#load = Array.from({ length: workers }, () => 0);
    this.#limit = limit;
  }

  get isBusy(): boolean {
    return this.#busy > 0;
  }

  /** Resolves with a worker's number once one has room; `leave` gives the place back. */
  async enter(): Promise<number> {
    for (;;) {
      let best = 0;
      for (let i = 1; i < this.#load.length; i++) if (this.#load[i]! < this.#load[best]!) best = i;
      if (this.#load[best]! < this.#limit) {
        this.#load[best]!++;
        this.#busy++;
        return best;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  leave(worker: number): void {
    this.#load[worker]!--;
    this.#busy--;
    this.#waiting.shift()?.();
    if (this.#busy === 0) {
      const waiting = this.#idleWaiting;
      this.#idleWaiting = [];
      for (const resolve of waiting) resolve();
    }
  }

  /** Resolves when nothing is in flight. */
  async idle(): Promise<void> {
    while (this.#busy > 0) await new Promise<void>((resolve) => this.#idleWaiting.push(resolve));
  }
}
