import type { FolderCache } from '../core/ports/index.ts';
import type { Db } from './database.ts';
import { keyValueTable } from './key-value.ts';

/** The stat cache of capture: one opaque value for each folder of a root. */
export function folderCache(db: Db): FolderCache {
  const get = db.prepare<[string, Uint8Array], { value: Buffer; epoch: number }>(
    'SELECT value, epoch FROM folders WHERE root = ? AND path = ?',
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
