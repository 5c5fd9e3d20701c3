import type { FolderCache } from '../core/ports/index.ts';
import type { Db } from './database.ts';
import { keyValueTable } from './key-value.ts';

const EMPTY = Buffer.alloc(0);
const SLASH = Buffer.from('/');
/** What follows the slash in byte order: every path below a folder lies between the two. */
const AFTER_SLASH = Buffer.from('0');
/** No name has more than 255 bytes. */
const AFTER_ALL = Buffer.alloc(256, 0xff);

/** The stat cache of capture: one opaque value for each folder of a root. */
export function folderCache(db: Db): FolderCache {
  const get = db.prepare<[string, Uint8Array], { value: Buffer; epoch: number }>(
    'SELECT value, epoch FROM folders WHERE root = ? AND path = ?',
  );
  const below = db.prepare<[string, Uint8Array, Uint8Array, number], { path: Buffer; value: Buffer }>(
    'SELECT path, value FROM folders WHERE root = ? AND path > ? AND path < ? AND epoch = ? ORDER BY path',
  );
  const put = db.prepare(
    'INSERT INTO folders (root, path, epoch, value) VALUES (?, ?, ?, ?) ON CONFLICT (root, path) DO UPDATE SET epoch = excluded.epoch, value = excluded.value',
  );
  const remove = db.prepare<[string, Uint8Array]>('DELETE FROM folders WHERE root = ? AND path = ?');
  const clear = db.prepare<[string]>('DELETE FROM folders WHERE root = ?');
  const clearAll = db.prepare('DELETE FROM folders');
  const facts = keyValueTable(db);
  const transaction = (work: () => void): void => db.transaction(work).immediate();

  return {
    get: (root, path) => get.get(root, path),
    below: (root, path, epoch) => {
      const start = path.length === 0 ? EMPTY : Buffer.concat([path, SLASH]);
      const end = path.length === 0 ? AFTER_ALL : Buffer.concat([path, AFTER_SLASH]);
      return below.iterate(root, start, end, epoch);
    },
    put: (root, rows) =>
      transaction(() => {
        const epoch = Number(facts.get('index.loss-epoch') ?? '0');
        for (const row of rows) put.run(root, row.path, epoch, row.value);
      }),
    delete: (root, paths) =>
      transaction(() => {
        for (const path of paths) remove.run(root, path);
      }),
    clear: (root) => void (root === undefined ? clearAll.run() : clear.run(root)),
  };
}
