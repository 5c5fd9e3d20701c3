/** What the tests of restores share: a folder of their own, workers, a tree fixture, and a restore in one call. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { createWorkerPool } from '../pipeline/worker-pool.ts';
import { applyRestore } from '../restore/apply-restore.ts';
import { planRestore } from '../restore/plan-restore.ts';
import type { RestoreDeps, RestoreInput, RestoreReport } from '../restore/restore-types.ts';
import type { Entry } from '../tree/entry.ts';
import { createTreeFixture, type TreeFixture } from './tree-fixture.ts';

export interface RestoreSetup {
  fixture(): TreeFixture;
  pool(): WorkerPool<PipelineTasks>;
  /** A path in this test's own folder. */
  place(name: string): string;
  deps(sources: readonly SealedSource[], more?: Partial<RestoreDeps>): RestoreDeps;
  /** Restores all of a tree to `place('out')`. */
  inputFor(root: Entry, more?: Partial<RestoreInput>): RestoreInput;
  restore(input: RestoreInput, dependencies: RestoreDeps): Promise<RestoreReport>;
  readonly warnings: string[];
}

/** Registers its hooks with the test runner. A new fixture for each test. */
export function setUpRestore(seed: string): RestoreSetup {
  const warnings: string[] = [];
  let base = '';
  let fixture: TreeFixture;
  let pool: WorkerPool<PipelineTasks>;
  beforeAll(async () => {
    const { keys } = await createTreeFixture(seed);
    pool = createWorkerPool({
      size: 2,
      config: { keys, chunker: { min: 1024, avg: 4096, max: 16384 }, level: 1 } as never,
    });
  });
  afterAll(async () => {
    await pool.close();
  });
  beforeEach(async () => {
    // One seed: the keys are those that the workers have.
    fixture = await createTreeFixture(seed);
    base = fs.mkdtempSync(join(tmpdir(), 'edge-restore-'));
    warnings.length = 0;
  });
  afterEach(() => {
    fs.rmSync(base, { recursive: true, force: true });
  });
  return {
    fixture: () => fixture,
    pool: () => pool,
    place: (name) => join(base, name),
    deps: (sources, more = {}) => ({
      sources,
      opener: fixture.opener,
      pool,
      warn: ({ message }) => warnings.push(message),
      keepOut: [join(base, 'data')],
      monotonicMs: () => performance.now(),
      ...more,
    }),
    inputFor: (root, more = {}) => ({
      snapshot: 'ab'.repeat(32),
      body: fixture.body(root),
      target: Buffer.from(join(base, 'out')),
      ...more,
    }),
    restore: async (input, dependencies) => applyRestore(await planRestore(input, dependencies), dependencies),
    warnings,
  };
}
