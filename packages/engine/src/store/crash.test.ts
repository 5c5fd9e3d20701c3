/** Kills a process that works on a store at every failpoint of this folder and the index, and looks at what is left. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAILPOINT_NAMES } from '../core/failpoint-names.ts';
import {
  HELD_SHARD,
  heldChunks,
  OWN_SHARD,
  openWorkloadStore,
  roundChunks,
  TAKEOVER_BASE,
  workloadOwner,
  workloadTakeover,
} from '../testing/crash-workload.ts';
import { FIXTURE_SELF, type OpenedStore, readable, temporaryFolder } from '../testing/store-fixture.ts';
import { verifyPack } from './chunk-store/verify-pack.ts';

const ROUNDS = 10;
/** Else the seed decides whether a failpoint kills the first time or a later one. */
const RUNS_ALL = process.env.EDGESTORE_FAULT_LONG === '1';
const SEED = Number(process.env.EDGESTORE_CRASH_SEED ?? Date.now() % 2 ** 31);
const OURS = /^(branch|chain|checkpoint|compact|durable|index|pack|parts|rebuild|release|store-identity|tail)\./;
/** Reached only where there is damage or an older schema; the tests below make that. */
const SPECIAL =
  /^(branch\.|chain\.(torn-|replaced|rewritten|renamed)|checkpoint\.judged$|parts\.taken$|durable\.|index\.set-aside$|rebuild\.|store-identity\.epoch-raised$|tail\.)/;
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
    await checkOwnChain(store, lines);
    const held = numbers(lines, 'held');
    for (const round of held)
      expect(await readable(store, heldChunks(round)), `held chunks of round ${round}`).not.toContain(false);
    await checkOther(store, held);
    expect(readdirSync(store.dataDir.packTemporaryDir)).toEqual([]);
    expect(store.index.chunks.doomedPacks()).toEqual([]);
    for (const pack of store.index.chunks.packs('')) {
      expect((await verifyPack(store.chunks.packPath(pack.name), pack.name)).state).toBe('good');
    }
  } finally {
    store.close();
  }
}

/** Each acknowledged record stands behind the adds of its round, and what was stored and not released is held. */
async function checkOwnChain(store: OpenedStore, lines: readonly string[]): Promise<void> {
  const acknowledged = new Set(numbers(lines, 'record'));
  let records = 0;
  for await (const { head } of store.chains.entries(FIXTURE_SELF)) if (head.header.kind === 1) records++;
  expect(records).toBeGreaterThanOrEqual(acknowledged.size);
  const gone = new Set(numbers(lines, 'dropping'));
  for (const round of acknowledged) {
    if (gone.has(round)) continue;
    const ids = roundChunks(round).map(({ id }) => id);
    expect([...store.chains.isHeld(FIXTURE_SELF, OWN_SHARD, ids)], `holds of round ${round}`).not.toContain(0);
  }
  const dropped = new Set(numbers(lines, 'dropped'));
  for (const round of dropped) {
    const ids = roundChunks(round).map(({ id }) => id);
    expect([...store.chains.isHeld(FIXTURE_SELF, OWN_SHARD, ids)], `holds of round ${round}`).not.toContain(1);
  }
}

/** The other owner's chain is a prefix of what it wrote, and what was acknowledged is held and satisfied. */
async function checkOther(store: OpenedStore, held: readonly number[]): Promise<void> {
  const owner = workloadOwner(ROUNDS);
  let seq = 0;
  for await (const { head } of store.chains.entries(owner.agent))
    expect(head.link).toBe(owner.entries[seq++]!.head.link);
  expect(seq).toBeGreaterThanOrEqual(2 * new Set(held).size);
  for (const round of held) {
    const ids = heldChunks(round).map(({ id }) => id);
    expect([...store.chains.isHeld(owner.agent, HELD_SHARD, ids)]).toEqual([1, 1]);
  }
  const [shard] = store.chains.shards(owner.agent);
  if (held.length > 0) expect(shard!.whole).toBeGreaterThanOrEqual(2 * (Math.max(...held) + 1) - 1);
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

describe(`killed while working (EDGESTORE_CRASH_SEED=${SEED})`, () => {
  const names = FAILPOINT_NAMES.filter((name) => OURS.test(name) && !SPECIAL.test(name));
  test.each(names)('at %s: what was acknowledged is there, and the next start goes on', async (name) => {
    const count = hits.get(name) ?? 0;
    expect(count, 'hits in the whole workload').toBeGreaterThan(0);
    const times = [1, Math.ceil(count * 0.6)];
    for (const nth of new Set(RUNS_ALL ? times : [times[(SEED + names.indexOf(name)) % 2]!])) {
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
  const chainFileOf = (path: string, agent = FIXTURE_SELF): string => {
    const files = readdirSync(join(path, 'chains', agent)).filter((name) => name.endsWith('.chain'));
    return join(path, 'chains', agent, files.sort().at(-1)!);
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

  test('after the epoch was raised for packs that went, before their loss was marked', async () => {
    const path = spoiled();
    const packs = readdirSync(join(path, 'packs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.pack'),
    );
    for (const name of packs) rmSync(join(path, 'packs', name));
    const before = await epochOf(join(folder.path, 'template'));
    expect(work(path, 0, 0, 'store-identity.epoch-raised').killed).toBe(true);
    expect(await epochOf(path)).toBeGreaterThan(before);
  });

  async function epochOf(path: string): Promise<bigint> {
    const store = await openWorkloadStore(path);
    try {
      return store.identityOfStore.epoch();
    } finally {
      store.close();
    }
  }

  test('at every step of moving the unfinished end of a chain aside', async () => {
    for (const name of ['rebuild.chain-synced', 'chain.torn-kept', 'chain.torn-cut']) {
      const path = spoiled();
      const file = chainFileOf(path);
      appendFileSync(file, readFileSync(file).subarray(0, 90));
      await killedAt(path, name);
      expect(readdirSync(join(file, '..')).filter((other) => other.startsWith('.'))).toEqual([]);
    }
  });

  test.each(FAILPOINT_NAMES.filter((name) => /^(branch\.|chain\.(rewritten|renamed))/.test(name)))(
    'at %s of freezing a branch',
    async (name) => {
      const path = spoiled();
      expect(workTakeover(path, name).killed, name).toBe(true);
      await checkTakeover(path, false);
      expect(workTakeover(path).lines).toContain('taken over');
      await checkTakeover(path, true);
      rmSync(join(path, 'index.sqlite'));
      await checkTakeover(path, true);
    },
  );

  function workTakeover(path: string, failpoint?: string): Run {
    const args = [program, path, String(ROUNDS), 'takeover', ...(failpoint === undefined ? [] : [failpoint])];
    const done = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (done.signal === null && done.status !== 0) throw new Error(done.stderr);
    return { killed: done.signal === 'SIGKILL', lines: done.stdout.split('\n') };
  }

  /** All entries are on the trail or in the branch, and nothing that was held is not held by one of them. */
  async function checkTakeover(path: string, isDone: boolean): Promise<void> {
    const owner = workloadOwner(ROUNDS);
    const store = await openWorkloadStore(path);
    try {
      expect(store.reconciled.problems).toEqual([]);
      const [branch] = store.chains.branches(owner.agent);
      if (isDone) expect(branch).toMatchObject({ tip: { seq: 2 * ROUNDS }, base: { seq: TAKEOVER_BASE } });
      const links: string[] = [];
      for await (const { head } of store.chains.entries(owner.agent)) links.push(head.link);
      const expected = owner.entries.map(({ head }) => head.link);
      if (branch === undefined) expect(links).toEqual(expected);
      else {
        const trail = [...expected.slice(0, TAKEOVER_BASE), ...workloadTakeover(ROUNDS).map(({ head }) => head.link)];
        expect(links).toEqual(trail.slice(0, links.length));
        if (isDone) expect(links).toEqual(trail);
        const beside: string[] = [];
        for await (const { head } of store.chains.branchEntries(owner.agent, branch.tip.link)) beside.push(head.link);
        expect(beside).toEqual(expected.slice(TAKEOVER_BASE));
      }
      const chains = store.index.chainTable.rows().filter(({ agent }) => agent === owner.agent);
      for (let round = 0; round < ROUNDS; round++) {
        const ids = heldChunks(round).map(({ id }) => id);
        const holding = chains.filter(({ chain }) => !store.index.holds.isHeld(chain, HELD_SHARD, ids).includes(0));
        const isOnTrail = 2 * round < TAKEOVER_BASE;
        expect(holding, `round ${round}`).toHaveLength(branch !== undefined && isOnTrail ? 2 : 1);
      }
    } finally {
      store.close();
    }
  }

  test('after a merge was killed before its old packs were unlinked', async () => {
    const path = join(folder.path, 'doomed');
    const first = work(path, 0, ROUNDS, 'index.packs-swapped');
    expect(first.killed).toBe(true);
    expect(work(path, 0, 0, 'rebuild.doomed-unlinked').killed).toBe(true);
    await check(path, [first]);
  });
});
