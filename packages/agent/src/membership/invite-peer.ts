/** Making an invitation, and letting the invited in: both need the admin seed, which only some agents hold. */
import {
  type AgentIdentity,
  type Card,
  type CardRole,
  type Clock,
  EdgeError,
  encodeCard,
  fromHex,
  publicKeyOf,
  type RandomBytes,
  type Sodium,
  toHex,
  type VaultId,
} from '@edgestore/engine';
import { commonVersion, FORMAT, PROTOCOL } from '../http/versions.ts';
import type { CardStore } from './card-store.ts';
import { deriveInviteKeys, sealForInvited, verifyInvite } from './invite-keys.ts';
import { encodeInviteToken } from './invite-token.ts';
import type { Invites } from './invites.ts';
import { decodeSignedJoinRequest, encodeJoinAnswer } from './join-wire.ts';

export interface InviterDeps {
  readonly sodium: Sodium;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly vault: VaultId;
  readonly identity: AgentIdentity;
  /** Of this agent's TLS key. */
  readonly pin: string;
  readonly cards: CardStore;
  readonly invites: Invites;
  /** Undefined where this agent does not hold it. */
  readonly adminSeed: () => Promise<Uint8Array | undefined>;
  readonly vaultKey: () => Promise<Uint8Array>;
  readonly vaultDescriptor: () => Promise<Uint8Array>;
  readonly slots: () => Promise<readonly Uint8Array[]>;
}

/** Lifetime of an invitation when none is given: an hour. */
export const INVITE_NS_DEFAULT = 3_600_000_000_000n;

/**
 * A new invitation: its token, to be carried to the other machine. `addresses` is where this agent listens, as others reach it.
 * E_USAGE when there is none; E_DENIED when this agent does not hold the admin key.
 */
export async function invitePeer(
  input: {
    readonly role: CardRole;
    readonly uses?: number;
    readonly lifetimeNs?: bigint;
    readonly addresses: readonly string[];
  },
  deps: InviterDeps,
): Promise<{
  readonly token: string;
  readonly inviteId: string;
  readonly expiresNs: bigint;
  readonly addresses: readonly string[];
}> {
  const adminSeed = await requireInviter(input.addresses, deps);
  await renewOwnCard(input.addresses, adminSeed, deps);
  const secret = deps.random(32);
  const keys = deriveInviteKeys(deps.sodium, secret);
  const inviteId = toHex(deps.random(16));
  const expiresNs = deps.clock.nowNs() + (input.lifetimeNs ?? INVITE_NS_DEFAULT);
  await deps.invites.add({
    id: inviteId,
    role: input.role,
    expiresNs: String(expiresNs),
    uses: input.uses ?? 1,
    proofPublicKey: toHex(keys.proofPublicKey),
    boxPublicKey: toHex(keys.boxPublicKey),
    joined: [],
  });
  const token = encodeInviteToken({
    vault: deps.vault,
    inviteId,
    role: input.role,
    expiresNs,
    pin: deps.pin,
    secret,
    addresses: input.addresses,
  });
  return { token, inviteId, expiresNs, addresses: input.addresses };
}

/** The admin seed of an agent that may invite and can be called: E_USAGE or E_DENIED as `invitePeer`. Changes nothing. */
export async function requireInviter(
  addresses: readonly string[],
  deps: Pick<InviterDeps, 'adminSeed'>,
): Promise<Uint8Array> {
  if (addresses.length === 0) {
    throw new EdgeError('E_USAGE', 'this agent has no address that an invited machine could call', {
      hint: 'Set agent.listen (and agent.advertise when it listens on every address) in the configuration.',
    });
  }
  return requireAdminSeed(deps);
}

/** Answers a join request that came over a channel whose client key has `clientPin`. E_DENIED unless it proves an open invitation. */
export function admitPeer(
  bytes: Uint8Array,
  clientPin: string,
  remoteAddress: string,
  deps: InviterDeps,
): Promise<Uint8Array> {
  return deps.invites.inTurn(() => admitOne(bytes, clientPin, remoteAddress, deps));
}

async function admitOne(
  bytes: Uint8Array,
  clientPin: string,
  remoteAddress: string,
  deps: InviterDeps,
): Promise<Uint8Array> {
  const { request, requestBytes, proof } = decodeSignedJoinRequest(bytes);
  commonVersion(PROTOCOL, request.protocol, 'protocol', 'the joining machine');
  commonVersion(FORMAT, request.format, 'format', 'the joining machine');
  const invite = await deps.invites.find(request.invite, clientPin, deps.clock.nowNs());
  const isProven = verifyInvite(
    deps.sodium,
    fromHex(invite.proofPublicKey, 32),
    fromHex(deps.pin, 32),
    fromHex(clientPin, 32),
    requestBytes,
    proof,
  );
  if (!isProven) throw new EdgeError('E_DENIED', 'the invitation was not proven');
  const adminSeed = await requireAdminSeed(deps);
  const twin = deps.cards.newest().find(({ card }) => card.name === request.name && card.agentId !== request.agent);
  if (twin !== undefined) {
    throw new EdgeError('E_USAGE', `an agent named ${request.name} is in the vault already`, {
      hint: `Join with another name: --name. Where this is ${request.name}, whose disk was lost: edgestore recover --agent ${request.name} --from PEER-OR-BUCKET with the recovery sheet.`,
    });
  }
  const known = deps.cards.newestOf(request.agent)?.card;
  // The same machine may ask again, because an answer can be lost; then its keys are the same, and its first incarnation is its only one.
  const isSameMachine =
    known === undefined ||
    (known.incarnation === 1 &&
      toHex(known.tlsSpkiSha256) === clientPin &&
      toHex(known.signPublicKey) === request.signPublicKey);
  if (!isSameMachine) throw new EdgeError('E_DENIED', 'another machine has this agent id already');
  // The use is durable before the card is signed: a crash in between costs one use, never gives one away.
  await deps.invites.use(invite, clientPin, request.agent);
  const card: Card = {
    vaultId: deps.vault,
    agentId: request.agent,
    incarnation: 1,
    name: request.name,
    site: request.site,
    role: invite.role,
    signPublicKey: fromHex(request.signPublicKey, 32),
    tlsSpkiSha256: fromHex(clientPin, 32),
    addresses: request.addresses.map((address) => address.replace('https://*', `https://${hostOf(remoteAddress)}`)),
    base: undefined,
    number: (known?.number ?? 0) + 1,
  };
  const cardBytes = encodeCard(deps.sodium, card, adminSeed);
  await takeOwnCard(cardBytes, deps.cards);
  return encodeJoinAnswer({
    vault: await deps.vaultDescriptor(),
    sealedKey: sealForInvited(deps.sodium, fromHex(invite.boxPublicKey, 32), await deps.vaultKey()),
    slots: await deps.slots(),
    cards: [
      cardBytes,
      ...deps.cards
        .all()
        .map((one) => one.bytes)
        .filter((other) => toHex(other) !== toHex(cardBytes)),
    ],
  });
}

/** Signs a new card of this agent when its addresses changed since the last, so that others learn where it is. */
export async function renewOwnCard(
  addresses: readonly string[],
  adminSeed: Uint8Array,
  deps: Pick<InviterDeps, 'sodium' | 'cards' | 'identity' | 'vault' | 'pin'>,
): Promise<void> {
  const own = deps.cards.newestOf(deps.identity.agentId)?.card;
  if (own !== undefined && own.addresses.join() === addresses.join()) return;
  const card: Card = {
    vaultId: deps.vault,
    agentId: deps.identity.agentId,
    incarnation: deps.identity.incarnation,
    name: deps.identity.name,
    site: deps.identity.site,
    role: own?.role ?? 'edge',
    signPublicKey: publicKeyOf(deps.sodium, deps.identity.signSeed),
    tlsSpkiSha256: fromHex(deps.pin, 32),
    addresses,
    base: own?.base,
    number: (own?.number ?? 0) + 1,
  };
  await takeOwnCard(encodeCard(deps.sodium, card, adminSeed), deps.cards);
}

/** A card that was signed here is given out only when the store took it. */
async function takeOwnCard(bytes: Uint8Array, cards: CardStore): Promise<void> {
  const { refused } = await cards.learn([bytes]);
  if (refused[0] !== undefined) throw refused[0];
}

async function requireAdminSeed(deps: Pick<InviterDeps, 'adminSeed'>): Promise<Uint8Array> {
  const seed = await deps.adminSeed();
  if (seed === undefined) {
    throw new EdgeError('E_DENIED', 'this agent does not hold the admin key of the vault, which signs members', {
      hint: 'Invite from the machine where `edgestore init` was run.',
    });
  }
  return seed;
}

/** An address as it goes into a URL; IPv4 in IPv6 form is unwrapped. */
function hostOf(remoteAddress: string): string {
  const plain = remoteAddress.replace(/^::ffff:/, '');
  return plain.includes(':') ? `[${plain}]` : plain;
}
