/** Writes the files of a new vault and its first agent. `vault.edge` comes last: it is what makes a folder a data dir. */
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  beginChain,
  type Clock,
  createDataDir,
  createSlot,
  cutOffRecovery,
  type DataDir,
  deriveBaseKeys,
  deriveVaultKeys,
  EdgeError,
  encodeCard,
  encodeIdentity,
  encodeRecoveryCode,
  encodeVaultDescriptor,
  errnoOf,
  FIRST_EPOCH,
  FIRST_KEY_ID,
  formatTimeNs,
  fromHex,
  isEdgeError,
  isThere,
  loadSodium,
  lockDataDir,
  makeFolders,
  openIndex,
  publicKeyOf,
  type RandomBytes,
  RECOVERY_MARKER,
  recoveryProofPublicKey,
  type SlotScope,
  type SlotSecret,
  sealAdminSeed,
  toEdgeError,
  toHex,
  VAULT_FORMAT_VERSION,
  wrapGeneration,
  writeFileDurably,
} from '@edgestore/engine';
import { createTlsIdentity } from '../http/tls-certificate.ts';
import { createKeyFile, readKeyFile } from './key-file.ts';

export interface NewVault {
  readonly dir: DataDir;
  readonly name: string;
  readonly site: string;
  /** Keep a key file in the data dir, so that a service starts unattended. */
  readonly storedKey: boolean;
  /** A key file of the user's, made when it is not there. */
  readonly keyFile: string | undefined;
  readonly passphrase: string | undefined;
  /** Where `beforeCommit` puts the recovery sheet, if anywhere. */
  readonly recoveryOut: string | undefined;
  readonly listen: { readonly listen: string | undefined; readonly advertise: readonly string[] };
}

export interface MakeVaultDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Called when all is written but the file that makes it a vault; what it throws undoes the rest. */
  readonly beforeCommit: (words: readonly string[], vaultId: string) => void;
}

export interface MadeVault {
  readonly vaultId: string;
  readonly agentId: string;
  readonly words: readonly string[];
  readonly slots: readonly { readonly id: string; readonly type: string; readonly label: string }[];
}

/** FastCDC sizes of a new vault; see docs/decisions for how they were chosen. */
const CHUNKER = { name: 'fastcdc-1', min: 128 * 1024, avg: 512 * 1024, max: 2 * 1024 * 1024 } as const;
/** There while `init` is under way: what a killed one left may be cleared, anything else may not. */
const UNFINISHED = 'init.unfinished';
/** May be there before a vault is: the user's own configuration, and what locking needs. */
const ALLOWED_BEFORE = new Set(['conf.d', 'lock', 'lost+found', 'run', UNFINISHED]);

/**
 * The recovery sheet of an `init` that was killed before its vault came to be: it opens nothing, so it may be written over. Undefined when there
 * is none, or when the file of that name is by now something else.
 */
export function unfinishedSheet(dir: DataDir): string | undefined {
  const [path, vaultId] = (textIfThere(join(dir.path, UNFINISHED)) ?? '').split('\n');
  if (!path || !vaultId) return undefined;
  try {
    return textIfThere(path)?.includes(vaultId) ? path : undefined;
  } catch (error) {
    // Where it could not be written (no permission, a disk that is gone) it cannot be read either.
    if (isEdgeError(error, 'E_IO')) return undefined;
    throw error;
  }
}

function textIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw toEdgeError(error, `reading ${path}`);
  }
}

export async function makeVault(vault: NewVault, deps: MakeVaultDeps): Promise<MadeVault> {
  const { dir } = vault;
  await prepareFolder(dir);
  const lock = lockDataDir(dir.lockFile, {
    pid: process.pid,
    command: 'edgestore init',
    since: formatTimeNs(deps.clock.nowNs()),
  });
  try {
    await clearUnfinished(dir);
    await writeFileDurably(join(dir.path, UNFINISHED), new Uint8Array());
    await createDataDir(dir);
    const made = await writeVault(vault, deps);
    await rm(join(dir.path, UNFINISHED));
    return made;
  } finally {
    lock.release();
  }
}

async function writeVault(vault: NewVault, { clock, random, beforeCommit }: MakeVaultDeps): Promise<MadeVault> {
  const { dir } = vault;
  const sodium = await loadSodium();
  const vaultId = toHex(random(16));
  const vaultKey = random(32);
  const adminSeed = random(32);
  const base = deriveBaseKeys(sodium, vaultId, vaultKey);
  const generation = { keyId: FIRST_KEY_ID, secret: random(32) };
  const keys = deriveVaultKeys(sodium, base, [generation]);
  const nowNs = clock.nowNs();

  const slots: { id: string; type: string; label: string }[] = [];
  const addSlot = async (secret: SlotSecret, label: string, scope: SlotScope = 'shared'): Promise<void> => {
    const slot = await createSlot(sodium, secret, { vaultId, label, scope, vaultKey, adminSeed }, random);
    await writeFileDurably(dir.slotFile(slot.slotId), slot.bytes);
    slots.push({ id: slot.slotId, type: secret.type, label });
  };
  await addSlot({ type: 'recovery', secret: adminSeed }, 'recovery sheet');
  if (vault.storedKey)
    await addSlot(
      { type: 'keyfile', secret: createKeyFile(dir.storedKeyFile, random) },
      'stored in the data dir',
      'local',
    );
  if (vault.keyFile !== undefined) {
    const secret = isThere(vault.keyFile) ? readKeyFile(vault.keyFile) : createKeyFile(vault.keyFile, random);
    await addSlot({ type: 'keyfile', secret }, 'key file');
  }
  if (vault.passphrase !== undefined) await addSlot({ type: 'passphrase', passphrase: vault.passphrase }, 'passphrase');

  const tls = await createTlsIdentity(vault.name);
  const agentId = toHex(random(16));
  const identity = {
    agentId,
    name: vault.name,
    site: vault.site,
    incarnation: 1,
    signSeed: random(32),
    tlsKeyPem: tls.keyPem,
    tlsCertPem: tls.certPem,
  };
  const card = encodeCard(
    sodium,
    {
      vaultId,
      agentId,
      incarnation: 1,
      name: vault.name,
      site: vault.site,
      role: 'edge',
      signPublicKey: publicKeyOf(sodium, identity.signSeed),
      tlsSpkiSha256: fromHex(tls.spkiSha256, 32),
      addresses: vault.listen.advertise,
      base: undefined,
      number: 1,
    },
    adminSeed,
  );
  await writeFileDurably(dir.adminFile, sealAdminSeed(sodium, keys, adminSeed, random));
  await writeFileDurably(dir.identityFile, encodeIdentity(identity));
  await writeFileDurably(dir.cardFile(agentId, 1), card);
  await beginChain(dir, { vault: vaultId, identity, card }, sodium);

  // Nothing is elsewhere yet: an index that is there as built asks nobody what it may have lost.
  const index = openIndex(dir.indexFile, { clock, vault: vaultId });
  index.markBuilt();
  index.close();

  const words = encodeRecoveryCode(vaultKey, adminSeed);
  if (vault.recoveryOut !== undefined)
    await writeFileDurably(join(dir.path, UNFINISHED), Buffer.from(`${vault.recoveryOut}\n${vaultId}`));
  beforeCommit(words, vaultId);
  const descriptor = {
    vaultId,
    formatVersion: VAULT_FORMAT_VERSION,
    criticalFeatures: [],
    chunker: CHUNKER,
    keyTable: [
      { keyId: generation.keyId, createdNs: nowNs, wrapped: wrapGeneration(sodium, base, generation, random) },
    ],
    adminPublicKey: publicKeyOf(sodium, adminSeed),
    proofPublicKey: recoveryProofPublicKey(sodium, keys),
    epoch: FIRST_EPOCH,
    previous: undefined,
  };
  await writeFileDurably(dir.vaultFile, encodeVaultDescriptor(sodium, descriptor, { macKey: keys.macKey, adminSeed }));
  return { vaultId, agentId, words, slots };
}

async function prepareFolder(dir: DataDir): Promise<void> {
  try {
    await makeFolders(dir.path, 0o700);
  } catch (error) {
    throw folderError(error, dir, 'making');
  }
}

function folderError(error: unknown, dir: DataDir, doing: string): EdgeError {
  const errno = errnoOf(error);
  const options = { hint: 'Name another with --data-dir.', cause: error };
  if (errno === 'EACCES' || errno === 'EPERM')
    return new EdgeError('E_DENIED', `no permission for ${doing} the data dir ${dir.path}`, options);
  if (errno === 'EEXIST' || errno === 'ENOTDIR') {
    const message = `${dir.path} cannot be the data dir: there is a file in its place or above it`;
    return new EdgeError('E_USAGE', message, options);
  }
  return toEdgeError(error, `${doing} the data dir ${dir.path}`);
}

/** What is left of writing the marker itself: an `init` that was killed before there was anything else. */
function isTemporaryOf(marker: string, name: string): boolean {
  return name.startsWith(`.${marker}.`) && name.endsWith('.tmp');
}

/** Throws what `makeVault` would throw for the folder as it is now. Changes nothing. */
export function requireFolderForVault(dir: DataDir): void {
  if (!isThere(dir.path)) return;
  requireNothingElse(dir, namesIn(dir));
}

/** Everything in the folder but what may be there before a vault is. */
function namesIn(dir: DataDir): string[] {
  try {
    return readdirSync(dir.path).filter((name) => !ALLOWED_BEFORE.has(name) && !isTemporaryOf(UNFINISHED, name));
  } catch (error) {
    throw folderError(error, dir, 'reading');
  }
}

/** Refuses a folder that holds anything else: a vault that lost its descriptor must not be built over. */
async function clearUnfinished(dir: DataDir): Promise<void> {
  const there = namesIn(dir);
  if (there.length === 0) return;
  requireNothingElse(dir, there);
  for (const path of [
    dir.indexFile,
    `${dir.indexFile}-wal`,
    `${dir.indexFile}-shm`,
    dir.slotsDir,
    dir.agentDir,
    dir.cardsDir,
    dir.chainsDir,
    dir.storedKeyFile,
    dir.adminFile,
  ]) {
    await rm(path, { recursive: true, force: true });
  }
}

function requireNothingElse(dir: DataDir, there: readonly string[]): void {
  if (there.includes(RECOVERY_MARKER)) throw cutOffRecovery(dir, 'E_USAGE');
  if (there.length === 0 || isThere(join(dir.path, UNFINISHED))) return;
  throw new EdgeError(
    'E_USAGE',
    `${dir.path} is not empty (${there.slice(0, 3).join(', ')}${there.length > 3 ? ', …' : ''}) and is no data dir`,
    {
      hint: isThere(dir.packDir)
        ? 'It looks like a data dir that lost vault.edge: take that file from another store of the vault, or use `edgestore recover` into an empty folder.'
        : 'Name an empty or absent folder with --data-dir.',
    },
  );
}
