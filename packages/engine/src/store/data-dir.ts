/**
 * The data dir: where each file of an agent lies (`docs/formats/data-dir.md`). Paths are decided here and nowhere else.
 */
import { chmod, readdir, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import type { AgentId, PackName } from '../core/ids.ts';
import { makeFolderDurably, removeIfThere, TEMPORARY_NAME } from './durable-write.ts';

/** There while a recovery is under way: what a killed one left may be cleared, anything else may not. */
export const RECOVERY_MARKER = 'recover.unfinished';

export interface DataDir {
  readonly path: string;
  /** Held with flock by the one process that works on this data dir; names its holder. */
  readonly lockFile: string;
  /** The vault descriptor; its presence is what makes a folder a data dir. */
  readonly vaultFile: string;
  /** The highest epoch that a descriptor here had. */
  readonly seenEpochFile: string;
  readonly slotsDir: string;
  /** The stored key file (0600), where the service unlocks unattended. */
  readonly storedKeyFile: string;
  /** The admin seed, sealed; only where it is known. */
  readonly adminFile: string;
  readonly agentDir: string;
  readonly identityFile: string;
  readonly cardsDir: string;
  readonly confDir: string;
  /** `xx/<64 hex>.pack`; on another file system when `pack_dir` says so. */
  readonly packDir: string;
  readonly packTemporaryDir: string;
  /** A repaired chain of this agent, being made; below the folder of the chains, so that a rename is enough. */
  readonly repairDir: string;
  /** The same once it is to be used. */
  readonly repairedDir: string;
  /** Own and other agents' chains: a folder an agent. */
  readonly chainsDir: string;
  /** Who this store is, and its epoch (docs/formats/store-identity.md). */
  readonly storeIdFile: string;
  readonly epochFile: string;
  readonly indexFile: string;
  /** There when this machine was put back to an older state. */
  readonly putBackFile: string;
  /** Copies that were found bad, packs that are gone (`docs/formats/marks.md`). */
  readonly marksFile: string;
  readonly runDir: string;
  readonly socketFile: string;
  slotFile(slotId: string): string;
  slotRemovalFile(slotId: string): string;
  cardFile(agent: AgentId, incarnation: number): string;
  packFile(pack: PackName): string;
}

/** The paths of a data dir; touches nothing. */
export function dataDirAt(path: string, options: { readonly packDir?: string | undefined } = {}): DataDir {
  const root = resolve(path);
  const packDir = resolve(options.packDir ?? join(root, 'packs'));
  const slotsDir = join(root, 'slots');
  const agentDir = join(root, 'agent');
  const cardsDir = join(root, 'cards');
  const chainsDir = join(root, 'chains');
  const runDir = join(root, 'run');
  return {
    path: root,
    lockFile: join(root, 'lock'),
    vaultFile: join(root, 'vault.edge'),
    seenEpochFile: join(root, 'vault.seen'),
    slotsDir,
    storedKeyFile: join(root, 'key'),
    adminFile: join(root, 'admin.edge'),
    agentDir,
    identityFile: join(agentDir, 'identity.edge'),
    cardsDir,
    confDir: join(root, 'conf.d'),
    packDir,
    packTemporaryDir: join(packDir, '.tmp'),
    repairDir: join(chainsDir, '.repair'),
    repairedDir: join(chainsDir, '.repaired'),
    chainsDir,
    storeIdFile: join(root, 'store.id'),
    epochFile: join(root, 'epoch'),
    indexFile: join(root, 'index.sqlite'),
    putBackFile: join(root, 'put-back'),
    marksFile: join(root, 'marks'),
    runDir,
    socketFile: join(runDir, 'agent.sock'),
    slotFile: (slotId) => join(slotsDir, `${slotId}.slot`),
    slotRemovalFile: (slotId) => join(slotsDir, `${slotId}.removed`),
    cardFile: (agent, incarnation) => join(cardsDir, `${agent}-${incarnation}.card`),
    packFile: (pack) => join(packDir, pack.slice(0, 2), `${pack}.pack`),
  };
}

/** True when the packs lie inside the data dir, so that they cannot be an unmounted disk while the rest is there. */
export function packsAreInside(dir: DataDir): boolean {
  const way = relative(dir.path, dir.packDir);
  return way !== '' && !way.startsWith('..') && !isAbsolute(way);
}

/** Creates the folders (0700, whatever the umask); those that are there are kept. Files in them are written by their owners. */
export async function createDataDir(dir: DataDir): Promise<void> {
  await makeFolderDurably(dir.path);
  try {
    await chmod(dir.path, 0o700);
  } catch (error) {
    throw toEdgeError(error, `making ${dir.path} private`);
  }
  for (const folder of foldersOf(dir)) await makeFolderDurably(folder);
}

/** True when a vault lies there. Throws when the folder cannot be looked at. */
export function dataDirExists(dir: DataDir): Promise<boolean> {
  return isFile(dir.vaultFile);
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return false;
    throw deniedOr(error, `reading ${path}`);
  }
}

/** E_NO_VAULT unless a vault lies there; its hint says whether a recovery was cut off there. */
export async function requireDataDir(dir: DataDir): Promise<void> {
  if (await dataDirExists(dir)) return;
  if (await isFile(join(dir.path, RECOVERY_MARKER))) throw cutOffRecovery(dir, 'E_NO_VAULT');
  throw new EdgeError('E_NO_VAULT', `there is no edgestore data dir at ${dir.path}`, {
    hint: 'Run `edgestore init` to make one, or `edgestore recover` to bring a lost one back from its recovery sheet, or name another with --data-dir.',
    context: { path: dir.path },
  });
}

/** The error where a recovery was killed, or is under way. */
export function cutOffRecovery({ path }: DataDir, code: 'E_NO_VAULT' | 'E_USAGE'): EdgeError {
  return new EdgeError(code, `a recovery into ${path} was cut off, or is under way`, {
    hint: 'Run `edgestore recover` again: it begins anew there.',
    context: { path },
  });
}

/**
 * What a killed process left: temporary files of durable writes and of packs. Called under the lock, so nobody is writing them. Missing
 * folders are made again. Returns how many files were removed.
 */
export async function cleanDataDir(dir: DataDir): Promise<number> {
  let removed = 0;
  for (const folder of foldersOf(dir)) {
    if (folder !== dir.packDir || packsAreInside(dir)) await makeFolderDurably(folder);
  }
  const chains = (await readFolder(dir.chainsDir))
    .filter((name) => /^[0-9a-f]{32}$/.test(name))
    .map((agent) => join(dir.chainsDir, agent));
  for (const folder of [dir.path, dir.slotsDir, dir.agentDir, dir.cardsDir, dir.confDir, ...chains]) {
    for (const name of await readFolder(folder)) {
      if (TEMPORARY_NAME.test(name) && (await removeIfThere(join(folder, name)))) removed++;
    }
  }
  for (const name of await readFolder(dir.packTemporaryDir)) {
    if (await removeIfThere(join(dir.packTemporaryDir, name))) removed++;
  }
  return removed;
}

/** Names in a folder; empty when the folder is not there. */
export async function readFolder(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw deniedOr(error, `reading the folder ${folder}`);
  }
}

function foldersOf(dir: DataDir): string[] {
  return [
    dir.slotsDir,
    dir.agentDir,
    dir.cardsDir,
    dir.confDir,
    dir.packDir,
    dir.packTemporaryDir,
    dir.chainsDir,
    dir.runDir,
  ];
}

function deniedOr(error: unknown, what: string): EdgeError {
  const errno = errnoOf(error);
  if (errno !== 'EACCES' && errno !== 'EPERM') return toEdgeError(error, what);
  return new EdgeError('E_DENIED', `${what}: permission denied`, {
    hint: 'Run as the user that owns the data dir.',
    context: { errno },
    cause: error,
  });
}
