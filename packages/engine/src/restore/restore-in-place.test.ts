import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { expect, test } from 'vitest';
import { setUpRestore } from '../testing/restore-setup.ts';
import type { Entry } from '../tree/entry.ts';
import type { Overwrite } from './restore-types.ts';

const { fixture, place, deps, inputFor, restore, warnings } = setUpRestore('in-place');
const SECOND = 1_000_000_000n;

function inPlace(root: Entry, overwrite: Overwrite, remove = false) {
  return restore(inputFor(root, { inPlace: { overwrite, delete: remove } }), deps([fixture().source('local')]));
}

function names(path = place('out')): string[] {
  return (fs.readdirSync(path, { recursive: true }) as string[]).sort();
}

function makeOut(files: Record<string, { text: string; seconds: number }>): void {
  for (const [name, { text, seconds }] of Object.entries(files)) {
    const path = place(`out/${name}`);
    fs.mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true });
    fs.writeFileSync(path, text);
    fs.utimesSync(path, seconds, seconds);
  }
}

test('each overwrite mode decides by its own rule', async () => {
  const f = fixture();
  const root = f.dir('', [
    f.file('absent', 'snap', { mtimeNs: 100n * SECOND }),
    f.file('newer-here', 'snap', { mtimeNs: 100n * SECOND }),
    f.file('older-here', 'snap', { mtimeNs: 100n * SECOND }),
    f.file('same', 'snap', { mtimeNs: 100n * SECOND }),
  ]);
  const expected = {
    never: ['snap', 'mine', 'mine', 'eman'],
    'if-changed': ['snap', 'snap', 'snap', 'eman'],
    'if-newer': ['snap', 'mine', 'snap', 'eman'],
    always: ['snap', 'snap', 'snap', 'snap'],
  };
  for (const mode of ['never', 'if-changed', 'if-newer', 'always'] as const) {
    fs.rmSync(place('out'), { recursive: true, force: true });
    makeOut({
      'newer-here': { text: 'mine', seconds: 200 },
      'older-here': { text: 'mine', seconds: 50 },
      // Equal size and time: only `always` looks further.
      same: { text: 'eman', seconds: 100 },
      extra: { text: 'stays', seconds: 1 },
    });
    const report = await inPlace(root, mode);
    expect(report.failures).toEqual([]);
    const found = ['absent', 'newer-here', 'older-here', 'same'].map((name) =>
      fs.readFileSync(place(`out/${name}`), 'utf8'),
    );
    expect(found, mode).toEqual(expected[mode]);
    expect(names()).toEqual(['absent', 'extra', 'newer-here', 'older-here', 'same']);
    expect(report.files.restored + report.files.skipped).toBe(4);
  }
});

test('with delete, extras go, except sockets, what is protected, and what the tree may have lost', async () => {
  const f = fixture();
  const root = f.dir('', [f.dir('d', [f.file('a', 'a')]), f.file('x', 'x')]);
  makeOut({
    'd/extra': { text: '', seconds: 1 },
    'deep/in/it': { text: '', seconds: 1 },
    'cache/keep': { text: '', seconds: 1 },
  });
  fs.symlinkSync('/etc', place('out/link'));
  const input = inputFor(root, {
    inPlace: { overwrite: 'always', delete: true },
    protect: (path) => Buffer.from(path).toString() === 'cache',
  });
  const report = await restore(input, deps([f.source('local')]));
  expect(report.failures).toEqual([]);
  expect(report.removed).toBe(3);
  expect(names()).toEqual(['cache', 'cache/keep', 'd', 'd/a', 'x']);
  expect(fs.existsSync('/etc/passwd')).toBe(true);

  makeOut({ extra: { text: '', seconds: 1 } });
  const failed = { ...input, body: { ...input.body, failed: 2 } };
  await restore(failed, deps([f.source('local')]));
  expect(names()).toContain('extra');
  expect(warnings.join()).toMatch(/nothing is deleted/);
});

test('planted symlinks are never written through', async () => {
  const f = fixture();
  const root = f.dir('', [
    f.dir('d', [f.file('a', 'new')]),
    f.file('x', 'new'),
    f.file('big', Buffer.alloc(5_000_000, 1)),
  ]);
  fs.mkdirSync(place('out'));
  fs.mkdirSync(place('elsewhere'));
  for (const name of ['a', 'x', 'big']) fs.writeFileSync(place(`elsewhere/${name}`), 'untouched');
  fs.symlinkSync(place('elsewhere'), place('out/d'));
  fs.symlinkSync(place('elsewhere/x'), place('out/x'));
  fs.symlinkSync(place('elsewhere/big'), place('out/big'));
  const kept = await inPlace(root, 'never');
  expect(kept.files).toEqual({ restored: 0, skipped: 2, failed: 1 });
  expect(fs.readdirSync(place('elsewhere')).sort()).toEqual(['a', 'big', 'x']);
  const report = await inPlace(root, 'always');
  expect(report.failures).toEqual([]);
  for (const name of ['a', 'x', 'big']) expect(fs.readFileSync(place(`elsewhere/${name}`), 'utf8')).toBe('untouched');
  expect(fs.readFileSync(place('out/d/a'), 'utf8')).toBe('new');
  expect(fs.lstatSync(place('out/x')).isFile()).toBe(true);
  expect(fs.statSync(place('out/big')).size).toBe(5_000_000);
  expect(names()).toEqual(['big', 'd', 'd/a', 'x']);
});

test('a folder in the way of a file is only removed with delete', async () => {
  const f = fixture();
  const root = f.dir('', [f.file('x', 'x')]);
  makeOut({ 'x/inside': { text: '', seconds: 1 } });
  const refused = await inPlace(root, 'always');
  expect(refused.failures).toMatchObject([{ code: 'E_FAILED' }]);
  const report = await inPlace(root, 'always', true);
  expect(report.failures).toEqual([]);
  expect(fs.readFileSync(place('out/x'), 'utf8')).toBe('x');
});

test('hard links are made anew, and never to content that was kept', async () => {
  const f = fixture();
  const hardLink = new Uint8Array(16).fill(1);
  const root = f.dir(
    '',
    ['a', 'b', 'c'].map((name) => f.file(name, 'snap', { hardLink, mtimeNs: 100n * SECOND })),
  );
  makeOut({ a: { text: 'mine', seconds: 500 } });
  const kept = await inPlace(root, 'if-newer');
  expect(kept.failures).toEqual([]);
  expect(['a', 'b', 'c'].map((name) => fs.readFileSync(place(`out/${name}`), 'utf8'))).toEqual([
    'mine',
    'snap',
    'snap',
  ]);
  expect(fs.statSync(place('out/b')).ino).toBe(fs.statSync(place('out/c')).ino);
  for (let again = 0; again < 2; again++) {
    const report = await inPlace(root, 'always');
    expect(report.failures).toEqual([]);
    expect(fs.statSync(place('out/a')).nlink).toBe(3);
    expect(names()).toEqual(['a', 'b', 'c']);
  }
});

test('one file is brought back by its own path', async () => {
  const f = fixture();
  const root = f.dir('', [f.dir('d', [f.file('a', 'snap')])]);
  makeOut({ 'd/a': { text: 'broken', seconds: 1 }, 'd/other': { text: 'mine', seconds: 1 } });
  const input = inputFor(root, {
    subpath: Buffer.from('d/a'),
    target: Buffer.from(place('out/d/a')),
    inPlace: { overwrite: 'always', delete: true },
  });
  const report = await restore(input, deps([f.source('local')]));
  expect(report.failures).toEqual([]);
  expect(fs.readFileSync(place('out/d/a'), 'utf8')).toBe('snap');
  expect(fs.readFileSync(place('out/d/other'), 'utf8')).toBe('mine');
});

test.runIf(process.getuid?.() === 0)('with delete, what is mounted in the target stays', async () => {
  const f = fixture();
  makeOut({ 'mounted/under': { text: '', seconds: 1 }, 'extra/mounted/under': { text: '', seconds: 1 } });
  const mounts = ['out/mounted', 'out/extra/mounted'].map(place);
  for (const mount of mounts) {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mount]);
    fs.writeFileSync(`${mount}/precious`, 'kept');
  }
  try {
    const report = await inPlace(f.dir('', [f.dir('mounted', [])]), 'always', true);
    expect(report.failures).toMatchObject([{ code: 'E_FAILED' }]);
    for (const mount of mounts) expect(fs.readFileSync(`${mount}/precious`, 'utf8')).toBe('kept');
  } finally {
    for (const mount of mounts) execFileSync('umount', [mount]);
  }
});
