/** A process that restores the fixture of `restore-crash.test.ts`, to be killed: `node restore-child.ts SEED PACKS TARGET [FAILPOINT [in-place [root]]]`, where `root` makes all of it root's. */
import { armFailpoints, failpointHandler } from '../core/failpoint.ts';
import { createWorkerPool } from '../pipeline/worker-pool.ts';
import { applyRestore } from '../restore/apply-restore.ts';
import { planRestore } from '../restore/plan-restore.ts';
import { makeCrashTree } from './crash-tree.ts';
import { createTreeFixture } from './tree-fixture.ts';

const [seed, packs, target, failpoint, inPlace, owner] = process.argv.slice(2) as [string, string, string, ...string[]];
const fixture = await createTreeFixture(seed);
const root = makeCrashTree(fixture, owner === 'root' ? { uid: 0, gid: 0 } : {});
const handler = failpointHandler(failpoint === '' ? undefined : failpoint, () => process.kill(process.pid, 'SIGKILL'));
if (handler !== undefined) armFailpoints(handler);
const pool = createWorkerPool({
  size: 2,
  config: { keys: fixture.keys, chunker: { min: 1024, avg: 4096, max: 16384 }, level: 1 } as never,
});
const deps = {
  sources: [fixture.localSource(packs)],
  opener: fixture.opener,
  pool,
  warn: ({ message }: { readonly message: string }) => process.stderr.write(`${message}\n`),
  keepOut: [],
  monotonicMs: () => performance.now(),
};
const input = {
  snapshot: 'cd'.repeat(32),
  body: fixture.body(root),
  target: Buffer.from(target),
  ...(inPlace === 'in-place' ? { inPlace: { overwrite: 'always' as const, delete: false } } : {}),
};
process.stdout.write('ready\n');
const report = await applyRestore(await planRestore(input, deps), deps);
process.stdout.write(`${JSON.stringify({ files: report.files, failures: report.failures.length })}\n`);
await pool.close();
