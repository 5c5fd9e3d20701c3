/** The cards that this agent knows, on disk and in memory: all incarnations of all agents of the vault, each signed by the admin. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AgentId,
  bytesEqual,
  type Card,
  type DataDir,
  EdgeError,
  readFolder,
  type Sodium,
  toHex,
  type VaultId,
  verifyCard,
  type Warning,
  writeFileDurably,
} from '@edgestore/engine';
import { createTurns } from '../work/turns.ts';

export interface KnownCard {
  readonly card: Card;
  readonly bytes: Uint8Array;
}

export interface CardStore {
  /** The newest card of each agent. */
  newest(): readonly KnownCard[];
  newestOf(agent: AgentId): KnownCard | undefined;
  /** Every card, older incarnations too: their records still have to be verified. */
  all(): readonly KnownCard[];
  /** The key that signs the records of that life of an agent. */
  signPublicKey(agent: AgentId, incarnation: number): Uint8Array | undefined;
  /**
   * Takes cards from anywhere: each is verified and, when it is new or has a higher number, made durable. Returns what was new. A card that
   * does not verify is E_INTEGRITY; the good ones before it are kept.
   */
  learn(cards: readonly Uint8Array[]): Promise<readonly KnownCard[]>;
}

export async function openCardStore(deps: {
  readonly dataDir: DataDir;
  readonly sodium: Sodium;
  readonly vault: VaultId;
  readonly adminPublicKey: Uint8Array;
  readonly warn: (warning: Warning) => void;
}): Promise<CardStore> {
  const { dataDir, sodium } = deps;
  const known = new Map<string, KnownCard>();
  const keyOf = (card: Card): string => `${card.agentId}-${card.incarnation}`;

  function read(bytes: Uint8Array): KnownCard {
    const card = verifyCard(sodium, bytes, deps.adminPublicKey);
    if (card.vaultId !== deps.vault) throw new EdgeError('E_DENIED', 'a member card is of another vault');
    return { card, bytes: Uint8Array.from(bytes) };
  }

  for (const name of await readFolder(dataDir.cardsDir)) {
    if (!name.endsWith('.card')) continue;
    try {
      const one = read(readFileSync(join(dataDir.cardsDir, name)));
      known.set(keyOf(one.card), one);
    } catch (error) {
      if (!(error instanceof EdgeError)) throw error;
      // Cards come again from every peer; one that is damaged here stops nothing.
      deps.warn({ code: 'W_CARD_DAMAGED', message: `the card ${name} is not used: ${error.message}` });
    }
  }

  async function learnAll(cards: readonly Uint8Array[]): Promise<readonly KnownCard[]> {
    const learned: KnownCard[] = [];
    for (const bytes of cards) {
      // Nearly every card that comes is one that is known; verifying it again would only cost.
      const hex = toHex(bytes);
      if ([...known.values()].some((one) => one.bytes.length === bytes.length && toHex(one.bytes) === hex)) continue;
      const one = read(bytes);
      const old = known.get(keyOf(one.card));
      if (old !== undefined && one.card.number === old.card.number && !bytesEqual(one.bytes, old.bytes)) {
        deps.warn({
          code: 'W_CARD_CONFLICT',
          message: `two different cards number ${one.card.number} of agent ${one.card.name} are signed; the first that was seen counts`,
        });
      }
      if (old !== undefined && one.card.number <= old.card.number) continue;
      await writeFileDurably(dataDir.cardFile(one.card.agentId, one.card.incarnation), one.bytes, 0o600);
      known.set(keyOf(one.card), one);
      learned.push(one);
    }
    return learned;
  }

  // One after the other: of two that come at once, the one with the lower number must not be written last.
  const turns = createTurns();
  const store: CardStore = {
    all: () => [...known.values()],
    newest: () => {
      const best = new Map<AgentId, KnownCard>();
      for (const one of known.values()) {
        const other = best.get(one.card.agentId);
        if (other === undefined || isNewer(one.card, other.card)) best.set(one.card.agentId, one);
      }
      return [...best.values()];
    },
    newestOf: (agent) => store.newest().find((one) => one.card.agentId === agent),
    signPublicKey: (agent, incarnation) => known.get(`${agent}-${incarnation}`)?.card.signPublicKey,
    learn: (cards) => turns.run('learn', () => learnAll(cards)),
  };
  return store;
}

function isNewer(a: Card, b: Card): boolean {
  return a.incarnation > b.incarnation || (a.incarnation === b.incarnation && a.number > b.number);
}
