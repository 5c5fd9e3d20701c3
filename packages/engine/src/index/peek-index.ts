/** What an index says of the chains, read without changing, migrating or setting aside anything: for whoever looks at a data dir that others may be using. */
import { rmSync, statSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import type { Position } from '../chain/position.ts';
import { EdgeError, toEdgeError } from '../core/errors.ts';
import type { AgentId, VaultId } from '../core/ids.ts';
import { chainTable } from './chain-table.ts';
import { schemaVersion } from './database.ts';
import { keyValueTable } from './key-value.ts';
import { fromSqlite } from './sqlite-errors.ts';

export interface IndexPeek {
  /** The end of each chain that the index applied. */
  readonly positions: ReadonlyMap<AgentId, Position>;
  /** Snapshots of each chain that need chunks which no store has. */
  readonly damagedSnapshots: ReadonlyMap<AgentId, number>;
}

/**
 * Undefined where there is no index, or none that could be asked: of another vault, of another version, not built to its end. E_INTEGRITY for one that is
 * damaged. `isAlone`: the caller has the data dir's lock.
 */
export function peekIndex(path: string, vault: VaultId, isAlone: boolean): IndexPeek | undefined {
  // Undefined for what is not there; any other error of looking throws.
  const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size;
  if ((size(path) ?? 0) === 0) return undefined;
  const hadWal = size(`${path}-wal`) !== undefined;
  try {
    const db = new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 2000 });
    try {
      if (db.pragma('user_version', { simple: true }) !== schemaVersion()) return undefined;
      const pages = db.pragma('quick_check(1)', { simple: true });
      if (pages !== 'ok') throw new EdgeError('E_INTEGRITY', `the index ${path} is damaged: ${String(pages)}`);
      const kv = keyValueTable(db);
      if (kv.get('index.vault') !== vault || kv.get('index.built') !== '1') return undefined;
      const chains = chainTable(db).rows();
      const damaged = db
        .prepare<[], { readonly chain: number; readonly count: number }>(
          'SELECT s.chain, count(*) AS count FROM damaged_snapshots d JOIN snapshots s ON s.id = d.snapshot AND s.agent = d.agent GROUP BY s.chain',
        )
        .all();
      return {
        damagedSnapshots: new Map(
          damaged.map(({ chain, count }) => [chains.find((one) => one.chain === chain)!.agent, count] as const),
        ),
        positions: new Map(
          chains.flatMap(({ agent, parent, position }) =>
            parent === undefined && position !== undefined ? [[agent, position] as const] : [],
          ),
        ),
      };
    } finally {
      db.close();
    }
  } catch (error) {
    throw toEdgeError(fromSqlite(error, path));
  } finally {
    // A reader of a WAL database makes both files and may not take them away again; nobody else can have made them meanwhile.
    if (isAlone && !hadWal) for (const part of ['-wal', '-shm']) rmSync(path + part, { force: true });
  }
}
