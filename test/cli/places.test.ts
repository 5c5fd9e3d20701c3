/** Places that are away, unused or cut off: what status and errors say of them, and what they advise. */
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeStoreId } from '../../packages/engine/src/store/bucket/store-id.ts';
import { finished, startEdgestore, waitUntil } from '../support/edgestore-process.ts';
import { type Fixture, makeVaultFixture } from './fixture.ts';

interface Finding {
  readonly code: string;
  readonly severity: string;
  readonly message: string;
  readonly since?: string;
  readonly next?: string;
}

let fixture: Fixture;
let config: string;
let bucket: string;

beforeEach(async () => {
  fixture = await makeVaultFixture();
  config = join(fixture.folder, 'edgestore.toml');
  bucket = join(fixture.folder, 'bucket');
  mkdirSync(bucket);
});
afterEach(() => fixture.remove());

const json = (args: readonly string[], exit = 0) => fixture.json([...args, '-c', config], exit);
const check = async (exit: number): Promise<readonly Finding[]> =>
  (await json(['status', '--check'], exit)).data.findings;

test('status asks the bucket: unplugged, emptied, another one, and back again', async () => {
  const store = `[stores.archive]\nurl = "file://${bucket}"\n`;
  writeFileSync(config, `${store}[replication.default]\ncopies = 1\nsites = 1\nstore = "archive"\n`);
  await json(['sync', '--wait', 's3']);
  expect((await json(['status', '--check'])).data).toMatchObject({
    findings: [],
    stores: [{ name: 'archive', scope: 'all', reachable: true, away: null }],
  });

  renameSync(bucket, `${bucket}.away`);
  const [gone, ...more] = await check(20);
  expect(more).toEqual([]);
  expect(gone).toMatchObject({
    code: 'store_away',
    severity: 'warning',
    message: expect.stringMatching(/archive.*not as lost: E_NO_BUCKET/),
    next: expect.stringMatching(/mount it, or correct the url of \[stores\.archive\].*emptied for good.*new name/),
  });
  mkdirSync(bucket);
  expect(await check(20)).toMatchObject([{ code: 'store_away', since: gone!.since }]);
  // A folder is looked at without --check, too.
  expect((await fixture.run(['status', '-c', config])).stdout).toMatch(/archive.*away/);

  cpSync(`${bucket}.away`, bucket, { recursive: true });
  const id = readdirSync(bucket, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('store.id'));
  writeFileSync(join(bucket, id!), encodeStoreId('0123456789abcdef'.repeat(2)));
  expect(await check(20)).toMatchObject([
    { code: 'store_away', next: expect.stringMatching(/^correct the url of \[stores\.archive\]/) },
  ]);

  rmSync(bucket, { recursive: true });
  renameSync(`${bucket}.away`, bucket);
  expect(await check(0)).toEqual([]);

  // A sync met it away: what waits is told with the command that sends it, since no agent runs.
  renameSync(bucket, `${bucket}.away`);
  writeFileSync(join(fixture.tree, 'more'), 'more');
  await json(['sync', '--wait', 's3', '--timeout', '20s'], 10);
  expect((await check(20)).map(({ code }) => code)).toEqual(['not_enough_copies', 'store_away']);
  renameSync(`${bucket}.away`, bucket);
  const waiting = (await check(20)).find(({ code }) => code === 'target_failing');
  expect(waiting).toMatchObject({ message: expect.stringContaining('It answers now') });
  expect(waiting!.next).toBe('no agent runs: edgestore sync --wait sites=1 tries again');
  await json(['sync', '--wait', 'sites=1']);
  expect(await check(0)).toEqual([]);
});

test('a store that nothing is sent to is told by the configuration, by status, and by a sync that waits for it', async () => {
  writeFileSync(config, `[stores.spare]\nurl = "file://${bucket}"\n`);
  const { data, warnings } = await json(['status', '--check']);
  expect(data.findings).toMatchObject([
    {
      code: 'store_unused',
      severity: 'info',
      next: expect.stringMatching(/store = "spare" in \[replication\.default\]/),
    },
  ]);
  expect(warnings).toMatchObject([{ code: 'W_STORE_UNUSED', message: expect.stringContaining('stores.spare') }]);
  expect((await fixture.run(['status', '-c', config])).stdout).toMatch(/All is well\.\nnote: the store spare/);
  const synced = await json(['sync', '--wait', 's3'], 5);
  expect(synced.warnings.map(({ message }: { message: string }) => message).join()).toMatch(
    /s3 cannot be reached: no bucket is configured to receive everything.*nothing is queued for a bucket.*store = "spare".*\[replication\.default\]/,
  );
  expect(readdirSync(bucket)).toEqual([]);
});

test('a bucket that is a target and an own store is one place', async () => {
  const store = `[stores.archive]\nurl = "file://${bucket}"\n`;
  writeFileSync(config, `${store}[replication.default]\ncopies = 1\nsites = 1\nstore = "archive"\n`);
  await json(['sync', '--wait', 's3']);
  const { copies } = (await json(['where', 'latest:a.txt'])).data;
  expect(copies.map(({ tier }: { tier: string }) => tier)).toEqual(['local', 'bucket archive']);
  expect(copies[1]).toMatchObject({ complete: true, bytes: expect.any(Number), asked: expect.any(String) });
});

test('a running agent whose pack_dir is not mounted says so, and calls no pack gone', async () => {
  const packs = join(fixture.folder, 'packs');
  const dataDir = join(fixture.folder, 'second');
  const args = ['--data-dir', dataDir, '-c', config];
  writeFileSync(config, `[agent]\npack_dir = "${packs}"\n`);
  await fixture.json(['init', '--recovery-out', join(fixture.folder, 'second-sheet'), ...args]);
  await fixture.json(['sync', fixture.tree, ...args]);
  const agent = startEdgestore(['agent', 'run', ...args], { env: { HOME: fixture.folder } });
  const ended = finished(agent);
  try {
    await waitUntil('the agent runs', 60_000, async () => {
      const { stdout } = await fixture.run(['status', '--json', ...args]);
      return JSON.parse(stdout).data?.agent.running === true ? true : undefined;
    });
    renameSync(packs, `${packs}.away`);
    mkdirSync(packs);
    const { data } = await fixture.json(['status', '--check', ...args], 20);
    expect(data.findings).toMatchObject([
      { code: 'packs_away', message: expect.stringContaining(packs), next: expect.stringMatching(/mount.*pack_dir/) },
    ]);
    const { error } = await fixture.json(['scrub', '--all', ...args], 2);
    expect(error).toMatchObject({ code: 'E_CONFIG', message: expect.stringContaining(packs) });
    rmSync(packs, { recursive: true });
    renameSync(`${packs}.away`, packs);
    expect((await fixture.json(['status', '--check', ...args])).data.findings).toEqual([]);
    expect((await fixture.json(['scrub', '--all', ...args])).data.findings).toEqual([]);
  } finally {
    agent.kill('SIGTERM');
    await ended;
  }
});

test('where a recovery was cut off, and where a data dir is missing, recover is advised', async () => {
  writeFileSync(config, '');
  rmSync(fixture.dataDir, { recursive: true });
  expect((await json(['status'], 10)).error.hint).toMatch(/init.*recover/);
  mkdirSync(fixture.dataDir);
  for (const name of ['recover.unfinished', 'recover.entries', 'lock']) writeFileSync(join(fixture.dataDir, name), '');
  expect((await json(['status'], 10)).error).toMatchObject({
    message: expect.stringMatching(/recovery.*cut off/),
    hint: expect.stringMatching(/`edgestore recover` again/),
  });
  const dry = (await json(['init', '-n'], 2)).error;
  const real = (await json(['init', '--recovery-out', join(fixture.folder, 'none')], 2)).error;
  expect(dry).toEqual(real);
  expect(dry.message).toMatch(/recovery.*cut off/);
  rmSync(join(fixture.dataDir, 'recover.unfinished'));
  expect((await json(['init', '-n'], 2)).error.message).toMatch(/is not empty.*no data dir/);
});

test('recover names the settings files that it wrote, and a configuration that comes back is told of them', async () => {
  const own = `[stores.archive]\nurl = "file://${bucket}"\n[replication.default]\ncopies = 1\nsites = 1\nstore = "archive"\n`;
  writeFileSync(config, own);
  await json(['sync', '--wait', 's3']);
  rmSync(fixture.dataDir, { recursive: true });
  rmSync(config);
  const sheet = join(fixture.folder, 'sheet.txt');
  const recovered = await fixture.run(['recover', '--from', `file://${bucket}`, '--recovery-file', sheet]);
  expect(recovered.exitCode).toBe(0);
  const files = ['root-tree', 'store-archive', 'replication-default'].map((name) =>
    join(fixture.dataDir, 'conf.d', `${name}.toml`),
  );
  expect(recovered.stdout).toMatch(/settings of before/);
  for (const file of files) expect(recovered.stdout).toContain(file);
  expect(readFileSync(files[1]!, 'utf8')).toContain('archive');
  writeFileSync(config, own);
  const { error } = await json(['status'], 2);
  expect(error.message).toMatch(/store-archive\.toml:\d+:.*again.*edgestore recover.*wrote this file: remove it/);
  for (const file of files.slice(1)) rmSync(file);
  await json(['status']);
});
