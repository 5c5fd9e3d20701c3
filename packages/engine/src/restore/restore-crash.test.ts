import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const child = new URL('../testing/restore-child.ts', import.meta.url).pathname;
const kills = Number(process.env.EDGESTORE_RESTORE_KILLS ?? 2);
let base: string;

beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'edge-crash-'));
});

afterEach(() => {
  fs.rmSync(base, { recursive: true, force: true });
});

interface Ending {
  readonly killed: boolean;
  /** What it wrote to stderr. */
  readonly complaint: string;
  readonly report: { files: { restored: number; skipped: number; failed: number }; failures: number } | undefined;
}

/** Runs a restore; kills it so many ms after it began, or at a failpoint. */
function run(
  target: string,
  how: { killAfterMs?: number; failpoint?: string; inPlace?: boolean } = {},
): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const args = [
      child,
      'crash',
      join(base, 'packs'),
      target,
      how.failpoint ?? '',
      how.inPlace === true ? 'in-place' : '',
    ];
    const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    process_.stdout.on('data', (part: Buffer) => {
      if (text === '' && how.killAfterMs !== undefined) setTimeout(() => process_.kill('SIGKILL'), how.killAfterMs);
      text += part.toString();
    });
    let complaint = '';
    process_.stderr.on('data', (part: Buffer) => {
      complaint += part.toString();
    });
    process_.on('error', reject);
    process_.on('close', (_status, signal) => {
      const line = text.split('\n')[1];
      resolve({
        killed: signal === 'SIGKILL',
        complaint,
        report: line === undefined || line === '' ? undefined : JSON.parse(line),
      });
    });
  });
}

/** Everything about a tree that a restore answers for, as one digest, by code that shares nothing with it. */
function fingerprint(path: string): string {
  const hash = createHash('sha256');
  const walk = (at: string): void => {
    const stat = fs.lstatSync(at, { bigint: true });
    hash.update(
      `${at.slice(path.length)} ${stat.mode} ${stat.mtimeNs} ${stat.isDirectory() ? 0 : stat.nlink} ${stat.isFile() ? stat.size : 0}\n`,
    );
    if (stat.isSymbolicLink()) hash.update(fs.readlinkSync(at));
    else if (stat.isFile()) hash.update(fs.readFileSync(at));
    else for (const name of fs.readdirSync(at).sort()) walk(join(at, name));
  };
  walk(path);
  return hash.digest('hex');
}

let wholePrint: string | undefined;

async function whole(): Promise<string> {
  if (wholePrint !== undefined) return wholePrint;
  const target = join(base, 'whole');
  expect(await run(target)).toMatchObject({ killed: false, report: { failures: 0 } });
  const print = fingerprint(target);
  fs.rmSync(target, { recursive: true });
  wholePrint = print;
  return print;
}

function leftovers(folder: string): string[] {
  return (fs.readdirSync(folder, { recursive: true }) as string[]).filter((name) => name.includes('edgestore-partial'));
}

test('a restore that is killed at any moment is finished by the next run, and the target is never seen half-made', async () => {
  const expected = await whole();
  let stopped = 0;
  for (let i = 0; i < kills; i++) {
    const target = join(base, `out-${i}`);
    if (i % 2 === 1) fs.mkdirSync(target);
    for (let attempt = 0; attempt < 2; attempt++) {
      const { killed } = await run(target, { killAfterMs: 10 + ((i * 97 + attempt * 41) % 300) });
      if (!killed) break;
      stopped++;
      if (i % 2 !== 1 && fs.existsSync(target)) expect(fingerprint(target).length).toBe(64);
    }
    if (leftovers(base).length > 0 || !fs.existsSync(target) || fs.readdirSync(target).length === 0) {
      expect(await run(target)).toMatchObject({ killed: false, report: { failures: 0, files: { failed: 0 } } });
    }
    expect(fingerprint(target), `round ${i}`).toBe(expected);
    expect(leftovers(base)).toEqual([]);
    fs.rmSync(target, { recursive: true });
  }
  expect(stopped).toBeGreaterThan(0);
}, 600_000);

/** The scenes under `test/crash` kill a restore at every failpoint; here are those that need this test's finer comparison. */
const POINTS: Record<string, readonly string[]> = {
  sibling: ['restore.window-finished', 'restore.renamed'],
  inside: ['restore.entry-renamed:7', 'restore.renamed'],
  'in-place': ['restore.window-written', 'restore.content-synced'],
};

test.each(['sibling', 'inside', 'in-place'])('a kill between two steps is made good (%s)', async (kind) => {
  const expected = await whole();
  const points = POINTS[kind]!;
  for (const failpoint of points) {
    const target = join(base, 'out');
    if (kind !== 'sibling') fs.mkdirSync(target);
    const inPlace = kind === 'in-place';
    const first = await run(target, { failpoint, inPlace });
    expect(first.killed, failpoint).toBe(true);
    const again = await run(target, { inPlace });
    expect(again, failpoint).toMatchObject({ killed: false, report: { failures: 0 } });
    expect(fingerprint(target), failpoint).toBe(expected);
    expect(leftovers(base)).toEqual([]);
    fs.rmSync(target, { recursive: true });
  }
});

test('a resumed restore does not write again what is complete', async () => {
  await whole();
  const target = join(base, 'out');
  await run(target, { failpoint: 'restore.content-synced' });
  const { report } = await run(target);
  expect(report).toMatchObject({ files: { restored: 11, failed: 0 }, failures: 0 });
  expect(report!.files.skipped).toBe(12 * 31 + 1 + 1 + 1);
});

test('a full target is E_NO_SPACE, and the same restore goes on when there is space', async (context) => {
  if (process.getuid?.() !== 0) context.skip();
  const mount = join(base, 'mount');
  fs.mkdirSync(mount);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', mount]);
  try {
    const expected = await whole();
    const target = join(mount, 'out');
    const full = await run(target);
    expect(full).toMatchObject({ killed: false, report: undefined, complaint: expect.stringContaining('E_NO_SPACE') });
    expect(fs.existsSync(target)).toBe(false);
    execFileSync('mount', ['-o', 'remount,size=64m', mount]);
    expect(await run(target)).toMatchObject({ killed: false, report: { failures: 0 } });
    expect(fingerprint(target)).toBe(expected);
    expect(leftovers(mount)).toEqual([]);
  } finally {
    execFileSync('umount', [mount]);
  }
});
