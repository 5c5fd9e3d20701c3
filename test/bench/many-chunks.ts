/**
 * Peak memory and seconds of every command over many small chunks (the promise: below 400 MiB at ten million):
 *
 *   node test/bench/many-chunks.ts [--chunks 1000000] [--work DIR] [--keep] [--only STEP[,STEP…]]
 *
 * An owner, a holder and a bucket in a folder, as real processes; some 3.5 kB of disk a chunk. With `--keep` the folder stays, and a later run with the same
 * `--work` does only the steps that it is told. Every step may be run alone then, in the order that `STEPS` has.
 */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runEdgestore, startEdgestore, waitUntil } from '../support/edgestore-process.ts';
import { freePort } from '../support/free-port.ts';
import { peakMibOf, resetPeak, runMeasured } from './peak-memory.ts';
import { cutSmallChunks, makeTree } from './small-chunks.ts';

const { values: options } = parseArgs({
  options: {
    chunks: { type: 'string', default: '1000000' },
    work: { type: 'string' },
    keep: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const chunks = Number(options.chunks);
const work = options.work ?? mkdtempSync(join(tmpdir(), 'edgestore-many-'));
const tree = join(work, 'tree');
const at = (name: string) => ({ config: join(work, `${name}.toml`), dataDir: join(work, name), name });
const [owner, holder, again, fromBucket] = [at('owner'), at('holder'), at('again'), at('from-bucket')];
const sheet = join(work, 'sheet.txt');
const archive = join(work, 'archive');
type Machine = typeof owner;

/** What is promised (P7). */
const PEAK_MIB_MAX = 400;
let tooMuch = 0;
const running = new Set<ChildProcess>();

const STEPS: Record<string, () => Promise<void>> = {
  make: async () => {
    mkdirSync(work, { recursive: true });
    makeTree(tree, chunks);
    // A file that changed a moment ago is read again.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    for (const machine of [owner, holder]) await configure(machine);
    must(await runEdgestore(['init', '--name', 'owner', '--recovery-out', sheet, '--config', owner.config]));
    await cutSmallChunks(owner.dataDir);
  },
  first: () => run(owner, 'first sync', ['sync']),
  unchanged: () => run(owner, 'unchanged sync', ['sync']),
  look: async () => {
    await run(owner, 'status', ['status'], [0, 20]);
    await run(owner, 'ls', ['ls', 'latest:large']);
    await run(owner, 'where', ['where', 'latest:large/0.bin']);
    await run(owner, 'snapshot list', ['snapshot', 'list']);
  },
  rebuild: async () => {
    await rebuild(owner, 'rebuild');
    // It leaves no rows of folders: every file is read again.
    await run(owner, 'sync after a rebuild', ['sync']);
  },
  scrub: () => run(owner, 'scrub', ['scrub'], [0, 20]),
  join: async () => {
    const agent = await start(owner);
    const { stdout } = must(
      await runEdgestore(['peer', 'invite', '--role', 'holder', '--json', '--config', owner.config]),
    );
    const token = join(work, 'token');
    writeFileSync(token, JSON.parse(stdout).data.token, { mode: 0o600 });
    must(await runEdgestore(['peer', 'join', '--token-file', token, '--config', holder.config]));
    await stop(agent);
  },
  peer: async () => {
    await configure(owner, { copies: 1 });
    const [there, here] = [await start(holder), await start(owner)];
    const started = performance.now();
    await waitFor('sites=1');
    report('replicate: owner', here, started);
    report('replicate: holder', there, started);
    await hotPaths(here, owner, 'owner');
    await hotPaths(there, holder, 'holder');
    const wake = performance.now();
    resetPeak(here.pid!);
    resetPeak(there.pid!);
    await waitFor('sites=1');
    report('unchanged sync and wake: owner', here, wake);
    report('unchanged sync and wake: holder', there, wake);
    await stop(here);
    await stop(there);
  },
  holder: async () => {
    await run(holder, 'holder: status', ['status'], [0, 20]);
    await rebuild(holder, 'holder: rebuild');
    await run(holder, 'holder: scrub', ['scrub'], [0, 20]);
  },
  bucket: async () => {
    await configure(owner, { copies: 1, bucket: true });
    const there = await start(holder);
    await run(owner, 'replicate: bucket', ['sync', '--wait', 's3']);
    await run(owner, 'status with a bucket', ['status'], [0, 20]);
    await stop(there);
  },
  tier: async () => {
    await configure(owner, { copies: 1, bucket: true, tiers: true });
    const there = await start(holder);
    await run(owner, 'tier plan', ['tier', 'plan']);
    await run(owner, 'tier run', ['tier', 'run', '--yes']);
    await run(owner, 'tier status', ['tier', 'status']);
    await run(owner, 'status after tiering', ['status'], [0, 20]);
    await run(owner, 'unchanged sync after tiering', ['sync']);
    await run(owner, 'scrub after tiering', ['scrub'], [0, 20]);
    await rebuild(owner, 'rebuild after tiering');
    await run(owner, 'sync after that', ['sync', '--wait', 's3']);
    await stop(there);
  },
  restore: async () => {
    const there = await start(holder);
    await run(owner, 'restore', ['restore', 'latest', '--target', join(work, 'restored')]);
    await stop(there);
    same(join(work, 'restored'));
  },
  recover: async () => {
    await configure(again);
    const there = await start(holder);
    await run(again, 'recover from the holder', [
      'recover',
      '--from',
      `https://127.0.0.1:${portOf(holder)}`,
      '--agent',
      'owner',
      '--recovery-file',
      sheet,
    ]);
    await run(again, 'status after recover', ['status'], [0, 20]);
    await run(again, 'restore from the holder', [
      'restore',
      'latest',
      '--root',
      'files',
      '--target',
      join(work, 'restored'),
    ]);
    await stop(there);
    same(join(work, 'restored'));
  },
  'recover-bucket': async () => {
    await configure(fromBucket);
    await run(fromBucket, 'recover from the bucket', [
      'recover',
      '--from',
      `file://${archive}`,
      '--agent',
      'owner',
      '--recovery-file',
      sheet,
    ]);
  },
};

const steps = options.only?.split(',') ?? Object.keys(STEPS);
for (const name of steps)
  if (STEPS[name] === undefined) fail(`there is no step ${name}: ${Object.keys(STEPS).join(', ')}`);
try {
  for (const name of steps) await STEPS[name]!();
} finally {
  for (const child of running) child.kill('SIGKILL');
  if (options.keep) say(`kept: ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
if (tooMuch > 0) fail(`${tooMuch} above ${PEAK_MIB_MAX} MiB`);

async function configure(
  machine: Machine,
  with_: { copies?: number; bucket?: boolean; tiers?: boolean } = {},
): Promise<void> {
  const port = existsSync(machine.config) ? portOf(machine) : await freePort();
  const parts = [
    `[agent]\nname = "${machine.name}"\nsite = "${machine.name}"\ndata_dir = "${machine.dataDir}"\nlisten = "127.0.0.1:${port}"`,
  ];
  if (machine === owner) parts.push(`[[roots]]\nname = "files"\npath = "${tree}"\nwatch = false`);
  if (with_.copies !== undefined)
    parts.push(`[replication.default]\ncopies = ${with_.copies}${with_.bucket === true ? '\nstore = "archive"' : ''}`);
  if (with_.bucket === true) parts.push(`[stores.archive]\nurl = "file://${archive}"`);
  if (with_.tiers === true) parts.push(`[tiering.default]\nhot = "1s"\nwarm = "2s"\ncold = "archive"`);
  writeFileSync(machine.config, `${parts.join('\n')}\n`);
}

function portOf({ config }: Machine): number {
  return Number(/listen = "127.0.0.1:(\d+)"/.exec(readFileSync(config, 'utf8'))![1]);
}

async function run(
  machine: Machine,
  what: string,
  args: readonly string[],
  exitCodes: readonly number[] = [0],
): Promise<void> {
  const { seconds, peakMib, done } = await runMeasured([...args, '--config', machine.config]);
  print(what, seconds, peakMib);
  if (!exitCodes.includes(done.exitCode ?? -1))
    say(`  ended with ${done.exitCode ?? done.signal}: ${done.stdout.slice(-500)}${done.stderr.slice(-1500)}`);
}

async function rebuild(machine: Machine, what: string): Promise<void> {
  for (const part of ['', '-wal', '-shm']) rmSync(join(machine.dataDir, `index.sqlite${part}`), { force: true });
  await run(machine, what, ['status'], [0, 20]);
}

/** A level may take longer than a command waits for it. */
async function waitFor(level: string): Promise<void> {
  for (;;) {
    const done = await runEdgestore(['sync', '--wait', level, '--config', owner.config]);
    if (done.exitCode === 0) return;
    if (done.exitCode !== 5) must(done);
  }
}

/** Starts the agent and says what the start took, up to its first answer. */
async function start(machine: Machine): Promise<ChildProcess> {
  const started = performance.now();
  const child = startEdgestore(['agent', 'run', '--config', machine.config]);
  running.add(child);
  let log = '';
  child.stdout?.resume();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-4000);
  });
  await waitUntil(`the agent of ${machine.name} answers`, 600_000, async () => {
    if (child.exitCode !== null) fail(`the agent of ${machine.name} ended with ${child.exitCode}:\n${log}`);
    return (await get(machine, '/healthz')) === 200 ? true : undefined;
  });
  report(`start: ${machine.name}`, child, started);
  resetPeak(child.pid!);
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
  running.delete(child);
}

/** What is asked of a running agent again and again. */
async function hotPaths(agent: ChildProcess, machine: Machine, who: string): Promise<void> {
  for (const path of ['/metrics', '/v1/status']) {
    resetPeak(agent.pid!);
    const asked = performance.now();
    const status = await get(machine, path);
    report(`${path}: ${who}${status === 200 ? '' : ` (${status})`}`, agent, asked);
  }
}

function get(machine: Machine, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ socketPath: join(machine.dataDir, 'run/agent.sock'), path }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
  });
}

function report(what: string, child: ChildProcess, started: number): void {
  print(what, (performance.now() - started) / 1000, peakMibOf(child.pid!) ?? Number.NaN);
}

function print(what: string, seconds: number, peakMib: number): void {
  const isTooMuch = !(peakMib <= PEAK_MIB_MAX);
  if (isTooMuch) tooMuch++;
  say(
    `${what.padEnd(36)}${seconds.toFixed(2).padStart(9)} s${peakMib.toFixed(0).padStart(7)} MiB${isTooMuch ? '  <- too much' : ''}`,
  );
}

/** Compares with the tree, and removes what was restored. */
function same(restored: string): void {
  const compared = spawnSync('diff', ['-rq', '--no-dereference', tree, restored], { encoding: 'utf8' });
  if (compared.status !== 0) say(`  restored something else: ${compared.stdout.slice(0, 500)}`);
  rmSync(restored, { recursive: true, force: true });
}

function must<Done extends { exitCode: number | undefined; stdout: string; stderr: string }>(done: Done): Done {
  if (done.exitCode !== 0) fail(`ended with ${done.exitCode}: ${done.stdout}${done.stderr}`);
  return done;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(text: string): never {
  throw new Error(text);
}
