/** What a holder lost is known there and at the owner, is never acknowledged, and is whole again after the next sync: with real processes. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { layOutSite, onSite, type Site, startAgent, stopAgent } from '../quickstart/site.ts';
import { runEdgestore } from '../support/edgestore-process.ts';
import { freePort } from '../support/free-port.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';

interface Finding {
  readonly code: string;
  readonly message: string;
  readonly since?: string;
  readonly next?: string;
}
interface Status {
  readonly findings: readonly Finding[];
  readonly targets: readonly {
    readonly lacks: Readonly<Record<string, number>> | null;
    readonly asked: string | null;
  }[];
  readonly holds: readonly { readonly own: boolean; readonly lost: number }[];
}

interface Scrubbed {
  readonly findings: readonly { readonly store: string; readonly what: string }[];
  readonly holds: readonly {
    readonly own: boolean;
    readonly name: string | null;
    readonly wrong: number;
    readonly lost: number;
    readonly repaired: boolean;
    readonly next: string;
  }[];
}

let base: string;
let files: string;
let owner: Site;
let holder: Site;

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'edgestore-holders-'));
  files = join(base, 'files');
  mkdirSync(files);
  for (let i = 0; i < 20; i++) writeFileSync(join(files, `file ${i}`), pseudoRandom(20_000 + 999 * i, i + 1));
  writeFileSync(join(files, 'large'), pseudoRandom(3_000_000, 99));
  const env = { HOME: base, XDG_CACHE_HOME: join(tmpdir(), 'edgestore-tests-cache') };
  const roots = `[[roots]]\nname = "files"\npath = "${files}"\n[replication.default]\ncopies = 1\nsites = 1\n`;
  const ownerPort = await freePort();
  owner = layOutSite(base, 'o', 'shop', ownerPort, roots, env);
  await onSite(owner, ['init', '--recovery-out', join(base, 'sheet')]);
  await startAgent(owner);
  const { token } = await onSite<{ token: string }>(owner, ['peer', 'invite', '--role', 'holder']);
  holder = layOutSite(base, 'h', 'dc', await freePort(), '', env);
  await onSite(holder, ['peer', 'join'], { stdin: token });
  await startAgent(holder);
  await onSite(owner, ['peer', 'list']);
  await stopAgent(owner);
}, 120_000);

afterEach(async () => {
  for (const site of [owner, holder]) await stopAgent(site);
  rmSync(base, { recursive: true, force: true });
});

async function exitOf(site: Site, args: readonly string[]): Promise<number | undefined> {
  return (await runEdgestore([...args, '--config', site.configFile], { env: site.env })).exitCode;
}

const sync = (exitCodes: readonly number[] = [0]) =>
  onSite<{ roots: readonly { snapshot: string; durability: string }[] }>(owner, ['sync', '--wait', 'sites=1'], {
    exitCodes,
  });
const check = (site: Site, exitCode: number) => onSite<Status>(site, ['status', '--check'], { exitCodes: [exitCode] });

function packsOf(site: Site): string[] {
  const packs = join(site.dataDir, 'packs');
  return readdirSync(packs, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pack'))
    .map((name) => join(packs, name));
}

const largest = (paths: readonly string[]): string =>
  paths.reduce((a, b) => (statSync(b).size > statSync(a).size ? b : a));

/** Restores the owner's snapshot at the holder, from its own packs alone. */
async function restoresAtHolder(snapshot: string): Promise<void> {
  const target = join(base, `restored ${snapshot.slice(0, 8)}`);
  await onSite(holder, ['restore', snapshot, '--agent', 'o', '--from', 'local', '--target', target]);
  for (const name of readdirSync(files))
    expect(readFileSync(join(target, name)).equals(readFileSync(join(files, name))), name).toBe(true);
  rmSync(target, { recursive: true });
}

test.each(['its largest pack', 'all its packs'])(
  'a holder that lost %s: 20 on both sides until the next sync has filled it again',
  async (what) => {
    await sync();
    await check(owner, 0);
    await check(holder, 0);
    await stopAgent(holder);
    const packs = packsOf(holder);
    for (const pack of what.startsWith('all') ? packs : [largest(packs)]) rmSync(pack);
    await startAgent(holder);

    const there = await check(holder, 20);
    expect(there.findings.map(({ code }) => code)).toContain('held_chunks_missing');
    expect(there.findings.find(({ code }) => code === 'held_chunks_missing')).toMatchObject({
      message: expect.stringMatching(/holds here, \d+ are lost/),
      since: expect.stringMatching(/^20/),
      next: expect.stringContaining('sends them again'),
    });
    const { holds } = await onSite<Scrubbed>(holder, ['scrub', '--all'], { exitCodes: [20] });
    expect(holds).toMatchObject([{ own: false, name: 'o', wrong: 0, next: expect.stringContaining('sends') }]);
    expect(holds[0]!.lost).toBeGreaterThan(0);
    const here = await check(owner, 20);
    expect(here.targets[0]!.lacks!.lost).toBeGreaterThan(0);
    expect(here.findings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['copies_lost_at_target', 'not_enough_copies']),
    );

    writeFileSync(join(files, 'small'), 'a small change');
    const { roots } = await sync();
    expect(roots[0]!.durability).toBe('sites=1');
    await check(owner, 0);
    await check(holder, 0);
    expect(await exitOf(owner, ['scrub', '--all'])).toBe(0);
    expect(await exitOf(holder, ['scrub', '--all'])).toBe(0);
    await restoresAtHolder(roots[0]!.snapshot);
  },
  180_000,
);

test('a byte that changed in a pack at the holder: 20 on both sides after its scrub, until the owner has filled it again', async () => {
  await sync();
  const pack = largest(packsOf(holder));
  const bytes = readFileSync(pack);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(pack, bytes);
  const { findings, holds } = await onSite<Scrubbed>(holder, ['scrub', '--all'], { exitCodes: [20] });
  expect(findings).toMatchObject([{ store: 'local', what: 'chunk' }]);
  expect(holds).toMatchObject([{ own: false, name: 'o', lost: 1, wrong: 0, next: expect.stringContaining('sends') }]);

  const there = await check(holder, 20);
  expect(there.findings.map(({ code }) => code)).toContain('held_chunks_missing');
  const here = await check(owner, 20);
  expect(here.targets[0]!.lacks!.lost).toBe(1);
  expect(here.findings.map(({ code }) => code)).toContain('copies_lost_at_target');

  writeFileSync(join(files, 'small'), 'a small change');
  const { roots } = await sync();
  await check(owner, 0);
  await check(holder, 0);
  expect(await exitOf(holder, ['scrub', '--all'])).toBe(0);
  await restoresAtHolder(roots[0]!.snapshot);
}, 180_000);

test('an index that says otherwise than chain and packs: 20 at owner and holder, and right again with --repair', async () => {
  await sync();
  await stopAgent(holder);
  for (const site of [owner, holder]) {
    const db = new Database(join(site.dataDir, 'index.sqlite'));
    db.exec('DELETE FROM holds WHERE position = 0');
    db.close();
  }
  await startAgent(holder);
  for (const site of [owner, holder]) {
    const found = await onSite<Scrubbed>(site, ['scrub', '--all'], { exitCodes: [20] });
    expect(found.holds).toMatchObject([
      { own: site === owner, repaired: false, next: expect.stringContaining('--repair') },
    ]);
    expect(found.holds[0]!.wrong).toBeGreaterThan(0);
    const text = await runEdgestore(['scrub', '--all', '--config', site.configFile], { env: site.env });
    expect(text.stdout).toMatch(
      /index +of the \d+ chunks that .* holds here in shard 1, in the index \d+ differ .*\n +next: edgestore scrub --all --repair/,
    );
    const mended = await onSite<Scrubbed>(site, ['scrub', '--all', '--repair'], { exitCodes: [0] });
    expect(mended.holds).toMatchObject([{ repaired: true, lost: 0 }]);
    expect((await onSite<Scrubbed>(site, ['scrub', '--all'])).holds).toEqual([]);
  }
  writeFileSync(join(files, 'small'), 'a small change');
  await restoresAtHolder((await sync()).roots[0]!.snapshot);
  await check(owner, 0);
  await check(holder, 0);
}, 180_000);

test('a holder that was put back to an older copy of its data dir is filled again before anything counts', async () => {
  await sync();
  await stopAgent(holder);
  cpSync(holder.dataDir, join(base, 'image'), { recursive: true });
  await startAgent(holder);
  writeFileSync(join(files, 'later'), pseudoRandom(500_000, 1234));
  await sync();
  await stopAgent(holder);
  rmSync(holder.dataDir, { recursive: true });
  cpSync(join(base, 'image'), holder.dataDir, { recursive: true });
  await startAgent(holder);
  expect((await check(owner, 20)).findings.map(({ code }) => code)).toContain('not_enough_copies');
  writeFileSync(join(files, 'small'), 'a small change');
  const { roots } = await sync();
  await restoresAtHolder(roots[0]!.snapshot);
  await check(owner, 0);
  await check(holder, 0);
}, 180_000);

test('a holder that is away: nothing is acknowledged, and its last answer is shown with its age', async () => {
  await sync();
  await stopAgent(holder);
  writeFileSync(join(files, 'small'), 'a small change');
  const done = await runEdgestore(['sync', '--wait', 'sites=1', '--timeout', '20s', '--config', owner.configFile], {
    env: owner.env,
  });
  expect(done.exitCode).toBe(5);
  const status = await check(owner, 20);
  expect(status.targets[0]!.asked).not.toBeNull();
  expect(status.findings.map(({ code }) => code)).toContain('target_failing');
}, 180_000);

test('a machine that was put back sends nothing, says so, and captures go on', async () => {
  await sync();
  cpSync(owner.dataDir, join(base, 'image'), { recursive: true });
  for (const turn of [1, 2]) {
    writeFileSync(join(files, 'turn'), `turn ${turn}`);
    await sync();
  }
  rmSync(owner.dataDir, { recursive: true });
  cpSync(join(base, 'image'), owner.dataDir, { recursive: true });
  writeFileSync(join(files, 'turn'), 'another life');
  await sync([9]);
  expect((await check(owner, 20)).findings.map(({ code }) => code)).toContain('put_back');
  writeFileSync(join(files, 'turn'), 'and on');
  expect(await exitOf(owner, ['sync'])).toBe(0);
  await sync([9]);
}, 180_000);
