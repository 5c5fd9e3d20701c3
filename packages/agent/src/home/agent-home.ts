/**
 * An opened data dir with everything that an operation may use: configuration, engine, peers, stores, replication. The command line opens one for a
 * single command, the agent keeps one for its life; the operations see no difference.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import {
  type AskedChunks,
  type Backing,
  type Clock,
  createAskedChunks,
  createHeard,
  createRateLimiter,
  createReplicator,
  createRunningTime,
  createStoreCounts,
  type DataDir,
  dataDirAt,
  type Engine,
  endRelearning,
  formatTimeNs,
  type Heard,
  locationOf,
  lockDataDir,
  noteRelearned,
  openAdminSeed,
  openEngine,
  openPutBack,
  type PutBack,
  type RandomBytes,
  type Replicator,
  type ReportProgress,
  type ReportWarning,
  type RunningTime,
  requireDataDir,
  type SealedSource,
  type StoreCounts,
  toEdgeError,
} from '@edgestore/engine';
import type { Config } from '../config/config.ts';
import { type LoadConfigInput, type LoadedConfig, loadConfig } from '../config/load-config.ts';
import { showConfig } from '../config/show-config.ts';
import { type DescriptorMemory, openDescriptorMemory } from '../membership/descriptor-memory.ts';
import type { InviterDeps } from '../membership/invite-peer.ts';
import { openInvites } from '../membership/invites.ts';
import { judgeVaultFiles } from '../membership/judge-vault-files.ts';
import { openRoster, type Roster } from '../membership/roster.ts';
import { openSlotStore, type SlotStore } from '../membership/slot-store.ts';
import { createVaultSharing } from '../membership/vault-sharing.ts';
import { type Withdrawn, withdrawSlots } from '../membership/withdraw-slots.ts';
import { PROGRAM } from '../program.ts';
import { forgetUnwantedHere } from '../work/forget-unwanted-here.ts';
import type { RunningAgent } from '../work/running-agent.ts';
import { createTurns, type Turns } from '../work/turns.ts';
import { advertisedAddresses } from './advertised-addresses.ts';
import { backingOf } from './backing.ts';
import { coldStoresOf, ownerPolicy } from './effective-policy.ts';
import { noteFalseCheckpoint } from './note-false-checkpoint.ts';
import { type OpenStore, openStores } from './open-stores.ts';
import { relearnStores } from './relearn-stores.ts';
import { requireOwnLog } from './require-own-log.ts';

export interface AgentHome {
  /** As it is now: `reload` replaces it. */
  readonly loaded: LoadedConfig;
  readonly config: Config;
  readonly dataDir: DataDir;
  readonly engine: Engine;
  /** 32 bytes; what new slots wrap. */
  readonly vaultKey: Uint8Array;
  readonly peers: Roster;
  readonly stores: ReadonlyMap<string, OpenStore>;
  /** Requests to each store since the home was opened. */
  readonly storeCounts: ReadonlyMap<string, StoreCounts>;
  /** Where sealed chunks can be read, cheapest first: own disk, peers, buckets. */
  readonly sources: readonly SealedSource[];
  readonly replicator: Replicator;
  /** Whether this machine was put back to an older state. */
  readonly putBack: PutBack;
  /** Chunks that another store has to prove at this moment. */
  readonly asked: AskedChunks;
  /** Time that this store has been running, over all its processes. */
  readonly runningTime: RunningTime;
  /** When each owner of holds here was heard of last. */
  readonly heard: Heard;
  /** Buckets that chunks which are held here may lie in alone. */
  backing(owner: string): readonly Backing[];
  readonly inviter: InviterDeps;
  readonly slots: SlotStore;
  readonly descriptors: DescriptorMemory;
  /** Set in the agent's own process, once it runs. */
  readonly running: RunningAgent | undefined;
  /** Where others reach this agent, as far as the configuration says. */
  readonly addresses: readonly string[];
  /** 32 bytes; undefined where this agent does not hold the admin key. */
  adminSeed(): Promise<Uint8Array | undefined>;
  /** Takes removed key slots back from members and buckets that were not told of them yet. */
  withdrawSlots(signal?: AbortSignal): Promise<Withdrawn>;
  /** Reads the configuration again. E_CONFIG leaves the old one in force. Answers the keys whose values differ. */
  reload(): Promise<readonly string[]>;
  /** Called after each reload. */
  onReload(listener: () => void): void;
  /** Things that must not happen twice at once in this process, such as two captures of one root. */
  readonly turns: Turns;
  attach(running: RunningAgent, boundPort: number | undefined): void;
  close(): Promise<void>;
}

export interface OpenAgentHomeInput {
  readonly place: LoadConfigInput;
  /** Finds the vault key: stored key file, given key file, passphrase. */
  readonly unlock: (dir: DataDir, loaded: LoadedConfig) => Promise<Uint8Array>;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress;
  readonly signal?: AbortSignal;
  /** What E_BUSY tells others of us: the command without anything secret. */
  readonly command: string;
  /** Opens also where the own log is damaged or gone, so that it can be repaired. */
  readonly repairsLog?: boolean;
  /** The operation changes nothing in the data dir, so it works on a full disk too. */
  readonly onlyReads?: boolean;
}

/** zstd levels behind `[limits] compression`. */
const LEVELS = { fast: 1, default: 3, high: 9 } as const;

/** E_NO_VAULT, E_BUSY naming the holder, E_CONFIG, E_WRONG_KEY, and what opening the engine throws. */
export async function openAgentHome(input: OpenAgentHomeInput): Promise<AgentHome> {
  const { clock, warn } = input;
  const loaded = loadConfig(input.place);
  for (const warning of loaded.warnings) warn(warning);
  const dataDir = dataDirAt(loaded.dataDir, { packDir: loaded.config.agent.packDir });
  await requireDataDir(dataDir);
  const lock = lockDataDir(dataDir.lockFile, {
    pid: process.pid,
    command: input.command,
    since: formatTimeNs(clock.nowNs()),
  });
  const opened: { close(): Promise<void> | void }[] = [{ close: () => lock.release() }];
  const closeAll = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) await one.close();
  };
  try {
    const vaultKey = await input.unlock(dataDir, loaded);
    const engine = await openEngine({
      dataDir,
      vaultKey,
      clock,
      random: input.random,
      warn,
      workers: loaded.config.limits.workers ?? availableParallelism(),
      level: LEVELS[loaded.config.limits.compression],
      ...(input.progress === undefined ? {} : { progress: input.progress }),
      ...(input.signal === undefined ? {} : { signal: input.signal }),
      ...(input.repairsLog === true ? { toleratesOwnDamage: true } : {}),
      ...(input.onlyReads === true ? { onlyReads: true } : {}),
    });
    opened.push(engine);
    if (input.repairsLog !== true) await requireOwnLog(engine);
    return await assembleHome(loaded, vaultKey, engine, input, opened, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function assembleHome(
  first: LoadedConfig,
  vaultKey: Uint8Array,
  engine: Engine,
  input: OpenAgentHomeInput,
  opened: { close(): Promise<void> | void }[],
  closeAll: () => Promise<void>,
): Promise<AgentHome> {
  const { clock, random, warn } = input;
  const { dataDir, sodium, identity, index, vault } = engine;
  let loaded = first;
  // Rates are asked at each take, so a reload counts at once.
  const limits = {
    upload: createRateLimiter({ clock }, () => loaded.config.limits.uploadBytesPerS),
    download: createRateLimiter({ clock }, () => loaded.config.limits.downloadBytesPerS),
  };
  const storeCounts = new Map<string, StoreCounts>();
  const countsOf = (name: string): StoreCounts => {
    const known = storeCounts.get(name) ?? createStoreCounts();
    storeCounts.set(name, known);
    return known;
  };
  const storesOf = (config: Config): Map<string, OpenStore> =>
    openStores(config.stores, engine, { clock, random, limits, countsOf });
  let stores = storesOf(loaded.config);
  const { adminPublicKey } = vault;
  const descriptors = openDescriptorMemory(engine, vaultKey, { warn });
  const slots = await openSlotStore({ dataDir, sodium, vault: vault.vaultId, adminPublicKey, warn });
  const peers = await openRoster({
    dataDir,
    sodium,
    clock,
    vault: vault.vaultId,
    adminPublicKey,
    identity,
    peers: loaded.config.peers,
    program: PROGRAM,
    limits,
    sharing: createVaultSharing(descriptors, slots),
    warn,
  });
  opened.push(peers);
  // A reader has nothing of its own there: it was recovered to read what another agent stored.
  const isReader = peers.cards.newestOf(identity.agentId)?.card.role === 'reader';
  await relearnStores(engine, stores, isReader ? undefined : identity.agentId, input);
  const sources = (): SealedSource[] => [
    engine.chunks,
    ...peers.members().flatMap((member) => peers.link(member.agent)?.source ?? []),
    ...[...stores.values()].map((store) => store.source),
  ];
  const published = async () => slots.published().map(({ slot, bytes }) => ({ slotId: slot.slotId, bytes }));
  const cards = () =>
    peers.cards.all().map(({ card, bytes }) => ({ agent: card.agentId, incarnation: card.incarnation, bytes }));
  const adminSeed = () => readAdminSeed(engine);
  const putBack = await openPutBack(dataDir.putBackFile, identity, () => index.chunks.voidRows());
  if (!isReader) forgetUnwantedHere({ engine, putBack });
  const asked = createAskedChunks();
  const runningTime = createRunningTime(index.kv, clock);
  const heard = createHeard(index.kv, runningTime);
  /** Objects in buckets that were looked into and are none of this agent's. */
  const passedOver = new Map<string, Set<string>>();
  opened.push({ close: () => runningTime.note() });
  const replicator = createReplicator({
    clock,
    random,
    sodium,
    opener: engine.opener,
    vault: vault.vaultId,
    self: identity,
    index,
    chains: engine.chains,
    chain: engine.chain,
    putBack,
    asked,
    get sources() {
      return sources();
    },
    files: {
      descriptor: async () => descriptors.current().bytes,
      slots: published,
      cards: async () => cards(),
      removals: async () => slots.removals().map(({ removal, bytes }) => ({ slotId: removal.slotId, bytes })),
      mayReplace: judgeVaultFiles({ descriptors, slots, cards: peers.cards, warn }),
    },
    peers,
    policy: () => ownerPolicy(loaded.config),
    coldStores: () => coldStoresOf(loaded.config),
    bucket: async ({ store, target, scope }) => {
      const { config, objects, packs, vault: files } = stores.get(store)!;
      const seen = passedOver.get(target) ?? new Set<string>();
      passedOver.set(target, seen);
      return {
        store,
        target,
        scope,
        objects,
        packs,
        vault: files,
        location: (storeId) => locationOf(config, storeId),
        adminPublicKey,
        passedOver: seen,
        warn,
      };
    },
    onFalseCheckpoint: ({ shard, seq, by }) => noteFalseCheckpoint(engine, shard, seq, by),
    onPassed: ({ target }) => {
      noteRelearned(index.kv, target);
      endRelearningOf();
    },
  });
  function endRelearningOf(): void {
    const holders = replicator.targets().filter(({ type }) => type === 'peer');
    endRelearning(index.kv, [...stores.keys(), ...holders.map(({ target }) => target)]);
  }
  endRelearningOf();
  const toldOfRemovals = new Map<string, string>();
  const listeners: (() => void)[] = [];
  let running: RunningAgent | undefined;
  let boundPort: number | undefined;
  return {
    get loaded() {
      return loaded;
    },
    get config() {
      return loaded.config;
    },
    dataDir,
    engine,
    vaultKey,
    peers,
    get stores() {
      return stores;
    },
    storeCounts,
    get sources() {
      return sources();
    },
    replicator,
    putBack,
    asked,
    runningTime,
    heard,
    backing: (owner) => backingOf(owner, loaded.config, engine),
    inviter: {
      sodium,
      clock,
      random,
      vault: vault.vaultId,
      identity,
      pin: peers.tls.spkiSha256,
      cards: peers.cards,
      invites: openInvites(dataDir),
      adminSeed,
      vaultKey: async () => vaultKey,
      vaultDescriptor: async () => descriptors.current().bytes,
      slots: async () => slots.published().map(({ bytes }) => bytes),
    },
    get running() {
      return running;
    },
    get addresses() {
      return advertisedAddresses(loaded.config.agent, boundPort);
    },
    adminSeed,
    slots,
    descriptors,
    withdrawSlots: (signal) => withdrawSlots({ slots, peers, stores, told: toldOfRemovals }, signal),
    async reload() {
      const next = loadConfig(input.place);
      const nextStores = storesOf(next.config);
      const changed = changedKeys(loaded, next);
      loaded = next;
      stores = nextStores;
      peers.reconfigure(next.config.peers);
      for (const listener of listeners) listener();
      return changed;
    },
    onReload: (listener) => void listeners.push(listener),
    turns: createTurns(),
    attach: (agent, port) => {
      running = agent;
      boundPort = port;
    },
    close: closeAll,
  };
}

async function readAdminSeed({ dataDir, sodium, keys }: Engine): Promise<Uint8Array | undefined> {
  let sealed: Uint8Array;
  try {
    sealed = await readFile(dataDir.adminFile);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toEdgeError(error, 'reading the admin key');
  }
  return openAdminSeed(sodium, keys, sealed);
}

function changedKeys(before: LoadedConfig, after: LoadedConfig): string[] {
  const textOf = (loaded: LoadedConfig): Map<string, string> =>
    new Map(showConfig(loaded).map((one) => [one.key, JSON.stringify(one.value)]));
  const [old, now] = [textOf(before), textOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].filter((key) => old.get(key) !== now.get(key)).sort();
}
