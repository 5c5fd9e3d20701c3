import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { ChunkKind, toHex } from '../core/ids.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { createTreeFixture, type TreeFixture } from '../testing/tree-fixture.ts';
import type { Entry } from '../tree/entry.ts';
import { catFile } from './cat-file.ts';
import { catTar } from './cat-tar.ts';
import { diffTrees } from './diff-trees.ts';
import { findInTree } from './find-in-tree.ts';
import { listTree } from './list-tree.ts';
import { resolvePath } from './resolve-path.ts';
import { openTreeReader, type TreeReader } from './tree-reader.ts';
import { whereIs } from './where-is.ts';

let f: TreeFixture;

beforeEach(async () => {
  f = await createTreeFixture('browse');
});

function reader(source = f.source('local')): TreeReader {
  return openTreeReader({ sources: [source], opener: f.opener, warn: () => {} });
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const path = (of: string): Uint8Array => Buffer.from(of, 'latin1');

function sample(): Entry {
  return f.dir('', [
    f.dir('docs', [f.file('a.txt', 'A'), f.file(path('b\xff.txt'), 'B'), f.dir('deep', [f.file('c.txt', 'C')])]),
    f.file('top.txt', 'T'),
    f.symlink('link', 'docs'),
  ]);
}

test('ls shows a folder, everything below it, or one entry', async () => {
  const root = sample();
  const ls = async (at: string, recursive = false) =>
    (await collect(listTree(reader(), root, path(at), { recursive }))).map((item) => text(item.path));
  expect(await ls('')).toEqual(['docs', 'link', 'top.txt']);
  expect(await ls('docs')).toEqual(['docs/a.txt', 'docs/b\xff.txt', 'docs/deep']);
  expect(await ls('docs', true)).toEqual(['docs/a.txt', 'docs/b\xff.txt', 'docs/deep', 'docs/deep/c.txt']);
  expect(await ls('docs/b\xff.txt')).toEqual(['docs/b\xff.txt']);
  await expect(ls('link/a.txt')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});

test('a name is found in a folder of many pages with few reads', async () => {
  const root = f.dir(
    '',
    Array.from({ length: 20_000 }, (_, i) => f.symlink(`name-${String(i).padStart(6, '0')}`, 'x'.repeat(100))),
  );
  expect(root.pages!.length).toBeGreaterThan(8);
  const source = f.source('local');
  const one = reader(source);
  for (const name of ['name-000000', 'name-012345', 'name-019999']) {
    expect(text((await resolvePath(one, root, path(name))).path)).toBe(name);
  }
  expect(source.asked.length).toBeLessThan(3 * 8);
  await expect(resolvePath(one, root, path('name-000000x'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});

test('find matches names at any depth, and whole paths', async () => {
  const root = sample();
  const find = async (pattern: string) =>
    (await collect(findInTree(reader(), root, pattern))).map((item) => text(item.path));
  expect(await find('*.txt')).toEqual(['docs/a.txt', 'docs/b\xff.txt', 'docs/deep/c.txt', 'top.txt']);
  expect(await find('docs/*.txt')).toEqual(['docs/a.txt', 'docs/b\xff.txt']);
  expect(await find('b\\xff.txt')).toEqual(['docs/b\xff.txt']);
  await expect(find('[a')).rejects.toMatchObject({ code: 'E_USAGE' });
});

test('a lost page is said after all that can be listed', async () => {
  const root = sample();
  const docs = (await resolvePath(reader(), root, path('docs'))).entry;
  const without = reader(f.source('local', 'local', { has: (hex) => hex !== toHex(docs.pages![0]!) }));
  const seen: string[] = [];
  const walk = async () => {
    for await (const item of listTree(without, root, path(''), { recursive: true })) seen.push(text(item.path));
  };
  await expect(walk()).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  expect(seen).toEqual(['docs', 'link', 'top.txt']);
});

test('diff names what changed and how, and reads no page that both have', async () => {
  const shared = f.dir('shared', [f.file('x', 'x')]);
  const before = f.dir('', [
    shared,
    f.dir('gone', [f.file('in', 'i')]),
    f.dir('sub', [f.file('edited', '1'), f.file('moded', 'm'), f.file('same', 's')]),
    f.file('typed', 't'),
  ]);
  const after = f.dir('', [
    shared,
    f.dir('new', [f.file('in', 'i')]),
    f.dir('sub', [f.file('edited', '2'), f.file('moded', 'm', { mode: 0o600 }), f.file('same', 's')]),
    f.symlink('typed', 't'),
  ]);
  const source = f.source('local');
  const found = await collect(diffTrees(reader(source), before, after));
  expect(found.map(({ path: at, change }) => [text(at), change])).toEqual([
    ['gone', 'removed'],
    ['gone/in', 'removed'],
    ['new', 'added'],
    ['new/in', 'added'],
    ['sub/edited', 'content'],
    ['sub/moded', 'metadata'],
    ['typed', 'removed'],
    ['typed', 'added'],
  ]);
  expect(source.asked).not.toContain(toHex(shared.pages![0]!));
  expect(await collect(diffTrees(reader(), before, before))).toEqual([]);
});

test('diff over folders of many pages reads the changed pages only', async () => {
  const names = Array.from({ length: 20_000 }, (_, i) =>
    f.symlink(`name-${String(i).padStart(6, '0')}`, 'x'.repeat(100)),
  );
  const before = f.dir('', names);
  const after = f.dir('', [...names.slice(0, 10_000), f.file('name-010000-new', 'n'), ...names.slice(10_001)]);
  const source = f.source('local');
  const found = await collect(diffTrees(reader(source), before, after));
  expect(found.map(({ path: at, change }) => [text(at), change])).toEqual([
    ['name-010000', 'removed'],
    ['name-010000-new', 'added'],
  ]);
  expect(source.asked.length).toBeLessThan(5);
});

test('cat gives the bytes with zeros for holes', async () => {
  const random = createSeededRandom('cat')(700_000);
  const holes = [
    { offset: 0, length: 1000 },
    { offset: 301_000, length: 200_000 },
    { offset: 901_000, length: 5 },
  ];
  const file = f.file('sparse', random, { chunkBytes: 90_000, holes });
  const whole = Buffer.concat([
    Buffer.alloc(1000),
    random.subarray(0, 300_000),
    Buffer.alloc(200_000),
    random.subarray(300_000),
    Buffer.alloc(5),
  ]);
  expect(Buffer.concat(await collect(catFile(reader(), file))).equals(whole)).toBe(true);
  const listed = f.file('listed', random, { chunkBytes: 500 });
  expect(listed.content!.form).toBe('lists');
  expect(Buffer.concat(await collect(catFile(reader(), listed))).equals(random)).toBe(true);
  await expect(collect(catFile(reader(), f.dir('d', [])))).rejects.toMatchObject({ code: 'E_USAGE' });
});

test('a tar stream unpacks with tar to the same names, contents, links, modes and times', async () => {
  const hardLink = new Uint8Array(16).fill(1);
  const long = 'n'.repeat(200);
  const root = f.dir('', [
    f.file(path('odd\xff name'), 'odd', { mode: 0o640, mtimeNs: 1_234_567_890_123_456_789n }),
    f.file('old', 'o', { mtimeNs: -1_500_000_000n }),
    f.file('a', 'linked', { hardLink }),
    f.file('b', 'linked', { hardLink }),
    f.symlink('link', 'x'.repeat(150)),
    f.dir(long, [f.dir(long, [f.file('deep', Buffer.alloc(1024, 7))])]),
    f.file('sparse', 'end', { holes: [{ offset: 0, length: 10_000 }] }),
  ]);
  const base = fs.mkdtempSync(join(tmpdir(), 'edge-tar-'));
  try {
    execFileSync('tar', ['-xf', '-', '-C', base], {
      stdio: ['pipe', 'ignore', 'ignore'],
      input: Buffer.concat(await collect(catTar(reader(), root))),
    });
    expect(fs.readFileSync(Buffer.from(`${base}/odd\xff name`, 'latin1'), 'utf8')).toBe('odd');
    const odd = fs.statSync(Buffer.from(`${base}/odd\xff name`, 'latin1'), { bigint: true });
    expect([odd.mtimeNs, Number(odd.mode & 0o777n)]).toEqual([1_234_567_890_123_456_789n, 0o640]);
    expect(fs.statSync(join(base, 'old'), { bigint: true }).mtimeNs).toBe(-1_500_000_000n);
    expect(fs.statSync(join(base, 'a')).ino).toBe(fs.statSync(join(base, 'b')).ino);
    expect(fs.readlinkSync(join(base, 'link'))).toBe('x'.repeat(150));
    expect(fs.readFileSync(join(base, long, long, 'deep')).equals(Buffer.alloc(1024, 7))).toBe(true);
    expect(fs.readFileSync(join(base, 'sparse'))).toEqual(Buffer.concat([Buffer.alloc(10_000), Buffer.from('end')]));
  } finally {
    fs.rmSync(base, { recursive: true, force: true });
  }
});

test('where counts copies by store and by answer', async () => {
  const root = f.dir('', [f.file('a', 'A'), f.file('b', 'B'), f.file('same', 'A')]);
  const b = toHex(f.put(ChunkKind.data, Buffer.from('B')));
  const report = await whereIs(reader(), root, {
    chunks: {
      locate: (ids) =>
        ids.map(
          () =>
            [
              { store: '', sealedBytes: 100 },
              { store: 'cold', sealedBytes: 100 },
            ] as never,
        ),
    },
    placed: {
      targetsOf: (ids) =>
        ids.map((id) =>
          toHex(id) === b
            ? []
            : [
                { target: 'peer', askedNs: 5n },
                { target: 'store:cold', askedNs: 7n },
              ],
        ),
    },
  });
  expect(report).toEqual({
    chunks: 3,
    unplaced: 0,
    copies: [
      { store: '', chunks: 3, bytes: 300, complete: true, askedNs: undefined },
      { store: 'cold', chunks: 3, bytes: 300, complete: true, askedNs: 7n },
      { target: 'peer', chunks: 2, bytes: 0, complete: false, askedNs: 5n },
    ],
  });
});
