/** The cards that this agent knows, on disk and in memory: all incarnations of all agents of the vault, each signed by the admin. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AgentId,
  bytesEqual,
  CARD_BYTES_MAX,
  type Card,
  type DataDir,
  EdgeError,
  isEdgeError,
  readFolder,
  requireSameLog,
  type Sodium,
  toEdgeError,
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

export interface LearnedCards {
  /** Those that were new, or newer than the ones here. */
  readonly taken: readonly KnownCard[];
  /** Why others were refused. */
  readonly refused: readonly EdgeError[];
}

export interface CardStore {
  /** The newest card of each agent. */
  newest(): readonly KnownCard[];
  newestOf(agent: AgentId): KnownCard | undefined;
  /** Every card, the newest of each agent first; older incarnations too, since their entries still have to be verified. */
  all(): readonly KnownCard[];
  /** The key that signs the records of that life of an agent. */
  signPublicKey(agent: AgentId, incarnation: number): Uint8Array | undefined;
  /**
   * Takes cards from anywhere. Each is verified and, when it is new or has a higher number, made durable before it counts. A refused card stops
   * no other one. Each refusal names its card and has a code: E_INTEGRITY not the admin's, E_DENIED another vault, E_FORK another log key or base
   * than the incarnation's first card, E_LIMIT, E_NEWER_FORMAT, E_FORMAT.
   */
  learn(cards: readonly Uint8Array[]): Promise<LearnedCards>;
}

/** Agents of one vault. Only the admin key makes more, so the bound is against its mistakes, and keeps a hello short. */
export const CARD_AGENTS_MAX = 1024;
/** Incarnations of one agent: each is a recovery by a person. */
export const CARD_INCARNATIONS_MAX = 256;
/** Cards with a wrong signature after which the rest of a list is not looked at: verifying costs more than sending. */
const BAD_SIGNATURES_MAX = 16;

export async function openCardStore(deps: {
  readonly dataDir: DataDir;
  readonly sodium: Sodium;
  readonly vault: VaultId;
  readonly adminPublicKey: Uint8Array;
  readonly warn: (warning: Warning) => void;
}): Promise<CardStore> {
  const { dataDir, sodium } = deps;
  const known = new Map<AgentId, Map<number, KnownCard>>();
  /** Nearly every card that comes is one that is known: its bytes are looked up before its signature is verified. */
  const knownBytes = new Set<string>();

  function read(bytes: Uint8Array): KnownCard {
    if (bytes.length > CARD_BYTES_MAX) throw new EdgeError('E_FORMAT', `a member card of ${bytes.length} bytes`);
    const card = verifyCard(sodium, bytes, deps.adminPublicKey);
    if (card.vaultId !== deps.vault)
      throw new EdgeError('E_DENIED', `the card of agent ${card.name} is of another vault`);
    return { card, bytes: Uint8Array.from(bytes) };
  }

  function remember(one: KnownCard): void {
    const lives = known.get(one.card.agentId) ?? new Map<number, KnownCard>();
    const old = lives.get(one.card.incarnation);
    if (old !== undefined) knownBytes.delete(toHex(old.bytes));
    lives.set(one.card.incarnation, one);
    known.set(one.card.agentId, lives);
    knownBytes.add(toHex(one.bytes));
  }

  for (const name of await readFolder(dataDir.cardsDir)) {
    if (!name.endsWith('.card')) continue;
    const file = join(dataDir.cardsDir, name);
    const bytes = await readFile(file).catch((error: unknown) => {
      throw toEdgeError(error, `reading ${file}`);
    });
    try {
      const one = read(bytes);
      // A file under another name would be neither replaced nor found by its name.
      if (dataDir.cardFile(one.card.agentId, one.card.incarnation) !== file)
        throw new EdgeError('E_INTEGRITY', 'it is the card of another agent or incarnation');
      remember(one);
    } catch (error) {
      if (!(error instanceof EdgeError)) throw error;
      // Cards come again from every peer; one that is damaged here stops nothing.
      deps.warn({ code: 'W_CARD_DAMAGED', message: `the card ${name} is not used: ${error.message}` });
    }
  }

  /** Undefined for one that is here already, or older than the one here. */
  async function learnOne(one: KnownCard): Promise<KnownCard | undefined> {
    const { agentId, incarnation, number, name } = one.card;
    const lives = known.get(agentId);
    const old = lives?.get(incarnation);
    if (old === undefined) checkRoom(one.card, lives?.size ?? 0);
    else requireSameLog(old.card, one.card);
    if (old !== undefined && number === old.card.number && !bytesEqual(one.bytes, old.bytes)) {
      throw new EdgeError('E_FORK', `two different cards number ${number} of agent ${name} are signed`, {
        hint: 'The card that was seen first counts. Run `edgestore peer invite` on that agent: it signs a newer card.',
      });
    }
    if (old !== undefined && number <= old.card.number) return undefined;
    await writeFileDurably(dataDir.cardFile(agentId, incarnation), one.bytes, 0o600);
    remember(one);
    return one;
  }

  function checkRoom(card: Card, lives: number): void {
    if (lives === 0 && known.size >= CARD_AGENTS_MAX)
      throw new EdgeError(
        'E_LIMIT',
        `the card of agent ${card.name} is one too many: a vault has at most ${CARD_AGENTS_MAX} agents`,
      );
    if (lives >= CARD_INCARNATIONS_MAX)
      throw new EdgeError(
        'E_LIMIT',
        `the card of agent ${card.name} is one too many: an agent has at most ${CARD_INCARNATIONS_MAX} incarnations`,
      );
  }

  async function learnAll(cards: readonly Uint8Array[]): Promise<LearnedCards> {
    const taken: KnownCard[] = [];
    const refused: EdgeError[] = [];
    let badSignatures = 0;
    for (const bytes of cards) {
      if (badSignatures >= BAD_SIGNATURES_MAX) break;
      if (bytes.length <= CARD_BYTES_MAX && knownBytes.has(toHex(bytes))) continue;
      try {
        const one = await learnOne(read(bytes));
        if (one !== undefined) taken.push(one);
      } catch (error) {
        if (!isEdgeError(error, 'E_INTEGRITY', 'E_DENIED', 'E_FORK', 'E_LIMIT', 'E_NEWER_FORMAT', 'E_FORMAT'))
          throw error;
        if (error.code === 'E_INTEGRITY') badSignatures += 1;
        refused.push(error);
      }
    }
    return { taken, refused };
  }

  const newestOf = (agent: AgentId): KnownCard | undefined => {
    const lives = known.get(agent);
    return lives?.get(Math.max(...lives.keys()));
  };
  // One after the other: of two that come at once, the one with the lower number must not be written last.
  const turns = createTurns();
  return {
    all: () => {
      const newest = new Set([...known.keys()].map((agent) => newestOf(agent)!));
      const older = [...known.values()].flatMap((lives) => [...lives.values()]).filter((one) => !newest.has(one));
      return [...newest, ...older];
    },
    newest: () => [...known.keys()].map((agent) => newestOf(agent)!),
    newestOf,
    signPublicKey: (agent, incarnation) => known.get(agent)?.get(incarnation)?.card.signPublicKey,
    learn: (cards) => turns.run('learn', () => learnAll(cards)),
  };
}
