/** What is killed, and what must hold afterwards. One scene is one command on state that lives on from run to run, as on a real machine. */
import type { Kill, KilledRun } from './kill.ts';

export interface Scene {
  /** Gives the next run something to do. Nothing here is killed. */
  arrange(): Promise<void>;
  /** Runs the command, killed as told. */
  run(kill: Kill): Promise<KilledRun>;
  /** Right after the run, killed or not: the next command works, and what was acknowledged before is there. Throws what is not so. */
  check(run: KilledRun): Promise<void>;
  /** At the end of all runs: everything that was ever acknowledged. */
  finish(): Promise<void>;
  /** Takes everything away, whatever became of it. */
  remove(): void;
}
