/** Trees of which nearly nothing changed: what is taken over as it was must be what a first capture would find. */
import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { captureFixturePool, openCaptureFixture } from '../testing/capture-fixture.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';

let pool: WorkerPool<PipelineTasks>;
beforeAll(() => {
  pool = captureFixturePool(2);
});
afterAll(async () => {
  await pool.close();
});

interface Change {
  readonly what: string;
  readonly make: (tree: string) => unknown;
}

/** Applied one after the other to the same tree. `a/b` has the folders 0 to 3 with a folder `in` each, files everywhere. */
const CHANGES: readonly Change[] = [
  { what: 'nothing', make: () => undefined },
  {
    what: 'a file rewritten in its length, with its old modification time',
    make: (tree) => {
      const file = join(tree, 'a/b/1/in/file-3');
      const { atime, mtime } = fs.statSync(file);
      fs.writeFileSync(file, 'CONTENT 3');
      fs.utimesSync(file, atime, mtime);
    },
  },
  {
    what: 'a file under another name of the same length',
    make: (tree) => fs.renameSync(join(tree, 'a/b/2/in/file-0'), join(tree, 'a/b/2/in/file-x')),
  },
  { what: 'a file that is gone', make: (tree) => fs.rmSync(join(tree, 'a/b/3/in/file-1')) },
  { what: 'a new empty file', make: (tree) => fs.writeFileSync(join(tree, 'a/b/3/in/new'), '') },
  { what: 'a new folder', make: (tree) => fs.mkdirSync(join(tree, 'a/b/0/in/deeper')) },
  { what: 'a file in that folder', make: (tree) => fs.writeFileSync(join(tree, 'a/b/0/in/deeper/f'), 'f') },
  { what: 'permissions of a folder', make: (tree) => fs.chmodSync(join(tree, 'a/b/0/in'), 0o700) },
  {
    what: 'a folder in the place of another',
    make: (tree) => {
      fs.renameSync(join(tree, 'a/b/1/in'), join(tree, 'a/b/1/was'));
      fs.cpSync(join(tree, 'a/b/1/was'), join(tree, 'a/b/1/in'), { recursive: true, preserveTimestamps: true });
    },
  },
  { what: 'a folder moved', make: (tree) => fs.renameSync(join(tree, 'a/b/2'), join(tree, 'a/c')) },
  { what: 'a folder that is gone', make: (tree) => fs.rmSync(join(tree, 'a/b/1/was'), { recursive: true }) },
  {
    what: 'a folder that is a symlink now',
    make: (tree) => {
      fs.renameSync(join(tree, 'a/b/1/in'), join(tree, 'elsewhere'));
      fs.symlinkSync('../../../elsewhere', join(tree, 'a/b/1/in'));
    },
  },
  {
    what: 'a second name of a file that comes before the first one',
    make: (tree) => fs.linkSync(join(tree, 'a/c/in/file-2'), join(tree, 'a/b/0/also')),
  },
  { what: 'that folder moved behind the other', make: (tree) => fs.renameSync(join(tree, 'a/b/0'), join(tree, 'a/z')) },
  { what: 'and back', make: (tree) => fs.renameSync(join(tree, 'a/z'), join(tree, 'a/b/0')) },
  { what: 'that second name gone', make: (tree) => fs.rmSync(join(tree, 'a/b/0/also')) },
  {
    what: 'an ignore file',
    make: (tree) => fs.writeFileSync(join(tree, 'a/b/.edgestoreignore'), 'file-2\nin/file-0\n'),
  },
  {
    what: 'the same with another rule',
    make: (tree) => fs.writeFileSync(join(tree, 'a/b/.edgestoreignore'), 'file-1'),
  },
  { what: 'no ignore file', make: (tree) => fs.rmSync(join(tree, 'a/b/.edgestoreignore')) },
  {
    what: 'a folder marked as a cache',
    make: (tree) =>
      fs.writeFileSync(join(tree, 'a/c/CACHEDIR.TAG'), 'Signature: 8a477f597d28d172789f06886806bc55\nand more'),
  },
  { what: 'a mark that is none', make: (tree) => fs.writeFileSync(join(tree, 'a/c/CACHEDIR.TAG'), 'no signature') },
  {
    what: 'a socket',
    make: async (tree) => {
      const server = net.createServer().unref().listen(join(tree, 'a/b/0/s'));
      await new Promise((resolve) => server.once('listening', resolve));
    },
  },
];

test('whatever changes somewhere below, the snapshot is the one that a first capture would make', async () => {
  const folder = temporaryFolder();
  const tree = join(folder.path, 'tree');
  for (const n of [0, 1, 2, 3]) {
    const inner = join(tree, `a/b/${n}/in`);
    fs.mkdirSync(inner, { recursive: true });
    for (let i = 0; i < 5; i++) fs.writeFileSync(join(inner, `file-${i}`), `content ${i}`);
    fs.writeFileSync(join(tree, `a/b/${n}/beside`), `${n}`);
  }
  const fixture = await openCaptureFixture(join(folder.path, 'data'), { pool });
  let hours = 1;
  const input = { root: { name: 'tree', path: Buffer.from(tree) } };
  // Each capture an hour after the last, so that nothing is read again only because it is recent.
  const capture = (of: typeof fixture) => {
    const { clock } = fixture.deps;
    return of.capture(input, { clock: { ...clock, nowNs: () => clock.nowNs() + BigInt(hours) * 3_600_000_000_000n } });
  };
  await capture(fixture);
  for (const [i, { what, make }] of CHANGES.entries()) {
    await make(tree);
    hours++;
    const report = await capture(fixture);
    const fresh = await openCaptureFixture(join(folder.path, `fresh-${i}`), { pool });
    const first = await capture(fresh);
    expect(await fixture.entries(report), what).toEqual(await fresh.entries(first));
    expect(fixture.snapshot(report).stats, what).toMatchObject(countsOf(fresh.snapshot(first).stats));
    const before = report.files;
    await fresh.close();
    hours++;
    // Remembered as it is now: the next time nothing is read and nothing is new.
    fixture.warnings.length = 0;
    const again = await capture(fixture);
    expect(again.files, what).toEqual({ ...before, new: 0, changed: 0, removed: 0, unchanged: first.files.new });
    expect([again.bytes.read, again.treeUnchanged], what).toEqual([0, true]);
  }
  // The last of them; it is told each time.
  expect(fixture.warnings.join()).toContain('a/b/0/s is a socket');
  await fixture.close();
  folder.remove();
});

test('a folder whose row is newer than that of the folder around it', async () => {
  const folder = temporaryFolder();
  const tree = join(folder.path, 'tree');
  fs.mkdirSync(join(tree, 'a/b'), { recursive: true });
  fs.writeFileSync(join(tree, 'a/b/file'), 'one');
  const fixture = await openCaptureFixture(join(folder.path, 'data'), { pool });
  const { clock } = fixture.deps;
  const later = { clock: { ...clock, nowNs: () => clock.nowNs() + 3_600_000_000_000n } };
  const input = { root: { name: 'tree', path: Buffer.from(tree) } };
  await fixture.capture(input, later);
  const { folders } = fixture.deps.index;
  const rows = ['', 'a'].map((path) => ({
    path: Buffer.from(path),
    value: Uint8Array.from(folders.get('tree', Buffer.from(path))!.value),
  }));
  fs.writeFileSync(join(tree, 'a/b/file'), 'two');
  const second = await fixture.entries(await fixture.capture(input, later));
  // As a run leaves it that was killed while it wrote its rows.
  folders.put('tree', rows);
  expect(await fixture.entries(await fixture.capture(input, later))).toEqual(second);
  await fixture.close();
  folder.remove();
});

function countsOf({ files, dirs, others, bytes }: { files: number; dirs: number; others: number; bytes: number }) {
  return { files, dirs, others, bytes };
}
