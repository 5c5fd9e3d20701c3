/** Registers the tests of the fault table. A test of the open list is skipped, and the summary of the run says why. */
import { test } from 'vitest';
import { type Tool, whyNo } from './kit/tools.ts';
import { OPEN } from './open.ts';

export interface FaultTestOptions {
  /** What injects the fault; the test is skipped, aloud, where one of them is not there. */
  readonly needs?: readonly Tool[];
  readonly timeout?: number;
  /** Takes longer than a normal run may: EDGESTORE_FAULT_LONG=1 runs it, else it is skipped, aloud. */
  readonly long?: boolean;
}

const runsLongTests = process.env.EDGESTORE_FAULT_LONG === '1';
const runsOpenTests = process.env.EDGESTORE_FAULT_OPEN === '1';

export function faultTest(name: string, run: () => Promise<void>, options: FaultTestOptions = {}): void {
  const { needs = [], timeout = 300_000, long = false } = options;
  const open = OPEN[name];
  test(name, { timeout }, async (context) => {
    if (open !== undefined && !runsOpenTests) context.skip(`open: ${open.area}: ${open.today}`);
    if (long && !runsLongTests) context.skip('takes long: EDGESTORE_FAULT_LONG=1 runs it');
    for (const tool of needs) {
      const why = whyNo(tool);
      // A container may forbid mounts; nothing that is installed changes that.
      if (why !== undefined && process.env.EDGESTORE_TEST_INSTALL === '1' && tool !== 'loop disk') throw new Error(why);
      if (why !== undefined) context.skip(why);
    }
    await run();
  });
}
