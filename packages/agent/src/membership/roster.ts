/** The other agents of the vault: cards and `[[peers]]` together, and a link to each. */
import { X509Certificate } from 'node:crypto';
import {
  type AgentId,
  type AgentIdentity,
  type Clock,
  type DataDir,
  EdgeError,
  type Member,
  type PeerDirectory,
  type PeerLink,
  type Sodium,
  toEdgeError,
  toHex,
  type VaultId,
  type Warning,
} from '@edgestore/engine';
import type { PeerConfig } from '../config/config.ts';
import type { Hello } from '../http/hello.ts';
import { openPeerConnection, type PeerConnection } from '../http/peer-connection.ts';
import { createPeerLink, type PeerLimits } from '../http/peer-link.ts';
import { sayHello } from '../http/say-hello.ts';
import { spkiPin } from '../http/spki-pin.ts';
import type { TlsIdentity } from '../http/tls-certificate.ts';
import { type CardStore, type KnownCard, openCardStore } from './card-store.ts';
import type { VaultSharing } from './vault-sharing.ts';

export interface Roster extends PeerDirectory {
  readonly self: AgentId;
  readonly tls: TlsIdentity;
  readonly cards: CardStore;
  /** What this agent says first to another. */
  hello(): Hello;
  /** Takes the cards that another showed. One that does not verify is a warning and stops nothing. */
  heard(hello: Hello): Promise<void>;
  memberByPin(pin: string): Member | undefined;
  /** Says hello to the configured peers whose cards are not known yet, and to all that have not heard of the newest cards. Returns what went wrong, by name. */
  introduce(signal?: AbortSignal): Promise<readonly { readonly name: string; readonly error: EdgeError }[]>;
  /** The configured peers were changed. */
  reconfigure(peers: readonly PeerConfig[]): void;
  /** Says hello to a member now, and answers its hello, which it gave after it took what ours shows. */
  tell(agent: AgentId, signal?: AbortSignal): Promise<Hello>;
  close(): void;
}

/** A clock that is off by more than this from a peer's is worth a word (P8). */
const CLOCK_SKEW_MS_MAX = 24 * 3_600_000;

export async function openRoster(input: {
  readonly dataDir: DataDir;
  readonly sodium: Sodium;
  readonly clock: Clock;
  readonly vault: VaultId;
  readonly adminPublicKey: Uint8Array;
  readonly identity: AgentIdentity;
  readonly peers: readonly PeerConfig[];
  readonly program: string;
  /** Rates of what is sent to and read from peers. */
  readonly limits?: PeerLimits;
  /** Descriptor, slots and marks. */
  readonly sharing: VaultSharing;
  readonly warn: (warning: Warning) => void;
}): Promise<Roster> {
  const { identity, vault, warn } = input;
  const tls: TlsIdentity = {
    keyPem: identity.tlsKeyPem,
    certPem: identity.tlsCertPem,
    spkiSha256: spkiPin(new X509Certificate(identity.tlsCertPem)),
  };
  const cards = await openCardStore({
    dataDir: input.dataDir,
    sodium: input.sodium,
    vault,
    adminPublicKey: input.adminPublicKey,
    warn,
  });
  let peers = input.peers;
  const links = new Map<
    AgentId,
    { readonly key: string; readonly link: PeerLink; readonly connection: PeerConnection }
  >();

  const memberOf = ({ card }: KnownCard): Member => {
    const pin = toHex(card.tlsSpkiSha256);
    const configured = peers.find((peer) => peer.fingerprint === pin);
    return {
      agent: card.agentId,
      incarnation: card.incarnation,
      // The configuration is the operator's own word about where a peer is; the card says the rest.
      name: card.name,
      site: configured?.site ?? card.site,
      role: card.role,
      addresses: [
        ...(configured === undefined ? [] : [configured.address]),
        ...card.addresses.filter((a) => a !== configured?.address),
      ],
      weight: configured?.weight ?? 1,
      signPublicKey: card.signPublicKey,
      tlsSpkiSha256: pin,
    };
  };

  async function greet(connection: PeerConnection, signal: AbortSignal | undefined): Promise<Hello> {
    const answer = await sayHello(connection, roster.hello(), signal);
    await roster.heard(answer);
    return answer;
  }

  /** Which cards and files each member was told of last. */
  const told = new Map<AgentId, string>();
  const toldNow = (): string =>
    cards
      .all()
      .map(({ card }) => `${card.agentId}-${card.incarnation}-${card.number}`)
      .sort()
      .concat(input.sharing.digest())
      .join();

  const roster: Roster = {
    self: identity.agentId,
    tls,
    cards,
    members: () =>
      cards
        .newest()
        .filter((one) => one.card.agentId !== identity.agentId)
        .map(memberOf),
    memberByPin: (pin) => {
      const found = cards.newest().find((one) => toHex(one.card.tlsSpkiSha256) === pin);
      return found === undefined || found.card.agentId === identity.agentId ? undefined : memberOf(found);
    },
    link: (agent) => {
      const known = cards.newestOf(agent);
      if (known === undefined || agent === identity.agentId) return undefined;
      const member = memberOf(known);
      if (member.addresses.length === 0) return undefined;
      const key = `${member.tlsSpkiSha256} ${member.addresses.join(' ')}`;
      const old = links.get(agent);
      if (old?.key === key) return old.link;
      old?.connection.close();
      const connection = openPeerConnection(
        { name: member.name, addresses: member.addresses, pin: member.tlsSpkiSha256 },
        tls,
      );
      const link = createPeerLink({
        member,
        connection,
        ...(input.limits === undefined ? {} : { limits: input.limits }),
        hello: async (signal) => {
          const now = toldNow();
          await greet(connection, signal);
          told.set(agent, now);
        },
      });
      links.set(agent, { key, link, connection });
      return link;
    },
    hello: () => ({
      vault,
      agent: identity.agentId,
      program: input.program,
      wallMs: Number(input.clock.nowNs() / 1_000_000n),
      cards: cards.all().map((one) => one.bytes),
      ...input.sharing.shown(),
    }),
    async heard(hello) {
      const who = `agent ${hello.agent.slice(0, 8)}`;
      try {
        const { taken, refused } = await cards.learn(hello.cards);
        for (const { card } of taken) {
          if (card.agentId === identity.agentId && card.incarnation > identity.incarnation) {
            warn({
              code: 'W_TAKEN_OVER',
              message: `incarnation ${card.incarnation} of this agent took its identity over; peers refuse this one`,
            });
          }
        }
        for (const error of refused) {
          const code = error.code === 'E_FORK' ? 'W_CARD_FORK' : 'W_CARD_REFUSED';
          warn({ code, message: `${who} showed a card that is refused: ${error.message}` });
        }
        for (const error of await input.sharing.heard(hello, who)) {
          const message = `${who} showed a file of the vault that is refused: ${error.message}`;
          warn({ code: 'W_VAULT_FILE_REFUSED', message });
        }
      } catch (error) {
        warn({
          code: 'W_CARD_REFUSED',
          message: `what ${who} showed could not be kept: ${toEdgeError(error).message}`,
        });
      }
      const skewMs = Math.abs(hello.wallMs - Number(input.clock.nowNs() / 1_000_000n));
      if (skewMs > CLOCK_SKEW_MS_MAX) {
        warn({
          code: 'W_CLOCK_SKEW',
          message: `the clock of agent ${hello.agent.slice(0, 8)} differs from ours by ${Math.round(skewMs / 3_600_000)} hours`,
        });
      }
    },
    async introduce(signal) {
      const failed: { name: string; error: EdgeError }[] = [];
      const unknown = peers.filter(
        (peer) => peer.fingerprint !== tls.spkiSha256 && roster.memberByPin(peer.fingerprint) === undefined,
      );
      await Promise.all(
        unknown.map(async (peer) => {
          const connection = openPeerConnection(
            { name: peer.name, addresses: [peer.address], pin: peer.fingerprint },
            tls,
          );
          try {
            await greet(connection, signal);
          } catch (error) {
            failed.push({ name: peer.name, error: toEdgeError(error) });
          } finally {
            connection.close();
          }
        }),
      );
      const now = toldNow();
      await Promise.all(
        roster.members().map(async (member) => {
          if (told.get(member.agent) === now) return;
          const link = roster.link(member.agent);
          const connection = links.get(member.agent)?.connection;
          if (link === undefined || connection === undefined) return;
          try {
            await greet(connection, signal);
            told.set(member.agent, now);
          } catch (error) {
            failed.push({ name: member.name, error: toEdgeError(error) });
          }
        }),
      );
      return failed;
    },
    async tell(agent, signal) {
      const link = roster.link(agent);
      const connection = links.get(agent)?.connection;
      if (link === undefined || connection === undefined)
        throw new EdgeError('E_STORE', 'no address of it is known', { retryable: true });
      const now = toldNow();
      const answer = await greet(connection, signal);
      told.set(agent, now);
      return answer;
    },
    reconfigure: (changed) => {
      peers = changed;
    },
    close: () => {
      for (const { connection } of links.values()) connection.close();
      links.clear();
    },
  };
  return roster;
}
