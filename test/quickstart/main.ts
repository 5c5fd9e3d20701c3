/**
 * The main job, shown: a folder is protected, replicated to two sites, its cold part moved to S3, its machine destroyed, and every file
 * brought back. Real processes, real S3 where there is one; everything lies under one temporary folder. Exit code 0 only if all is equal.
 *
 *   npm run quickstart -- [--tree DIR] [--keep] [--s3-endpoint URL]
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkBeliefs, whyNoBeliefs } from '../faults/belief/check-beliefs.ts';
import { differences, manifestOf, manifestTotals } from '../oracle/manifest.ts';
import { startCountingProxy } from '../support/counting-proxy.ts';
import { waitUntil } from '../support/edgestore-process.ts';
import { freePort } from '../support/free-port.ts';
import { mib, Report } from './report.ts';
import { BUCKET, startS3 } from './s3.ts';
import { cacheFolders, copyTree, editFiles, folderBytes } from './shop-folder.ts';
import { killAgent, layOutSite, onSite, type Site, startAgent, stopAgent } from './site.ts';
import { syncWithProgress } from './sync.ts';

const { values: options } = parseArgs({
  options: { tree: { type: 'string' }, keep: { type: 'boolean', default: false }, 's3-endpoint': { type: 'string' } },
});
const tree = realpathSync(options.tree ?? fileURLToPath(new URL('../../node_modules', import.meta.url)));
const base = mkdtempSync(join(tmpdir(), 'edgestore-quickstart-'));
const report = new Report();
const cleanUps: (() => Promise<unknown> | unknown)[] = [];
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));

let equal = false;
try {
  const stopped = new Promise<never>((_, reject) =>
    interrupted.signal.addEventListener('abort', () => reject(interrupted.signal.reason)),
  );
  equal = await Promise.race([run(), stopped]);
} catch (error) {
  process.stdout.write(`\nThe quickstart failed: ${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  if (options.keep) process.stdout.write(`\nKept: ${base}\n`);
  else rmSync(base, { recursive: true, force: true });
}
process.exit(equal ? 0 : 1);

async function run(): Promise<boolean> {
  process.stdout.write(
    `edgestore quickstart. Everything lies under ${base}${options.keep ? ' (kept)' : ' and is removed at the end (--keep keeps it)'}.\n`,
  );
  const folder = join(base, 'shop', 'files');
  mkdirSync(folder, { recursive: true });

  const s3 = await report.step(
    'start an S3 endpoint',
    () => startS3(join(base, 's3'), options['s3-endpoint']),
    (server) => ({ note: server.what }),
  );
  cleanUps.push(() => s3.stop());
  const proxy = await startCountingProxy(s3.endpoint);
  cleanUps.push(() => proxy.close());

  await report.step(`copy ${tree} into the shop's folder`, async () => copyTree(tree, folder));

  const sites = await report.step('make three agents: shop (edge), dc-a and dc-b (holders)', () =>
    layOutSites(proxy.endpoint, s3),
  );
  const { shop, dcA, dcB, recoverySheet } = sites;
  cleanUps.push(async () => {
    for (const site of [shop, dcA, dcB]) await stopAgent(site);
  });

  const first = await report.step(
    'protect: sync, two copies in two sites',
    () => syncWithProgress(shop, folder, (line) => report.say(line)),
    ({ bytes, files }) => ({ bytes: bytes.scanned, note: `${files.new} files, ${mib(bytes.scanned)}` }),
  );

  await onSite(shop, ['root', 'add', folder]);
  const before = await countSnapshots(shop);
  const edited = await report.step(
    'edit files while the agent watches',
    async () => {
      const names = editFiles(folder);
      await waitUntil('the watcher wrote a snapshot', 60_000, async () =>
        (await countSnapshots(shop)) > before ? true : undefined,
      );
      await syncWithProgress(shop, folder, (line) => report.say(line));
      return names;
    },
    (names) => ({ note: `${names} files edited, added or removed; the watcher saw it; two copies again` }),
  );
  const caches = cacheFolders(folder);
  if (caches.length > 0) report.say(`left out, because they hold a CACHEDIR.TAG: ${caches.join(', ')}`);
  const isLeftOut = (path: string): boolean =>
    caches.some((cache) => path.startsWith(`${cache}/`) && path !== `${cache}/CACHEDIR.TAG`);
  const expected = manifestOf(folder, { skip: isLeftOut });
  const totals = manifestTotals(expected);

  const tier = await report.step(
    'move what is old to the bucket',
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return await onSite<{ moved: { chunks: number; bytes: number }; freed_bytes: number }>(shop, [
        'tier',
        'run',
        '--yes',
      ]);
    },
    ({ moved, freed_bytes }) => ({
      bytes: moved.bytes,
      note: `${moved.chunks} chunks, ${mib(moved.bytes)} to S3; ${mib(freed_bytes)} freed locally`,
    }),
  );
  await report.step(
    'ask the stores themselves, with a program that shares no code with edgestore',
    async () => {
      const why = whyNoBeliefs();
      if (why !== undefined) return `not done: ${why}`;
      const acknowledged = [{ snapshot: first.snapshot, level: 'sites=2' as const }];
      const { problems } = checkBeliefs({ owner: shop.dataDir, holders: [dcA.dataDir, dcB.dataDir], acknowledged });
      if (problems.length > 0) throw new Error(`called safe, and not there:\n${problems.join('\n')}`);
      return 'both holders have every chunk of what was called safe at two sites';
    },
    (note) => ({ note }),
  );
  const packBytes = folderBytes(join(dcB.dataDir, 'packs'));
  // The newest snapshot must be complete elsewhere before the disaster; nothing after this line reaches the shop's disk.
  await onSite(shop, ['sync', '--wait', 'sites=2']);

  await report.step('destroy the shop (SIGKILL, disk deleted) and one holder (SIGKILL)', async () => {
    await killAgent(shop);
    rmSync(shop.dataDir, { recursive: true });
    rmSync(folder, { recursive: true });
    await killAgent(dcA);
  });

  const again = layOutSite(
    base,
    'shop-again',
    'shop',
    await freePort(),
    storeToml(proxy.endpoint),
    shop.env as Record<string, string>,
  );
  await report.step('recover on a new machine, from the recovery sheet', () =>
    onSite(again, [
      'recover',
      ...['--from', dcB.env.QUICKSTART_ADDRESS as string],
      ...['--from', `s3://${BUCKET}/edge`, '--endpoint', proxy.endpoint, '--region', 'us-east-1'],
      ...['--agent', 'shop', '--recovery-file', recoverySheet],
    ]),
  );
  const target = join(base, 'restored');
  const restored = await report.step(
    'restore every file',
    () => onSite<RestoreData>(again, ['restore', 'latest', '--root', 'files', '--target', target]),
    ({ bytes, files }) => ({
      bytes: bytes.written,
      note: `${files.restored} items; bytes from local ${mib(bytes.from.local)}, peers ${mib(bytes.from.peers)}, S3 ${mib(bytes.from.s3)}`,
    }),
  );

  const fromBucket = join(base, 'restored-from-the-bucket');
  await report.step(
    'restore every file once more, from the bucket alone',
    () => onSite<RestoreData>(again, ['restore', 'latest', '--root', 'files', '--from', 's3', '--target', fromBucket]),
    ({ bytes, files }) => ({
      bytes: bytes.written,
      note: `${files.restored} items; bytes from S3 ${mib(bytes.from.s3)}, peers ${mib(bytes.from.peers)}`,
    }),
  );

  const found = await report.step('compare every byte and all metadata, of both', async () => [
    ...differences(expected, manifestOf(target)),
    ...differences(expected, manifestOf(fromBucket)),
  ]);
  const stored = first.bytes.stored;
  report.print([
    ['files, folders, others', `${totals.files}, ${totals.dirs}, ${totals.others}`],
    ['bytes', mib(totals.bytes)],
    ['dedup ratio (bytes read : new bytes, trees included)', ratio(first.bytes.read, first.bytes.new)],
    ['compression ratio (new bytes : sealed bytes)', ratio(first.bytes.new, stored)],
    ['packs at dc-b', mib(packBytes)],
    ['edited while watched', `${edited} files`],
    ['moved to the bucket', mib(tier.moved.bytes)],
    ['requests to S3', [...proxy.counts].map(([verb, { requests }]) => `${verb} ${requests}`).join(', ') || 'none'],
    ['restored from', `peers ${mib(restored.bytes.from.peers)}, S3 ${mib(restored.bytes.from.s3)}`],
    ['S3 endpoint', s3.what],
  ]);
  if (found.length > 0) {
    process.stdout.write(`\nNOT EQUAL:\n${found.join('\n')}\n`);
    return false;
  }
  process.stdout.write(
    `\nEqual: all ${expected.size} entries have the same bytes and metadata as before the disaster.\n`,
  );
  return true;
}

interface RestoreData {
  readonly files: Readonly<Record<'restored' | 'skipped' | 'failed', number>>;
  readonly bytes: { readonly written: number; readonly from: Readonly<Record<'local' | 'peers' | 's3', number>> };
}

function storeToml(endpoint: string): string {
  return `[stores.archive]\nurl = "s3://${BUCKET}/edge"\nendpoint = "${endpoint}"\nregion = "us-east-1"\npath_style = true\n`;
}

async function layOutSites(endpoint: string, s3: { accessKey: string; secretKey: string }) {
  const env = { AWS_ACCESS_KEY_ID: s3.accessKey, AWS_SECRET_ACCESS_KEY: s3.secretKey };
  const shopToml = `
[replication.default]
copies = 2
sites = 2
[tiering.default]
hot = "1s"
warm = "2s"
cold = "archive"
${storeToml(endpoint)}`;
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const shop = layOutSite(base, 'shop', 'shop', ports[0], shopToml, env);
  const holder = (name: string, port: number) =>
    layOutSite(base, name, name, port, '', { QUICKSTART_ADDRESS: `https://127.0.0.1:${port}` });
  const dcA = holder('dc-a', ports[1]);
  const dcB = holder('dc-b', ports[2]);
  const recoverySheet = join(base, 'recovery-sheet.txt');
  await onSite(shop, ['init', '--name', 'shop', '--site', 'shop', '--recovery-out', recoverySheet]);
  await startAgent(shop);
  for (const site of [dcA, dcB]) {
    const { token } = await onSite<{ token: string }>(shop, ['peer', 'invite', '--role', 'holder']);
    const tokenFile = join(base, `${site.name}.token`);
    writeFileSync(tokenFile, token, { mode: 0o600 });
    await onSite(site, ['peer', 'join', '--token-file', tokenFile]);
    await startAgent(site);
  }
  return { shop, dcA, dcB, recoverySheet };
}

async function countSnapshots(site: Site): Promise<number> {
  const { snapshots } = await onSite<{ snapshots: unknown[] }>(site, ['snapshot', 'list']);
  return snapshots.length;
}

function ratio(of: number, to: number): string {
  return to === 0 ? '–' : `${(of / to).toFixed(2)} : 1`;
}
