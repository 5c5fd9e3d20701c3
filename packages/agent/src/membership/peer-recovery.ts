/** A peer as a place to recover from: found by address, believed because the vault's admin signed the key that it shows. */
import { connect } from 'node:tls';
import {
  CARD_BYTES_MAX,
  EdgeError,
  errnoOf,
  formatError,
  fromHex,
  proveRecovery,
  publicKeyOf,
  type RecoverySource,
  SLOT_REMOVAL_BYTES,
  type Sodium,
  toHex,
  type VaultBaseKeys,
  verifyCard,
} from '@edgestore/engine';
import { decodeState, ENTRIES_BYTES_MAX, STATE_BYTES_MAX } from '../http/chain-wire.ts';
import { fetchEntries } from '../http/fetch-entries.ts';
import { openPeerConnection, type PeerConnection, parseAddress } from '../http/peer-connection.ts';
import { createPeerSource } from '../http/peer-source.ts';
import { decodeParts, decodeSlots } from '../http/peer-wire.ts';
import { TLS_OPTIONS } from '../http/pinned-connection.ts';
import { peerPin } from '../http/spki-pin.ts';
import type { TlsIdentity } from '../http/tls-certificate.ts';
import { boundChallenge } from './recovery-access.ts';

export interface PeerRecovery extends RecoverySource {
  /** The pin that the peer was believed under. */
  readonly pin: string;
  /** Tells the peer of new cards, such as that of a takeover. */
  close(): void;
}

const CARD_ANSWER_BYTES_MAX = 64 * 1024;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

export interface PeerRecoveryInput {
  /** `https://host:port` */
  readonly address: string;
  /** From the recovery sheet, when it names this peer; otherwise the peer's card has to be signed by the admin. */
  readonly pin?: string | undefined;
  /** Derived from the recovery sheet. */
  readonly keys: VaultBaseKeys;
  readonly adminSeed: Uint8Array;
  /** A key of this machine: made for the recovery, and kept when the identity is taken over. */
  readonly tls: TlsIdentity;
  readonly signal?: AbortSignal;
}

/** E_DENIED when another key answers than the pinned one, when the card is not the admin's, or when the peer refuses the proof. */
export async function openPeerRecovery(
  input: PeerRecoveryInput,
  deps: { readonly sodium: Sodium },
): Promise<PeerRecovery> {
  const { sodium } = deps;
  const pin = input.pin ?? (await shownPin(input.address, input.tls));
  const connection = openPeerConnection({ name: 'peer', addresses: [input.address], pin }, input.tls);
  const { signal } = input;
  const withSignal = signal === undefined ? {} : { signal };
  try {
    const shown = await connection.bytes({
      method: 'GET',
      path: '/peer/1/card',
      limit: CARD_ANSWER_BYTES_MAX,
      ...withSignal,
    });
    const card = verifyPeerCard(sodium, shown, input.adminSeed, input.address);
    if (toHex(card.tlsSpkiSha256) !== pin) throw notOurs(input.address);
    if (input.keys.vaultId !== '' && card.vaultId !== input.keys.vaultId) throw notOurs(input.address);

    const challenge = await connection.bytes({ method: 'GET', path: '/peer/1/challenge', limit: 64, ...withSignal });
    const proof = proveRecovery(sodium, input.keys, boundChallenge(challenge, input.tls.spkiSha256), fromHex(pin, 32));
    const answer = await connection.bytes({
      method: 'POST',
      path: '/peer/1/recover',
      body: proof,
      limit: ANSWER_BYTES_MAX,
      ...withSignal,
    });
    const [vault, slots, cards, removals] = decodeParts(answer, 'recovery answer', ANSWER_BYTES_MAX);
    if (vault === undefined || slots === undefined || cards === undefined || removals === undefined)
      throw formatError('recovery answer', 'it has not four parts');
    return recoveryOf(connection, pin, card.name, {
      vault,
      slots: decodeSlots(slots),
      removals: decodeParts(removals, 'removal marks', SLOT_REMOVAL_BYTES),
      cards: decodeParts(cards, 'cards', CARD_BYTES_MAX),
    });
  } catch (error) {
    connection.close();
    throw error;
  }
}

function recoveryOf(
  connection: PeerConnection,
  pin: string,
  name: string,
  held: {
    readonly vault: Uint8Array;
    readonly slots: readonly Uint8Array[];
    readonly removals: readonly Uint8Array[];
    readonly cards: readonly Uint8Array[];
  },
): PeerRecovery {
  const source = createPeerSource(connection, (_, run) => run());
  return {
    kind: 'peers',
    label: connection.label.replace(/^peer/, name),
    pin,
    source,
    vaultDescriptor: async () => held.vault,
    slots: async () => held.slots,
    slotRemovals: async () => held.removals,
    cards: async () => held.cards,
    has: async (ids, signal) =>
      Uint8Array.from(await source.locate(ids, signal), (address) => (address === undefined ? 0 : 1)),
    async *entries(agent, signal) {
      const get = (path: string) => connection.bytes({ method: 'GET', path, limit: ENTRIES_BYTES_MAX, signal });
      const all = { bodies: 'all', leavesGaps: true } as const;
      yield* fetchEntries(agent, { ...all, afterSeq: 0 }, get);
      const { branches } = decodeState(
        await connection.bytes({ method: 'GET', path: '/peer/1/state', limit: STATE_BYTES_MAX, signal }),
      );
      for (const { agent: owner, tip, base } of branches) {
        if (owner === agent) yield* fetchEntries(agent, { ...all, afterSeq: base?.seq ?? 0, branch: tip.link }, get);
      }
    },
    close: () => connection.close(),
  };
}

/** The pin of whoever answers there; nothing is sent. */
function shownPin(address: string, tls: TlsIdentity): Promise<string> {
  const { host, port } = parseAddress(address);
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...TLS_OPTIONS,
      ALPNProtocols: ['http/1.1'],
      host,
      port,
      key: tls.keyPem,
      cert: tls.certPem,
      rejectUnauthorized: false,
    });
    const fail = (problem: string, cause?: unknown): void => {
      socket.destroy();
      reject(
        new EdgeError('E_STORE', `${address} cannot be reached: ${problem}`, {
          hint: 'Check the address, and that the agent runs there.',
          retryable: true,
          cause,
        }),
      );
    };
    socket.setTimeout(15_000, () => fail('no answer'));
    socket.once('error', (error) => fail(errnoOf(error) ?? error.message, error));
    socket.once('secureConnect', () => {
      const pin = peerPin(socket);
      socket.destroy();
      if (pin === undefined) fail('it shows no certificate');
      else resolve(pin);
    });
  });
}

function verifyPeerCard(
  sodium: Sodium,
  bytes: Uint8Array,
  adminSeed: Uint8Array,
  address: string,
): ReturnType<typeof verifyCard> {
  try {
    return verifyCard(sodium, bytes, publicKeyOf(sodium, adminSeed));
  } catch (error) {
    if (error instanceof EdgeError && error.code === 'E_INTEGRITY') throw notOurs(address, error);
    throw error;
  }
}

function notOurs(address: string, cause?: unknown): EdgeError {
  return new EdgeError('E_DENIED', `the agent at ${address} is no member of the vault of this recovery sheet`, {
    hint: 'Check the address; nothing secret was sent there.',
    cause,
  });
}
