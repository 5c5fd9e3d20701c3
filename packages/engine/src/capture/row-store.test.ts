import { expect, test } from 'vitest';
import type { FolderCache } from '../core/ports/index.ts';
import { forgetRows, RowStore } from './row-store.ts';

function memoryCache(): FolderCache & { readonly puts: number[]; readonly rows: Map<string, Map<string, Uint8Array>> } {
  const rows = new Map<string, Map<string, Uint8Array>>();
  const puts: number[] = [];
  const key = (path: Uint8Array): string => Buffer.from(path).toString('latin1');
  return {
    rows,
    puts,
    get: (root, path) => {
      const value = rows.get(root)?.get(key(path));
      return value === undefined ? undefined : { value, epoch: 0 };
    },
    below: () => [],
    put: (root, added) => {
      puts.push(added.length);
      const there = rows.get(root) ?? new Map<string, Uint8Array>();
      rows.set(root, there);
      for (const { path, value } of added) there.set(key(path), value);
    },
    delete: (root, paths) => {
      for (const path of paths) rows.get(root)?.delete(key(path));
    },
    clear: (root) => void (root === undefined ? rows.clear() : rows.delete(root)),
  };
}

test('rows are put in place only when they are committed, however many there are', () => {
  const cache = memoryCache();
  const store = new RowStore(cache, 'r');
  for (let i = 0; i < 100; i++) store.add(Buffer.from(`p${i}`), new Uint8Array(1 << 20).fill(i));
  expect(cache.rows.get('r')).toBeUndefined();
  store.commit();
  expect([...cache.rows.keys()]).toEqual(['r']);
  expect(cache.rows.get('r')!.size).toBe(100);
  expect(cache.rows.get('r')!.get('p42')![5]).toBe(42);
  expect(Math.max(...cache.puts)).toBeLessThan(20);
});

test('discarded rows leave nothing behind', () => {
  const cache = memoryCache();
  const store = new RowStore(cache, 'r');
  for (let i = 0; i < 60; i++) store.add(Buffer.from(`p${i}`), new Uint8Array(1 << 20));
  store.discard();
  store.commit();
  expect(cache.rows.size).toBe(0);
});

test('forgetting a folder takes all rows below it, and no others', () => {
  const cache = memoryCache();
  const tree: Record<string, string[]> = { a: ['b', 'c'], 'a/b': ['d'], 'a/b/d': [], 'a/c': [], ab: [] };
  for (const [path, names] of Object.entries(tree)) {
    cache.put('r', [{ path: Buffer.from(path), value: Buffer.from(names.join()) }]);
  }
  const foldersInRow = (row: Uint8Array): Uint8Array[] =>
    row.length === 0
      ? []
      : Buffer.from(row)
          .toString()
          .split(',')
          .map((name) => Buffer.from(name));
  forgetRows(cache, 'r', Buffer.from('a'), { foldersInRow, partsInRow: () => 1 });
  expect([...cache.rows.get('r')!.keys()]).toEqual(['ab']);
});
