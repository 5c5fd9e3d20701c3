/** Kills a store that follows an owner with hold checkpoints at every step that writes, and goes on. */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FAILPOINT_NAMES } from '../../core/failpoint-names.ts';
import {
  CHECKPOINT_SHARD,
  checkpointOwner,
  holdsAsOf,
  openCheckpointStore,
} from '../../testing/checkpoint-workload.ts';
import { temporaryFolder } from '../../testing/store-fixture.ts';

const PROVING = FAILPOINT_NAMES.filter((name) => /^(parts\.(?!taken)|checkpoint\.judged)/.test(name));
const JOINING = FAILPOINT_NAMES.filter((name) => /^(parts\.(part-written|taken)|join\.)/.test(name));
const program = join(import.meta.dirname, '../../testing/checkpoint-workload.ts');

let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => folder.remove());

function run(path: string, mode: string, failpoint?: string): { readonly killed: boolean; readonly lines: string[] } {
  const args = [program, path, mode, ...(failpoint === undefined ? [] : [failpoint])];
  const done = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (done.signal === null && done.status !== 0) throw new Error(done.stderr);
  return { killed: done.signal === 'SIGKILL', lines: done.stdout.split('\n') };
}

/** The index holds what the entries say, and of the parts only those of the newest checkpoint are left. */
async function check(path: string): Promise<void> {
  const owner = checkpointOwner();
  const store = await openCheckpointStore(path);
  try {
    expect(store.reconciled.problems).toEqual([]);
    const holds = holdsAsOf(owner.entries, owner.entries.length);
    const [shard] = store.chains.shards(owner.agent);
    expect(shard).toMatchObject({ held: holds.size, applied: owner.entries.length });
    const ids = [...holds.keys()].map((id) => new Uint8Array(Buffer.from(id, 'hex')));
    expect(store.chains.heldAs(owner.agent, CHECKPOINT_SHARD, ids).map((one) => one?.seq)).toEqual(
      [...holds.values()].map(({ addedSeq }) => addedSeq),
    );
    const parts = readdirSync(join(store.dataDir.chainsDir, owner.agent, 'parts'));
    expect(new Set(parts.map((name) => name.slice(0, 25)))).toEqual(new Set(['00000001-0000000000000005']));
  } finally {
    store.close();
  }
}

test.each(PROVING)('killed at %s while checkpoints are proved: the next start proves them', async (name) => {
  const path = join(folder.path, name);
  const whole = run(path, 'prove');
  const hits = whole.lines.filter((line) => line === `hit ${name}`).length;
  expect(whole.lines).toContain('proved 6');
  expect(hits).toBeGreaterThan(0);
  for (const nth of new Set([1, Math.ceil(hits / 2), hits])) {
    rmSync(path, { recursive: true });
    expect(run(path, 'prove', `${name}:${nth}`).killed).toBe(true);
    expect(run(path, 'prove').lines).toContain('done');
    await check(path);
  }
});

test.each(JOINING)('killed at %s while a shard is joined by parts: the next start or try goes on', async (name) => {
  const path = join(folder.path, `join ${name}`);
  const whole = run(path, 'join');
  const hits = whole.lines.filter((line) => line === `hit ${name}`).length;
  expect(whole.lines).toContain('joined');
  expect(hits).toBeGreaterThan(0);
  for (const nth of new Set([1, Math.ceil(hits / 2), hits])) {
    rmSync(path, { recursive: true });
    expect(run(path, 'join', `${name}:${nth}`).killed).toBe(true);
    expect(run(path, 'join').lines).toContain('done');
    await check(path);
  }
});

test.each(FAILPOINT_NAMES.filter((name) => name.startsWith('join.')))(
  'killed at %s of a rebuild: the next start goes on',
  async (name) => {
    const path = join(folder.path, `rebuild ${name}`);
    expect(run(path, 'join').lines).toContain('joined');
    for (const nth of [1, 2]) {
      rmSync(join(path, 'index.sqlite'));
      // The shard is switched once.
      const killed = run(path, 'open', `${name}:${name === 'join.switched' ? 1 : nth}`).killed;
      expect(killed).toBe(true);
      await check(path);
    }
  },
);
