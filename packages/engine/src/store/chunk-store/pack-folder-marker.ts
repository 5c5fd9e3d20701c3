import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EdgeError, errnoOf, toEdgeError } from '../../core/errors.ts';
import type { VaultId } from '../../core/ids.ts';
import { makeFolderDurably, writeFileDurably } from '../durable-write.ts';

const MARKER = '.edgestore-packs';

/**
 * A pack folder outside the data dir may be on a disk that is not mounted. It carries a marker with the vault's id: while the index knows packs
 * there, a missing marker is E_CONFIG, since else every pack would be taken for lost. Only called for a pack folder outside the data dir.
 */
export async function requirePackFolder(packDir: string, vault: VaultId, expectsPacks: boolean): Promise<void> {
  const path = join(packDir, MARKER);
  const found = await readPackMarker(packDir);
  if (found === undefined && !expectsPacks) {
    await makeFolderDurably(join(packDir, '.tmp'));
    return writeFileDurably(path, Buffer.from(`${vault}\n`));
  }
  if (found === vault) return makeFolderDurably(join(packDir, '.tmp'));
  throw otherFolder(packDir, found === undefined ? undefined : 'belongs to another vault');
}

/**
 * The error of a pack folder that is not the one that packs were put into: at the start, and in a process that runs
 * while its disk goes.
 */
export function otherFolder(packDir: string, problem = 'has none of the packs that belong there'): EdgeError {
  return new EdgeError('E_CONFIG', `the pack folder ${packDir} ${problem}`, {
    hint: 'Is its disk mounted? Check pack_dir in the config.',
    context: { path: packDir },
  });
}

/** The vault that the marker names; undefined without a marker. */
export async function readPackMarker(packDir: string): Promise<VaultId | undefined> {
  const path = join(packDir, MARKER);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `reading ${path}`);
  }
}
