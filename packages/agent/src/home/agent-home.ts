/**
 * The composition root that the command line and the service share: an opened data dir with its configuration, engine, peers and stores.
 * Whoever opens it has the data dir's lock until it is closed.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  createBucketSource,
  createReplicator,
  type DataDir,
  dataDirAt,
  decodeSlot,
  type Engine,
  lockDataDir,
  openEngine,
  type RandomBytes,
  type Replicator,
  type ReportProgress,
  type ReportWarning,
  readFolder,
  requireDataDir,
  type SealedSource,
  widestPolicy,
} from '@edgestore/engine';
import type { Config } from '../config/config.ts';
import { type LoadConfigInput, type LoadedConfig, loadConfig } from '../config/load-config.ts';
import { openRoster, type Roster } from '../membership/roster.ts';
import { PROGRAM } from './program.ts';
import { openStores, type Stores } from './stores.ts';

export interface AgentHome {
  readonly dataDir: DataDir;
  /** As it is now: `reload` replaces it. */
  readonly loaded: LoadedConfig;
  readonly config: Config;
  readonly engine: Engine;
  /** 32 bytes; what new slots wrap. */
  readonly vaultKey: Uint8Array;
  readonly peers: Roster;
  readonly stores: Stores;
  readonly replicator: Replicator;
  /** Where chunks can be read, cheapest first: own disk, peers, buckets. */
  readonly sources: readonly SealedSource[];
  /** Reads the configuration again; E_CONFIG leaves the old one in force. */
  reload(): Promise<void>;
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
}

/** zstd levels behind `[limits] compression`. */
const LEVELS = { fast: 1, default: 3, high: 9 } as const;

/** E_NO_VAULT, E_BUSY naming the holder, E_CONFIG, E_WRONG_KEY, and what opening the engine throws. */
export async function openAgentHome(input: OpenAgentHomeInput): Promise<AgentHome> {
  const { clock, random, warn } = input;
  let loaded = loadConfig(input.place);
  for (const warning of loaded.warnings) warn(warning);
  const dataDir = dataDirAt(loaded.dataDir, { packDir: loaded.config.agent.packDir });
  await requireDataDir(dataDir);
  const lock = lockDataDir(dataDir.lockFile, {
    pid: process.pid,
    command: input.command,
    since: new Date(Number(clock.nowNs() / 1_000_000n)).toISOString(),
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
      random,
      warn,
      workers: loaded.config.limits.workers ?? availableParallelism(),
      level: LEVELS[loaded.config.limits.compression],
      ...(input.progress === undefined ? {} : { progress: input.progress }),
      ...(input.signal === undefined ? {} : { signal: input.signal }),
    });
    opened.push(engine);
    const peers = await openRoster({
      dataDir,
      sodium: engine.sodium,
      clock,
      vault: engine.keys.vaultId,
      adminPublicKey: engine.vault.adminPublicKey,
      identity: engine.identity,
      peers: loaded.config.peers,
      program: PROGRAM,
      warn,
    });
    opened.push(peers);
    const stores = openStores({ config: () => loaded.config, engine, clock, random });
    const sources = (): SealedSource[] => [engine.chunks, ...peerSources(peers), ...bucketSources(engine, stores)];
    const replicator = createReplicator({
      clock,
      random,
      sodium: engine.sodium,
      opener: engine.opener,
      vault: engine.keys.vaultId,
      self: engine.identity,
      index: engine.index,
      log: engine.logs,
      get sources() {
        return sources();
      },
      files: vaultFiles(dataDir, engine, peers),
      peers,
      policy: () => widestPolicy(policiesOf(loaded.config)),
      coldStores: () => coldStoresOf(loaded.config),
      bucket: async ({ store, target, scope }) => {
        const { packs, vault } = stores.bucket(store);
        return { store, target, scope, packs, vault };
      },
    });
    return {
      dataDir,
      get loaded() {
        return loaded;
      },
      get config() {
        return loaded.config;
      },
      engine,
      vaultKey,
      peers,
      stores,
      replicator,
      get sources() {
        return sources();
      },
      reload: async () => {
        loaded = loadConfig(input.place);
        peers.reconfigure(loaded.config.peers);
      },
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** Holders first in the order that replication ranks them is not needed here: every reachable peer may serve a read. */
function peerSources(peers: Roster): SealedSource[] {
  return peers
    .members()
    .filter((member) => member.role !== 'reader')
    .map((member) => peers.link(member.agent)?.source)
    .filter((source) => source !== undefined);
}

function bucketSources(engine: Engine, stores: Stores): SealedSource[] {
  return stores.names().map((name) =>
    createBucketSource({
      packs: stores.bucket(name).packs,
      locate: (ids) =>
        engine.index.chunks.locate(ids).map((copies) => {
          const copy = copies.find((one) => one.store === name);
          if (copy === undefined) return undefined;
          const { id, keyId, sealedBytes, pack, offset } = copy;
          return { id, keyId, sealedBytes, pack, offset };
        }),
      markBad: (id, pack, why) => engine.index.chunks.markBad(id, pack, why),
    }),
  );
}

function vaultFiles(dataDir: DataDir, engine: Engine, peers: Roster) {
  return {
    descriptor: async () => engine.vaultBytes,
    slots: async () => {
      const names = (await readFolder(dataDir.slotsDir)).filter((name) => name.endsWith('.slot'));
      const all = await Promise.all(names.map((name) => readFile(join(dataDir.slotsDir, name))));
      return all.map((bytes) => ({ slotId: decodeSlot(bytes).slotId, bytes }));
    },
    cards: async () =>
      peers.cards.all().map(({ card, bytes }) => ({ agent: card.agentId, incarnation: card.incarnation, bytes })),
  };
}

/** What each root asks for: its named policy, else `default`, else the only one; nothing when there is none. */
function policiesOf(config: Config) {
  const named = Object.values(config.replication);
  const common = config.replication.default ?? (named.length === 1 ? named[0] : undefined);
  const perRoot = config.roots.map((root) =>
    root.replication === undefined ? common : config.replication[root.replication],
  );
  const wanted = [...perRoot, common].filter((policy) => policy !== undefined);
  return wanted.map(({ copies, sites, store }) => ({ copies, sites, store }));
}

function coldStoresOf(config: Config): string[] {
  return [...new Set(Object.values(config.tiering).flatMap(({ cold }) => (cold === undefined ? [] : [cold])))];
}
