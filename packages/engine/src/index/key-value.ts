import type { KeyValue } from '../core/ports/index.ts';
import type { Db } from './database.ts';

/** Small facts. Keys that begin with `index.` are the index's own. */
export function keyValueTable(db: Db): KeyValue {
  const get = db.prepare<[string], string>('SELECT value FROM key_value WHERE key = ?').pluck();
  const set = db.prepare<[string, string]>('INSERT OR REPLACE INTO key_value (key, value) VALUES (?, ?)');
  const remove = db.prepare<[string]>('DELETE FROM key_value WHERE key = ?');
  return {
    get: (key) => get.get(key),
    set: (key, value) => void set.run(key, value),
    delete: (key) => void remove.run(key),
  };
}
