/**
 * Writes the data dir of a recovered agent. `vault.edge` is written last and makes the folder a data dir. A recovery that is cut off leaves no data dir, and
 * the next try begins it again. The index is not written: opening the data dir builds it from the chains.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { takeoverEntries, takeoverEntry } from '../chain/takeover-entries.ts';
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { sealAdminSeed } from '../keys/admin-seed.ts';
import { type Card, encodeCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { type AgentIdentity, encodeIdentity } from '../keys/identity.ts';
import { chainFolder } from '../store/chains/chain-paths.ts';
import { writeChainFile } from '../store/chains/write-chain-file.ts';
import { createDataDir, type DataDir, dataDirExists, RECOVERY_MARKER, readFolder } from '../store/data-dir.ts';
import { makeFolderDurably, removeIfThere, writeFileDurably } from '../store/durable-write.ts';
import type { ApplyRecoverDeps, ApplyRecoverInput } from './recover-types.ts';
import { writeRecoveredChains } from './write-chains.ts';

/** May be there before: the user's own configuration, and what locking needs. */
const ALLOWED_BEFORE = new Set(['conf.d', 'lock', 'lost+found', 'run', RECOVERY_MARKER]);

/** Where entries wait while the sources are read. */
export const RECOVERY_SPOOL = 'recover.entries';

/**
 * Makes the folder ready for a recovery: what a killed one left goes. The caller holds the data dir's lock. E_USAGE when a vault or anything foreign lies
 * there.
 */
export async function beginRecover(dir: DataDir): Promise<void> {
  await clearUnfinished(dir);
  await makeFolderDurably(dir.path);
  await writeFileDurably(join(dir.path, RECOVERY_MARKER), new Uint8Array());
  failpoint('recover.begun');
}

/** Nothing was written: the folder is as it was, but for the lock. */
export async function abandonRecover(dir: DataDir): Promise<void> {
  await removeIfThere(join(dir.path, RECOVERY_MARKER));
}

/** Follows `beginRecover`. E_NO_SPACE, E_IO. */
export async function applyRecover(
  dir: DataDir,
  input: ApplyRecoverInput,
  deps: ApplyRecoverDeps,
): Promise<AgentIdentity> {
  await createDataDir(dir);
  const identity = await writeLife(dir, input, deps);
  // Its entries are in chain files by now, durably.
  await input.plan.spool?.discard();
  failpoint('recover.life-written');
  await deps.beforeCommit();
  failpoint('recover.before-commit');
  await writeFileDurably(dir.vaultFile, input.plan.descriptorBytes);
  failpoint('recover.committed');
  await removeIfThere(join(dir.path, RECOVERY_MARKER));
  return identity;
}

async function writeLife(
  dir: DataDir,
  input: ApplyRecoverInput,
  { sodium, random }: ApplyRecoverDeps,
): Promise<AgentIdentity> {
  const { plan, life, site, tls, addresses } = input;
  const { keys } = plan;
  for (const { slotId, bytes } of plan.slots) await writeFileDurably(dir.slotFile(slotId), bytes);
  for (const { slotId, bytes } of plan.slotRemovals) await writeFileDurably(dir.slotRemovalFile(slotId), bytes);
  for (const { card, bytes } of plan.cards) await writeFileDurably(dir.cardFile(card.agentId, card.incarnation), bytes);
  await writeFileDurably(dir.adminFile, sealAdminSeed(sodium, keys, plan.adminSeed, random));

  const isTakeover = life.as === 'takeover';
  const identity: AgentIdentity = {
    agentId: isTakeover ? plan.agent.agentId : life.agentId,
    name: isTakeover ? plan.agent.name : life.name,
    site,
    incarnation: isTakeover ? plan.nextIncarnation : 1,
    signSeed: random(32),
    tlsKeyPem: tls.keyPem,
    tlsCertPem: tls.certPem,
  };
  const base = isTakeover ? plan.head : undefined;
  const card: Card = {
    vaultId: keys.vaultId,
    agentId: identity.agentId,
    incarnation: identity.incarnation,
    name: identity.name,
    site,
    role: isTakeover ? plan.agent.role : 'reader',
    signPublicKey: publicKeyOf(sodium, identity.signSeed),
    tlsSpkiSha256: tls.spkiSha256,
    addresses,
    base,
    number: isTakeover ? plan.agent.number + 1 : 1,
  };
  const cardBytes = encodeCard(sodium, card, plan.adminSeed);
  await writeFileDurably(dir.cardFile(identity.agentId, identity.incarnation), cardBytes);

  await writeRecoveredChains(dir.chainsDir, plan, { keepsLoose: !isTakeover });
  failpoint('recover.chains-written');
  const { state, brokenShards } = plan;
  const first = { keys, identity, card: cardBytes, base, state, brokenShards, random };
  const entries = isTakeover ? takeoverEntries(sodium, first) : [takeoverEntry(sodium, first)];
  await writeChainFile(chainFolder(dir.chainsDir, identity.agentId), entries);
  await writeFileDurably(dir.identityFile, encodeIdentity(identity));
  return identity;
}

async function clearUnfinished(dir: DataDir): Promise<void> {
  if (await dataDirExists(dir)) {
    throw new EdgeError('E_USAGE', `${dir.path} is a data dir already`, {
      hint: 'Recover into an empty folder: name another with --data-dir.',
      context: { path: dir.path },
    });
  }
  const there = await readFolder(dir.path);
  // A recovery that was killed while it wrote the marker left a temporary file of it, and nothing else.
  const isOfMarker = (name: string): boolean => name.startsWith(`.${RECOVERY_MARKER}.`) && name.endsWith('.tmp');
  const foreign = there.filter((name) => !ALLOWED_BEFORE.has(name) && !isOfMarker(name));
  if (foreign.length === 0) return;
  if (!there.includes(RECOVERY_MARKER)) {
    throw new EdgeError(
      'E_USAGE',
      `${dir.path} is not empty (${foreign.slice(0, 3).join(', ')}${foreign.length > 3 ? ', …' : ''})`,
      {
        hint: 'Recover into an empty folder: name another with --data-dir.',
        context: { path: dir.path },
      },
    );
  }
  for (const path of [
    dir.slotsDir,
    dir.agentDir,
    dir.cardsDir,
    dir.chainsDir,
    dir.storeIdFile,
    dir.epochFile,
    dir.storedKeyFile,
    join(dir.path, RECOVERY_SPOOL),
    dir.adminFile,
    dir.indexFile,
  ]) {
    await rm(path, { recursive: true, force: true });
  }
}
