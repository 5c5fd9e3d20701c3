/** Kills a process that works on a store at every failpoint of this folder and the index, and looks at what is left. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAILPOINT_NAMES } from '../core/failpoint-names.ts';
import { decodeEnvelope } from '../log/record.ts';
import {
  heldChunks,
  openWorkloadStore,
  roundChunks,
  workloadHolds,
  workloadRecords,
} from '../testing/crash-workload.ts';
import { type OpenedStore, readable, temporaryFolder } from '../testing/store-fixture.ts';
import { verifyPack } from './chunk-store/verify-pack.ts';

const ROUNDS = 10;
const OURS = /^(append|compact|durable|hold|index|pack|rebuild)\./;
/** Reached only where there is damage or an older schema; the tests below make that. */
const SPECIAL = /^(append\.torn-|durable\.|index\.set-aside$|rebuild\.)/;
const program = join(import.meta.dirname, '../testing/crash-workload.ts');

interface Run {
  readonly killed: boolean;
  readonly lines: readonly string[];
}

function work(path: string, first: number, end: number, failpoint?: string): Run {
  const done = spawnSync(
    process.execPath,
    [program, path, String(first), String(end), ...(failpoint === undefined ? [] : [failpoint])],
    { encoding: 'utf8' },
  );
  if (done.signal === null && done.status !== 0) throw new Error(done.stderr);
  return { killed: done.signal === 'SIGKILL', lines: done.stdout.split('\n') };
}

const numbers = (lines: readonly string[], what: string): number[] =>
  lines.filter((line) => line.startsWith(`${what} `)).map((line) => Number(line.split(' ')[1]));

/** Everything that any of the runs acknowledged is there, byte for byte, and nothing half-done is left. */
async function check(path: string, runs: readonly Run[]): Promise<void> {
  const lines = runs.flatMap((run) => run.lines);
  const store = await openWorkloadStore(path);
  try {
    expect(store.reconciled.problems).toEqual([]);
    const gone = new Set([...numbers(lines, 'dropping')]);
    for (const round of numbers(lines, 'chunks')) {
      if (!gone.has(round))
        expect(await readable(store, roundChunks(round)), `chunks of round ${round}`).not.toContain(false);
    }
    await checkRecords(store, numbers(lines, 'record'));
    const held = numbers(lines, 'held');
    for (const round of held)
      expect(await readable(store, heldChunks(round)), `held chunks of round ${round}`).not.toContain(false);
    expect(workloadHolds(store)).toBeGreaterThanOrEqual(new Set(held).size * 2);
    expect(readdirSync(store.dataDir.packTemporaryDir)).toEqual([]);
    expect(store.index.chunks.doomedPacks()).toEqual([]);
    for (const pack of store.index.chunks.packs('')) {
      expect((await verifyPack(store.chunks.packPath(pack.name), pack.name)).state).toBe('good');
    }
  } finally {
    store.close();
  }
}

async function checkRecords(store: OpenedStore, acknowledged: readonly number[]): Promise<void> {
  const wanted = workloadRecords(ROUNDS);
  const [agent] = store.logs.agents();
  if (agent === undefined) return expect(acknowledged).toEqual([]);
  const found: Uint8Array[] = [];
  for await (const record of store.logs.read(agent)) found.push(record);
  found.forEach((record, i) => void expect(Buffer.from(wanted[i]!).equals(record), `record ${i}`).toBe(true));
  expect(found.length).toBeGreaterThan(Math.max(-1, ...acknowledged));
  expect(store.index.log.headOf(agent)?.seq).toBe(decodeEnvelope(found.at(-1)!).seq);
}

let folder: ReturnType<typeof temporaryFolder>;
let template: string;
const hits = new Map<string, number>();
beforeAll(() => {
  folder = temporaryFolder();
  template = join(folder.path, 'template');
  for (const line of work(template, 0, ROUNDS).lines) {
    if (line.startsWith('hit ')) hits.set(line.slice(4), (hits.get(line.slice(4)) ?? 0) + 1);
  }
});
afterAll(() => folder.remove());

describe('killed while working', () => {
  const names = FAILPOINT_NAMES.filter((name) => OURS.test(name) && !SPECIAL.test(name));
  test.each(names)('at %s: what was acknowledged is there, and the next start goes on', async (name) => {
    const count = hits.get(name) ?? 0;
    expect(count, 'hits in the whole workload').toBeGreaterThan(0);
    for (const nth of new Set([1, Math.ceil(count * 0.6)])) {
      const path = join(folder.path, 'work');
      const first = work(path, 0, ROUNDS, `${name}:${nth}`);
      expect(first.killed).toBe(true);
      await check(path, [first]);
      const resumeAt = Math.max(-1, ...numbers(first.lines, 'held')) + 1;
      const second = work(path, resumeAt, ROUNDS);
      expect(second.lines).toContain('done');
      await check(path, [first, second]);
      rmSync(path, { recursive: true });
    }
  });
});

describe('killed while putting right what was left', () => {
  const spoiled = (): string => {
    const path = join(folder.path, 'rebuild');
    rmSync(path, { recursive: true, force: true });
    cpSync(template, path, { recursive: true });
    return path;
  };
  const all: Run = {
    killed: false,
    lines: Array.from({ length: ROUNDS }, (_, i) => [
      `chunks ${i}`,
      `record ${i}`,
      `held ${i}`,
      ...(i % 5 === 4 ? [`dropping ${i - 3}`] : []),
    ]).flat(),
  };
  const logOf = (path: string): string => {
    const [agent] = readdirSync(join(path, 'log'));
    const [file] = readdirSync(join(path, 'log', agent!));
    return join(path, 'log', agent!, file!);
  };
  const killedAt = async (path: string, name: string): Promise<void> => {
    expect(work(path, 0, 0, name).killed, name).toBe(true);
    await check(path, [all]);
  };

  test.each(FAILPOINT_NAMES.filter((name) => /^rebuild\./.test(name) && name !== 'rebuild.doomed-unlinked'))(
    'at %s of a rebuild',
    async (name) => {
      const path = spoiled();
      rmSync(join(path, 'index.sqlite'));
      await killedAt(path, name);
    },
  );

  test('at every step of setting a damaged index aside', async () => {
    for (const nth of [1, 2, 3]) {
      const path = spoiled();
      writeFileSync(join(path, 'index.sqlite'), 'this is no index');
      await killedAt(path, `index.set-aside:${nth}`);
      expect(readdirSync(path).some((name) => name.includes('.corrupt-'))).toBe(true);
    }
  });

  test('at every step of moving the unfinished end of a log aside', async () => {
    for (const name of [
      'durable.written',
      'durable.synced',
      'durable.renamed',
      'append.torn-kept',
      'append.torn-cut',
    ]) {
      const path = spoiled();
      const file = logOf(path);
      appendFileSync(file, readFileSync(file).subarray(0, 90));
      await killedAt(path, name);
      expect(readdirSync(join(file, '..')).filter((other) => other.startsWith('.'))).toEqual([]);
    }
  });

  test('after a merge was killed before its old packs were unlinked', async () => {
    const path = join(folder.path, 'doomed');
    const first = work(path, 0, ROUNDS, 'index.packs-swapped');
    expect(first.killed).toBe(true);
    expect(work(path, 0, 0, 'rebuild.doomed-unlinked').killed).toBe(true);
    await check(path, [first]);
  });
});
