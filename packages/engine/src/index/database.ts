/** Opening the SQLite file: the settings that durability rests on, migrations, and setting a useless file aside. */
import {
  closeSync,
  fchmodSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { type Clock, formatTimeNs } from '../core/clock.ts';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { VaultId } from '../core/ids.ts';
import { CHUNK_COUNT_KEY } from './chunk-count.ts';
import { fromSqlite, isDamage, sqliteCodeOf, suspectFile } from './sqlite-errors.ts';

export type Db = Sqlite.Database;

export interface OpenedDatabase {
  readonly db: Db;
  /** Where a file that could not be used was moved to, and why. */
  readonly quarantined: { readonly path: string; readonly why: string } | undefined;
}

/** 'EDGI': tells our file from any other SQLite database. */
const APPLICATION_ID = 0x45444749;
/** Pages of the index kept in memory. */
const CACHE_KIB = 16 * 1024;
/** Pages of temporary tables kept in memory. */
const TEMPORARY_CACHE_KIB = 32 * 1024;
/** Checking every page takes about a second for each 400 MiB: larger files are checked only after they were not closed properly. */
const ALWAYS_CHECKED_BYTES = 4 * 1024 * 1024;
/** File systems on which WAL's shared memory or locks do not hold: NFS, SMB, CIFS, 9P, FUSE is not among them (it may be local). */
const NETWORK_FILE_SYSTEMS = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
]);

/** Undefined for what is not there; any other error of looking throws. */
const ONLY_IF_THERE = { throwIfNoEntry: false } as const;

const migrationsDir = join(dirname(fileURLToPath(import.meta.url)), 'migrations');

/**
 * Opens or creates the database. A file that is damaged, of another vault, or of a newer program is moved to `<path>.corrupt-<time>` and a new one
 * begun: the index can always be built again. E_CONFIG where the file system cannot do WAL; E_NO_SPACE, E_DENIED, E_BUSY, E_IO.
 */
export function openDatabase(path: string, vault: VaultId, clock: Clock): OpenedDatabase {
  refuseNetworkFileSystem(path);
  if (statSync(suspectFile(path), ONLY_IF_THERE) !== undefined) {
    const quarantined = setAside(path, clock, 'damage was met while it was in use');
    return { db: openChecked(path, vault), quarantined };
  }
  try {
    return { db: openChecked(path, vault), quarantined: undefined };
  } catch (error) {
    const why = uselessBecause(error);
    if (why === undefined) throw fromSqlite(error, path);
    const quarantined = setAside(path, clock, why);
    return { db: openChecked(path, vault), quarantined };
  }
}

/** The number of the newest migration. */
export function schemaVersion(): number {
  return migrations().at(-1)!.version;
}

class UselessIndex extends Error {}

function uselessBecause(error: unknown): string | undefined {
  if (error instanceof UselessIndex || isDamage(error)) return (error as Error).message;
  return undefined;
}

function openChecked(path: string, vault: VaultId): Db {
  try {
    return openWith(path, vault, 'NORMAL');
  } catch (error) {
    if (sqliteCodeOf(error) !== 'SQLITE_IOERR_SHMSIZE') throw error;
    // A disk without 32 KiB for the shared memory file: alone on the database, SQLite does without, so that reading still works.
    return openWith(path, vault, 'EXCLUSIVE');
  }
}

function openWith(path: string, vault: VaultId, locking: 'NORMAL' | 'EXCLUSIVE'): Db {
  makePrivate(path);
  const db = new Sqlite(path, { timeout: 2000 });
  try {
    db.pragma(`locking_mode = ${locking}`);
    assertDurable(db, path);
    const version = db.pragma('user_version', { simple: true }) as number;
    if (version === 0 && tableCount(db) > 0) throw new UselessIndex('it is not a finished index');
    if (version > schemaVersion()) throw new UselessIndex(`it was written by a newer program (schema ${version})`);
    if (version > 0) refuseForeign(db, vault);
    if (version > 0 && mustBeChecked(db)) checkPages(db);
    migrate(db, version);
    if (version === 0) {
      db.prepare(`INSERT INTO key_value (key, value) VALUES ('index.vault', ?)`).run(vault);
      db.prepare('INSERT INTO key_value (key, value) VALUES (?, ?)').run(CHUNK_COUNT_KEY, '0');
    }
    markOpen(db, true);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** SQLite would make the file by the umask; its -wal and -shm take after it. */
function makePrivate(path: string): void {
  try {
    const fd = openSync(path, 'a', 0o600);
    fchmodSync(fd, 0o600);
    closeSync(fd);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'EACCES' && errno !== 'EPERM') throw toEdgeError(error, `opening the index ${path}`);
    throw new EdgeError('E_DENIED', `no permission to write the index ${path}`, {
      hint: 'Run as the user that owns the data dir.',
      context: { path, errno },
      cause: error,
    });
  }
}

/**
 * Until it is closed properly, the next start checks every page. On a full disk the mark is left as it is: reading and restoring have to work there,
 * and one check more or less loses nothing.
 */
export function markOpen(db: Db, isOpen: boolean): void {
  try {
    db.prepare(`INSERT OR REPLACE INTO key_value (key, value) VALUES ('index.open', ?)`).run(isOpen ? '1' : '0');
  } catch (error) {
    if (sqliteCodeOf(error) !== 'SQLITE_FULL') throw error;
  }
}

function assertDurable(db: Db, path: string): void {
  const mode = db.pragma('journal_mode = WAL', { simple: true });
  if (mode !== 'wal') {
    throw new EdgeError(
      'E_CONFIG',
      `the file system of ${path} cannot do write-ahead logging (SQLite chose ${String(mode)})`,
      {
        hint: 'Put the data dir on a local file system.',
        context: { path },
      },
    );
  }
  db.pragma('synchronous = FULL');
  if (db.pragma('synchronous', { simple: true }) !== 2) {
    throw new EdgeError('E_FAILED', `SQLite did not accept synchronous=FULL for ${path}; nothing would be durable`);
  }
  db.pragma(`cache_size = -${CACHE_KIB}`);
  db.pragma('temp_store = FILE');
  // Claims of a running session lie in a temporary table: room for about a million before any of it is written.
  db.pragma(`temp.cache_size = -${TEMPORARY_CACHE_KIB}`);
}

function refuseForeign(db: Db, vault: VaultId): void {
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID)
    throw new UselessIndex('it is not an index of edgestore');
  const found = db.prepare(`SELECT value FROM key_value WHERE key = 'index.vault'`).pluck().get() as string | undefined;
  if (found !== undefined && found !== vault)
    throw new UselessIndex(`it belongs to another vault (${found.slice(0, 8)})`);
}

function mustBeChecked(db: Db): boolean {
  const bytes =
    (db.pragma('page_count', { simple: true }) as number) * (db.pragma('page_size', { simple: true }) as number);
  if (bytes <= ALWAYS_CHECKED_BYTES) return true;
  return db.prepare(`SELECT value FROM key_value WHERE key = 'index.open'`).pluck().get() !== '0';
}

function checkPages(db: Db): void {
  const first = db.pragma('quick_check(1)', { simple: true });
  if (first !== 'ok') throw new UselessIndex(`its pages are damaged: ${String(first)}`);
}

function migrate(db: Db, from: number): void {
  for (const migration of migrations()) {
    if (migration.version <= from) continue;
    db.transaction(() => {
      db.exec(migration.sql);
      failpoint('index.migrating');
      db.pragma(`user_version = ${migration.version}`);
      if (migration.version === 1) db.pragma(`application_id = ${APPLICATION_ID}`);
    })();
    failpoint('index.migrated');
  }
}

function tableCount(db: Db): number {
  return db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number;
}

let loaded: readonly { readonly version: number; readonly sql: string }[] | undefined;

function migrations(): readonly { readonly version: number; readonly sql: string }[] {
  loaded ??= readdirSync(migrationsDir)
    .filter((name) => /^[0-9]{3}-.*\.sql$/.test(name))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 3)), sql: readFileSync(join(migrationsDir, name), 'utf8') }));
  return loaded;
}

function setAside(path: string, clock: Clock, why: string): { path: string; why: string } {
  const stamp = formatTimeNs(clock.nowNs()).replace(/[-:]/g, '');
  const to = `${path}.corrupt-${stamp}`;
  // The file itself goes last: while it is there, the next start comes here again.
  for (const part of ['-wal', '-shm', '']) {
    if (statSync(path + part, ONLY_IF_THERE) !== undefined) renameSync(path + part, to + part);
    failpoint('index.set-aside');
  }
  rmSync(suspectFile(path), { force: true });
  return { path: to, why };
}

function refuseNetworkFileSystem(path: string): void {
  const name = NETWORK_FILE_SYSTEMS.get(Number(statfsSync(dirname(path)).type));
  if (name === undefined) return;
  throw new EdgeError(
    'E_CONFIG',
    `the data dir ${dirname(path)} is on ${name}, where the index cannot be kept safely`,
    {
      hint: 'Put the data dir on a local file system; the packs may lie elsewhere (pack_dir).',
      context: { path },
    },
  );
}
