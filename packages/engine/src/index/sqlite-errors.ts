/** Turns what SQLite throws into errors of edgestore, at the edge of this folder. */
import { writeFileSync } from 'node:fs';
import { EdgeError, isEdgeError } from '../core/errors.ts';

/** Beside the index: says that a running program met damage in it, so that the next one sets it aside without looking. */
export function suspectFile(indexPath: string): string {
  return `${indexPath}.suspect`;
}

/** The SQLite result code of an error (`SQLITE_CORRUPT`), or undefined. */
export function sqliteCodeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : undefined;
}

/** True for what is mended by building the index again. */
export function isDamage(error: unknown): boolean {
  const code = sqliteCodeOf(error);
  return code !== undefined && /^SQLITE_(CORRUPT|NOTADB|ERROR|MISMATCH|CONSTRAINT|RANGE|SCHEMA|FORMAT)/.test(code);
}

/** E_NO_SPACE, E_INTEGRITY (damage), E_DENIED, E_BUSY or E_IO; other errors are returned as they are. */
export function fromSqlite(error: unknown, indexPath: string): unknown {
  const code = sqliteCodeOf(error);
  if (code === undefined || isEdgeError(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  const context = { path: indexPath, sqlite: code };
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE') {
    return new EdgeError('E_NO_SPACE', `no space for the index ${indexPath}: ${text}`, {
      hint: 'Free some space there and run the command again; what was acknowledged is kept.',
      context,
      cause: error,
    });
  }
  if (code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED') {
    return new EdgeError('E_BUSY', `another program has the index ${indexPath} open for writing`, {
      context,
      retryable: true,
      cause: error,
    });
  }
  if (code.startsWith('SQLITE_READONLY') || code === 'SQLITE_PERM' || code === 'SQLITE_AUTH') {
    return new EdgeError('E_DENIED', `the index ${indexPath} cannot be written: ${text}`, { context, cause: error });
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new EdgeError('E_INTEGRITY', `the index ${indexPath} is damaged: ${text}`, {
      hint: 'Run the command again: the damaged index is set aside and built again from packs and logs.',
      context,
      retryable: true,
      cause: error,
    });
  }
  const hint = code.startsWith('SQLITE_CANTOPEN')
    ? { hint: 'Is the limit of open files (ulimit -n) too low, or its folder not writable?' }
    : {};
  return new EdgeError('E_IO', `the index ${indexPath}: ${text}`, { ...hint, context, cause: error });
}

/** The same object with every method's SQLite errors translated; damage is noted beside the index for the next start. */
export function withSqliteErrors<T extends object>(table: T, indexPath: string): T {
  const out = {} as Record<string, unknown>;
  for (const [name, member] of Object.entries(table)) {
    out[name] =
      typeof member !== 'function'
        ? member
        : (...args: unknown[]) => {
            try {
              return (member as (...args: unknown[]) => unknown)(...args);
            } catch (error) {
              throw translate(error, indexPath);
            }
          };
  }
  return out as T;
}

function translate(error: unknown, indexPath: string): unknown {
  const translated = fromSqlite(error, indexPath);
  if (isEdgeError(translated, 'E_INTEGRITY') && sqliteCodeOf(error) !== undefined)
    writeFileSync(suspectFile(indexPath), '', { mode: 0o600 });
  return translated;
}
