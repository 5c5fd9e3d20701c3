/** Makes the agent of an empty data dir in the vault that an invite token leads to. */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AgentIdentity,
  beginChain,
  bytesEqual,
  type Clock,
  createDataDir,
  createSlot,
  type DataDir,
  dataDirExists,
  decodeIdentity,
  EdgeError,
  encodeIdentity,
  encodeKeyFile,
  errnoOf,
  fromHex,
  isEdgeError,
  makeFolderDurably,
  openVaultDescriptor,
  publicKeyOf,
  type RandomBytes,
  removeIfThere,
  type Sodium,
  toEdgeError,
  toHex,
  verifyCard,
  verifySlot,
  writeFileDurably,
} from '@edgestore/engine';
import { openPeerConnection } from '../http/peer-connection.ts';
import { spkiPin } from '../http/spki-pin.ts';
import { createTlsIdentity } from '../http/tls-certificate.ts';
import { deriveInviteKeys, openAsInvited, proveInvite } from './invite-keys.ts';
import { decodeInviteToken, type InviteToken } from './invite-token.ts';
import { decodeJoinAnswer, encodeJoinRequest, signedJoinRequest } from './join-wire.ts';

export interface JoinInput {
  readonly token: string;
  readonly dataDir: DataDir;
  readonly name: string;
  readonly site: string;
  /** Where others reach this agent; host `*` for the address that the inviter sees; empty for one that only calls. */
  readonly addresses: readonly string[];
  /** False with `--no-stored-key`: then a passphrase slot has to exist, or the service cannot start. */
  readonly storeKey: boolean;
  readonly signal?: AbortSignal;
}

export interface JoinResult {
  readonly vault: string;
  readonly agent: string;
  readonly name: string;
  readonly site: string;
  readonly role: string;
  readonly members: readonly string[];
  readonly inviter: {
    readonly name: string;
    readonly site: string;
    readonly address: string;
    readonly fingerprint: string;
  };
}

/** Answer of a join: descriptor, slots and cards of a whole vault. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/**
 * E_USAGE when a vault is there already or the token has expired; E_DENIED when the inviter refuses or is another; E_INTEGRITY when it answers
 * with anything that the vault's keys do not vouch for. Interrupted, the same command may be run again: it keeps the keys that it made.
 */
export async function joinVault(
  input: JoinInput,
  deps: { readonly sodium: Sodium; readonly clock: Clock; readonly random: RandomBytes },
): Promise<JoinResult> {
  const { sodium, random } = deps;
  const { dataDir } = input;
  const token = await checkJoin(input, deps.clock);
  const identity = await pendingIdentity(input, random);
  const clientPin = spkiPin(new X509Certificate(identity.tlsCertPem));
  const keys = deriveInviteKeys(sodium, token.secret);
  const request = encodeJoinRequest({
    invite: token.inviteId,
    agent: identity.agentId,
    name: identity.name,
    site: identity.site,
    signPublicKey: toHex(publicKeyOf(sodium, identity.signSeed)),
    addresses: input.addresses,
  });
  const proof = proveInvite(sodium, keys, fromHex(token.pin, 32), fromHex(clientPin, 32), request);
  const connection = openPeerConnection(
    { name: 'the inviting agent', addresses: token.addresses, pin: token.pin },
    { keyPem: identity.tlsKeyPem, certPem: identity.tlsCertPem, spkiSha256: clientPin },
  );
  let answer: ReturnType<typeof decodeJoinAnswer>;
  try {
    answer = decodeJoinAnswer(
      await connection.bytes({
        method: 'POST',
        path: '/peer/1/join',
        body: signedJoinRequest(request, proof),
        limit: ANSWER_BYTES_MAX,
        ...(input.signal === undefined ? {} : { signal: input.signal }),
      }),
    );
  } finally {
    connection.close();
  }

  const vaultKey = openAsInvited(sodium, keys, answer.sealedKey);
  const { descriptor } = openVaultDescriptor(sodium, answer.vault, vaultKey);
  if (descriptor.vaultId !== token.vault)
    throw new EdgeError('E_DENIED', 'the inviting agent answered for another vault than the token names');
  const cards = answer.cards.map((bytes) => ({ bytes, card: verifyCard(sodium, bytes, descriptor.adminPublicKey) }));
  const slots = answer.slots.map((bytes) => ({
    slotId: verifySlot(sodium, bytes, descriptor.adminPublicKey, descriptor.vaultId).slotId,
    bytes,
  }));
  const own = cards.find(({ card }) => card.agentId === identity.agentId)?.card;
  const inviter = cards.find(({ card }) => toHex(card.tlsSpkiSha256) === token.pin)?.card;
  if (
    own === undefined ||
    inviter === undefined ||
    toHex(own.tlsSpkiSha256) !== clientPin ||
    !bytesEqual(own.signPublicKey, publicKeyOf(sodium, identity.signSeed)) ||
    own.incarnation !== identity.incarnation ||
    cards.some(({ card }) => card.vaultId !== token.vault)
  ) {
    throw new EdgeError('E_INTEGRITY', 'the inviting agent answered without a right card for this machine');
  }

  await createDataDir(dataDir);
  for (const { slotId, bytes } of slots) await writeFileDurably(dataDir.slotFile(slotId), bytes, 0o600);
  if (input.storeKey) {
    const secret = random(32);
    const slot = await createSlot(
      sodium,
      { type: 'keyfile', secret },
      { vaultId: token.vault, label: 'stored in the data dir', scope: 'local', vaultKey },
      random,
    );
    await writeFileDurably(dataDir.slotFile(slot.slotId), slot.bytes, 0o600);
    await writeFileDurably(dataDir.storedKeyFile, Buffer.from(encodeKeyFile(secret)), 0o600);
  }
  for (const { bytes, card } of cards)
    await writeFileDurably(dataDir.cardFile(card.agentId, card.incarnation), bytes, 0o600);
  await writeFileDurably(dataDir.identityFile, encodeIdentity(identity), 0o600);
  const ownCard = cards.find(({ card }) => card === own)!.bytes;
  await beginChain(dataDir, { vault: token.vault, identity, card: ownCard }, sodium);
  // The descriptor is what makes a folder a data dir: it comes last, so that a join that was cut short can be run again.
  await writeFileDurably(dataDir.vaultFile, answer.vault, 0o600);
  await removeIfThere(pendingFile(dataDir));
  return {
    vault: token.vault,
    agent: identity.agentId,
    name: identity.name,
    site: identity.site,
    role: own.role,
    members: cards.map(({ card }) => card.name),
    inviter: { name: inviter.name, site: inviter.site, address: token.addresses[0]!, fingerprint: token.pin },
  };
}

/** What can be said of a join before anything is made or asked: the token, when it can be used here. */
export async function checkJoin(
  { token: text, dataDir }: Pick<JoinInput, 'token' | 'dataDir'>,
  clock: Clock,
): Promise<InviteToken> {
  const token = tokenOf(text);
  if (await dataDirExists(dataDir)) {
    throw new EdgeError('E_USAGE', `there is a vault in ${dataDir.path} already`, {
      hint: 'Join with another --data-dir.',
    });
  }
  if (clock.nowNs() > token.expiresNs) {
    throw new EdgeError('E_DENIED', 'the invitation has expired', {
      hint: 'Ask for a new one; or set this machine’s clock right.',
    });
  }
  return token;
}

/** What was typed or pasted is no damage in a store: a wrong token is a wrong argument. */
function tokenOf(text: string): InviteToken {
  try {
    return decodeInviteToken(text);
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT', 'E_INTEGRITY')) throw error;
    throw new EdgeError('E_USAGE', error.message, {
      hint: 'Copy the whole line that `edgestore peer invite` printed.',
      cause: error,
    });
  }
}

/** The keys of a join that was begun are used again: the inviter knows them, and a use of the invitation may be spent on them. */
async function pendingIdentity(input: JoinInput, random: RandomBytes): Promise<AgentIdentity> {
  const file = pendingFile(input.dataDir);
  try {
    const pending = decodeIdentity(readFileSync(file));
    return { ...pending, name: input.name, site: input.site };
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && !(error instanceof EdgeError)) throw toEdgeError(error, `reading ${file}`);
  }
  const tls = await createTlsIdentity(input.name);
  const identity: AgentIdentity = {
    agentId: toHex(random(16)),
    name: input.name,
    site: input.site,
    incarnation: 1,
    signSeed: random(32),
    tlsKeyPem: tls.keyPem,
    tlsCertPem: tls.certPem,
  };
  await makeFolderDurably(input.dataDir.agentDir);
  await writeFileDurably(file, encodeIdentity(identity), 0o600);
  return identity;
}

function pendingFile(dataDir: DataDir): string {
  return join(dataDir.agentDir, 'joining.edge');
}
