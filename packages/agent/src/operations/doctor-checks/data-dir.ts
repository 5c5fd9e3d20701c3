/** The files of the data dir, as far as they can be judged without the vault's key, and the space that is left for more. */
import { accessSync, constants } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type DataDir,
  dataDirExists,
  errnoOf,
  FREE_SPACE_FLOOR_BYTES,
  formatBytes,
  formatTimeNs,
  type IndexPeek,
  inspectChains,
  isEdgeError,
  isThere,
  loadSodium,
  lockDataDir,
  peekIndex,
  readLockHolder,
} from '@edgestore/engine';
import { openCardStore } from '../../membership/card-store.ts';
import { readVaultFiles, type VaultFiles } from '../read-vault-files.ts';
import type { SetupContext } from '../setup.ts';
import { type DoctorCheck, failed } from './check.ts';

const FREE_BYTES_LOW = 1024 ** 3;

/** The vault's files; undefined where there are none to speak of, and then the checks say why. */
export async function checkDataDir(
  dir: DataDir,
  context: SetupContext,
  checks: DoctorCheck[],
): Promise<VaultFiles | undefined> {
  const what = 'data dir';
  try {
    if (!(await dataDirExists(dir))) {
      const hint = 'Make one: edgestore init. After a lost disk: edgestore recover';
      checks.push({ what, result: 'problem', message: `there is no vault at ${dir.path}`, hint });
      return undefined;
    }
    await checkOwner(dir, checks);
    // What is damaged becomes a check of its own.
    const files = await readVaultFiles(dir, () => {});
    const message = `vault ${files.vaultId.slice(0, 8)}, agent ${files.identity.name}, at ${dir.path}`;
    checks.push({ what, result: 'ok', message });
    checkAccess(dir, checks);
    checkSlots(files, checks);
    await checkChains(dir, files, context, checks);
    checks.push(await checkSpace(dir.packDir));
    return files;
  } catch (error) {
    checks.push(failed(what, error));
    return undefined;
  }
}

async function checkOwner(dir: DataDir, checks: DoctorCheck[]): Promise<void> {
  const { mode, uid } = await stat(dir.path);
  const what = 'data dir';
  if ((mode & 0o077) !== 0)
    checks.push({
      what,
      result: 'warning',
      message: `${dir.path} can be read by others`,
      hint: `chmod 700 ${dir.path}`,
    });
  if (uid !== process.getuid?.())
    checks.push({ what, result: 'warning', message: `${dir.path} belongs to another user (uid ${uid})` });
}

/** A start reads and writes all of these; where this user may not, it stops at the first. */
function checkAccess(dir: DataDir, checks: DoctorCheck[]): void {
  const { R_OK, W_OK, X_OK } = constants;
  const folders = [dir.path, dir.packDir, dir.chainsDir, dir.slotsDir, dir.agentDir, dir.cardsDir, dir.runDir];
  const files = [dir.lockFile, dir.indexFile, dir.storedKeyFile];
  const denied = [
    ...folders.filter((path) => !mayUse(path, R_OK | W_OK | X_OK)),
    ...files.filter((path) => !mayUse(path, path === dir.storedKeyFile ? R_OK : R_OK | W_OK)),
  ];
  if (denied.length === 0) return;
  checks.push({
    what: 'data dir',
    result: 'problem',
    message: `uid ${process.getuid?.()} may not read and write ${denied.join(', ')}`,
    hint: 'Run as the user that owns the data dir, and mount it writable.',
  });
}

/** What is not there is another check's matter. */
function mayUse(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch (error) {
    return !['EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? '');
  }
}

function checkSlots(files: VaultFiles, checks: DoctorCheck[]): void {
  const what = 'key slots';
  for (const { file, why } of files.damagedSlots) {
    checks.push({
      what,
      result: 'problem',
      message: `${file}: ${why}`,
      hint: 'Take it from another store of the vault, or remove the file and add a new slot (edgestore key add).',
    });
  }
  if (files.damagedSlots.length === 0 && !files.slots.some((slot) => slot.type === 'recovery'))
    checks.push({
      what,
      result: 'problem',
      message: 'there is no recovery slot: a lost disk could not be recovered',
      hint: 'Make one: edgestore key add --recovery-out FILE',
    });
}

async function checkChains(
  dir: DataDir,
  files: VaultFiles,
  context: SetupContext,
  checks: DoctorCheck[],
): Promise<void> {
  const { vaultId, identity, adminPublicKey } = files;
  const sodium = await loadSodium();
  const cards = await openCardStore({
    dataDir: dir,
    sodium,
    vault: vaultId,
    adminPublicKey,
    warn: ({ message }) => void checks.push({ what: 'cards', result: 'problem', message, hint: FROM_A_COPY }),
  });
  const index = peek(dir, files, context, checks);
  const found = await inspectChains(dir, {
    sodium,
    vault: vaultId,
    self: identity.agentId,
    known: index?.positions ?? new Map(),
    signPublicKey: (agent, incarnation) => cards.signPublicKey(agent, incarnation),
  });
  const damaged = index?.damagedSnapshots.get(identity.agentId) ?? 0;
  if (damaged > 0)
    checks.push({
      what: 'snapshots',
      result: 'warning',
      message: `${damaged} snapshots of this agent need chunks that no store has: they restore by file, and never count as safe`,
      hint: 'edgestore snapshot list names them; a later snapshot of the same root counts.',
    });
  const isReader = cards.newestOf(identity.agentId)?.card.role === 'reader';
  for (const { agent, entries, problem } of found) {
    const isOwn = agent === identity.agentId;
    const what = isOwn ? 'own chain' : `chain of ${cards.newestOf(agent)?.card.name ?? agent.slice(0, 8)}`;
    if (problem !== undefined) checks.push(failed(what, problem));
    else if (isOwn && entries === 0 && !isReader)
      checks.push({
        what,
        result: 'problem',
        message: `the chain of this agent is missing: ${join(dir.chainsDir, agent)}`,
        hint: 'Put the folder back from a copy, or recover from a peer or the bucket (`edgestore recover`).',
      });
    else checks.push({ what, result: 'ok', message: `${entries} entries` });
  }
}

const FROM_A_COPY = 'Bring the file back from a copy of the data dir, or run a command that reaches a peer.';

/** What the index knows, under the lock where nobody else has it. */
function peek(
  dir: DataDir,
  { vaultId }: VaultFiles,
  { clock }: SetupContext,
  checks: DoctorCheck[],
): IndexPeek | undefined {
  let release: (() => void) | undefined;
  try {
    const since = formatTimeNs(clock.nowNs());
    release = isThere(dir.lockFile)
      ? lockDataDir(dir.lockFile, { pid: process.pid, command: 'edgestore doctor', since }).release
      : undefined;
  } catch (error) {
    if (!isEdgeError(error, 'E_BUSY', 'E_DENIED', 'E_IO')) throw error;
    const holder = readLockHolder(dir.lockFile);
    const inUse = holder === undefined ? error.message : `in use by process ${holder.pid} (${holder.command})`;
    checks.push(error.code === 'E_BUSY' ? { what: 'lock', result: 'ok', message: inUse } : failed('lock', error));
  }
  try {
    return peekIndex(dir.indexFile, vaultId, release !== undefined);
  } catch (error) {
    // It is only a cache: the next start sets it aside and builds it again from packs and chains.
    checks.push(failed('index', error, 'warning'));
    return undefined;
  } finally {
    release?.();
  }
}

async function checkSpace(folder: string): Promise<DoctorCheck> {
  const what = 'space';
  try {
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    const message = `${formatBytes(free)} free for packs in ${folder}`;
    if (free >= FREE_BYTES_LOW) return { what, result: 'ok', message };
    const hint = `Below ${formatBytes(FREE_SPACE_FLOOR_BYTES)} nothing new is captured. Free some space, or move cold chunks to a bucket: edgestore tier run`;
    return { what, result: free < FREE_SPACE_FLOOR_BYTES ? 'problem' : 'warning', message, hint };
  } catch (error) {
    return { ...failed(what, error), hint: 'Is the disk of pack_dir mounted?' };
  }
}
