/** An owner's chain in memory for tests of flows: entries are real and signed, hold state is that of the reference function. */
import { type EntryHeader, EntryKind, encodeEntry, placeAfter, positionOf } from '../chain/entry-head.ts';
import { decodeAdd, encodeAdd, encodeRelease, type Form } from '../chain/forms.ts';
import { applyEntry, EMPTY_HOLDS, type HoldState } from '../chain/hold-state.ts';
import type { Position } from '../chain/position.ts';
import { encodeRecordEntry, type WholeEntry } from '../chain/record-entry.ts';
import { loadSodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import { type AgentId, type ChunkId, toHex } from '../core/ids.ts';
import { type Card, encodeCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { RecordBody } from '../log/record-body.ts';
import type { Chains, OwnChain } from '../ports/chains.ts';

const sodium = await loadSodium();

export interface MemoryChain {
  readonly agentId: AgentId;
  readonly keys: VaultKeys;
  readonly adminSeed: Uint8Array;
  incarnation: number;
  signSeed: Uint8Array;
  readonly entries: WholeEntry[];
  /** Cards of all incarnations, oldest first. */
  readonly cards: { readonly agent: AgentId; readonly incarnation: number; readonly bytes: Uint8Array }[];
  position(): Position | undefined;
  positionAt(seq: number): Position | undefined;
  takeover(over?: Partial<Card>): Position;
  add(shard: number, forms: readonly Form[]): Position;
  release(shard: number, ids: readonly ChunkId[]): Position;
  record(body: RecordBody, shard?: number): Position;
  appendClear(kind: EntryHeader['kind'], body: Uint8Array, shard?: number): Position;
  /** The same machine from an image: same keys, entries so far. */
  image(): MemoryChain;
  readonly own: OwnChain;
  readonly chains: Chains;
}

export interface MemoryChainInput {
  readonly keys: VaultKeys;
  readonly adminSeed: Uint8Array;
  readonly random: RandomBytes;
  readonly name?: string;
  readonly role?: Card['role'];
}

/** Begins with its takeover. */
export function createMemoryChain(input: MemoryChainInput): MemoryChain {
  const { random } = input;
  const chain = makeChain(input, toHex(random(16)), 1, random(32), [], []);
  chain.takeover();
  return chain;
}

function makeChain(
  input: MemoryChainInput,
  agentId: AgentId,
  incarnation: number,
  signSeed: Uint8Array,
  entries: WholeEntry[],
  cards: MemoryChain['cards'],
): MemoryChain {
  const { keys, adminSeed, random } = input;
  const place = (kind: EntryHeader['kind'], shard: number, keyId: number) =>
    placeAfter(
      chain.position(),
      { vault: keys.vaultId, agent: agentId, incarnation: chain.incarnation },
      { kind, shard, keyId },
    );
  const push = (entry: WholeEntry): Position => {
    entries.push(entry);
    return positionOf(entry.head);
  };
  const holds = (): HoldState => entries.reduce(applyEntry, EMPTY_HOLDS);
  const at = (seq: number): WholeEntry | undefined => entries.find(({ head }) => head.header.seq === seq);

  const chain: MemoryChain = {
    agentId,
    keys,
    adminSeed,
    incarnation,
    signSeed,
    entries,
    cards,
    position: () => (entries.length === 0 ? undefined : positionOf(entries.at(-1)!.head)),
    positionAt: (seq) => {
      const entry = at(seq);
      return entry === undefined ? undefined : positionOf(entry.head);
    },
    takeover(over = {}) {
      const bytes = encodeCard(
        sodium,
        {
          vaultId: keys.vaultId,
          agentId,
          incarnation: chain.incarnation,
          name: input.name ?? 'shop',
          site: 'shop',
          role: input.role ?? 'edge',
          signPublicKey: publicKeyOf(sodium, chain.signSeed),
          tlsSpkiSha256: new Uint8Array(32).fill(9),
          addresses: [],
          base: chain.position(),
          number: chain.incarnation,
          ...over,
        },
        adminSeed,
      );
      cards.push({ agent: agentId, incarnation: chain.incarnation, bytes });
      return chain.appendClear(EntryKind.takeover, bytes);
    },
    add: (shard, forms) => chain.appendClear(EntryKind.add, encodeAdd(forms), shard),
    release: (shard, ids) => chain.appendClear(EntryKind.release, encodeRelease(ids), shard),
    record: (body, shard = 0) => {
      const { kind: _kind, shard: _shard, ...rest } = place(EntryKind.record, shard, keys.currentKeyId);
      return push(
        encodeRecordEntry(sodium, { ...rest, shard, body, keys, signSeed: chain.signSeed, random24: random(24) }),
      );
    },
    appendClear: (kind, body, shard = 0) =>
      push(encodeEntry(sodium, { ...place(kind, shard, 0), body, signSeed: chain.signSeed })),
    image: () => makeChain(input, agentId, chain.incarnation, chain.signSeed, [...entries], [...cards]),
    own: {
      agent: agentId,
      blocked: undefined,
      position: () => chain.position(),
      positionAt: (seq) => chain.positionAt(seq),
      link: (seq) => chain.positionAt(seq)?.link,
      shardOf: () => 1,
      add: async (shard, forms) => void chain.add(shard, forms),
      sync: async () => {},
      append: async (body, shard) => chain.record(body, shard),
      release: async (shard, ids) => {
        const all: ChunkId[] = [];
        for await (const id of ids) all.push(id);
        chain.release(shard, all);
        return all.length;
      },
      holds: async (shard, ids) => chain.chains.isHeld(agentId, shard, ids),
      giveUp: () => Promise.reject(new Error('a chain in memory gives nothing up')),
      appendClear: async (kind, body, shard) => chain.appendClear(kind as EntryHeader['kind'], body, shard),
      makeCheckpoints: async () => [],
    } as OwnChain,
    chains: {
      agents: () => [agentId],
      position: () => chain.position(),
      positionAt: (_, seq) => chain.positionAt(seq),
      isOnTrail: (_, position) => chain.positionAt(position.seq)?.link === position.link,
      holdsOf: (_, ids) => ids.map(() => []),
      async *entries(_, { afterSeq = 0, untilSeq = Number.POSITIVE_INFINITY } = {}) {
        for (const entry of entries) {
          const { seq } = entry.head.header;
          if (seq > afterSeq && seq <= untilSeq) yield entry;
        }
      },
      body: async (_, seq) => at(seq)?.body,
      shards: () => [],
      take: async () => Promise.reject(new Error('not in a chain in memory')),
      takeBodies: async () => Promise.reject(new Error('not in a chain in memory')),
      missingBodies: () => [],
      unsatisfied: () => [],
      unsatisfiedList: () => [],
      forms: (_, seq, positions) => {
        const entry = at(seq);
        if (entry?.head.header.kind !== EntryKind.add) return [];
        const forms = decodeAdd(entry.body);
        return positions === undefined ? forms : positions.map((position) => forms[position]!);
      },
      heldForms: (_, ids) => {
        const state = holds();
        return ids.map((id) => [...state.values()].flatMap((shard) => shard.get(toHex(id))?.forms ?? []));
      },
      isHeld: (_, shard, ids) => {
        const held = holds().get(shard);
        return Uint8Array.from(ids, (id) => (held?.has(toHex(id)) === true ? 1 : 0));
      },
      heldAs: (_, shard, ids) => {
        const held = holds().get(shard);
        return ids.map((id) => {
          const one = held?.get(toHex(id));
          return one === undefined ? undefined : { seq: one.addedSeq, state: 'satisfied' as const };
        });
      },
      parts: {
        newest: () => undefined,
        wanted: async () => ({ seq: 0, lacking: [], judged: undefined }),
        bytesOf: () => 0,
        take: async () => {},
        join: async () => {},
        read: async () => undefined,
        base: () => undefined,
        endedDisputes: () => [],
        forgetDisputes: () => {},
      },
      branchEntries: async function* () {},
      branches: () => [],
      problems: () => [],
    } as Chains,
  };
  return chain;
}
