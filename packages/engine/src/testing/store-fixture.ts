/** A data dir in a temporary folder with its index, packs and logs open, and made-up sealed chunks to put into it. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpointPart } from '../chain/record-checkpoint.ts';
import { openRecordEntry } from '../chain/record-entry.ts';
import type { Sodium } from '../codec/sodium.ts';
import { loadSodium } from '../codec/sodium.ts';
import type { AgentId, PackClass, VaultId } from '../core/ids.ts';
import type { ChunkStore, SealedChunk } from '../core/ports/chunk-store.ts';
import type { IdentifyFrames } from '../core/ports/identify-frames.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import { type Index, openIndex } from '../index/open-index.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { ChainStore } from '../store/chains/chain-store.ts';
import type { CardOfTakeover } from '../store/chains/chains-deps.ts';
import { openChainStore } from '../store/chains/open-chain-store.ts';
import type { OwnChainWriter } from '../store/chains/own-chain.ts';
import { chainBytes } from '../store/chains/read-chain-bytes.ts';
import { openChunkStore } from '../store/chunk-store/open-chunk-store.ts';
import { cleanDataDir, createDataDir, type DataDir, dataDirAt } from '../store/data-dir.ts';
import { openMarksFile } from '../store/marks-file.ts';
import { type RebuildReport, reconcileIndex } from '../store/rebuild.ts';
import { type OpenedIdentity, openStoreIdentity } from '../store/store-identity.ts';
import { realClock } from './real-clock.ts';
import { createSeededRandom } from './seeded-random.ts';
import { fixtureVaultKeys } from './vault-keys-fixture.ts';

const sodium: Sodium = await loadSodium();

export const FIXTURE_VAULT: VaultId = 'ab'.repeat(16);
/** The agent whose data dir a fixture is. */
export const FIXTURE_SELF: AgentId = 'cd'.repeat(16);
export const FIXTURE_SIGN_SEED: Uint8Array = createSeededRandom('own chain')(32);

/** Keys of the vault of every fixture. */
export function fixtureKeys(): VaultKeys {
  return fixtureVaultKeys(sodium, FIXTURE_VAULT, new Uint8Array(32).fill(3));
}

export interface OpenedStore {
  readonly dataDir: DataDir;
  readonly index: Index;
  readonly chunks: ChunkStore;
  readonly chains: ChainStore;
  /** The own chain. */
  readonly chain: OwnChainWriter;
  readonly identityOfStore: OpenedIdentity;
  readonly reconciled: RebuildReport;
  close(): void;
}

export interface StoreOptions {
  readonly floorBytes?: number;
  readonly packDir?: string;
  readonly self?: AgentId;
  readonly incarnation?: number;
  readonly signSeed?: Uint8Array;
  /** Log keys of other agents. */
  readonly signPublicKey?: (agent: AgentId, incarnation: number) => Uint8Array | undefined;
  readonly openCard?: (body: Uint8Array) => CardOfTakeover;
  readonly freeSpace?: () => Promise<{ freeBytes: number; floorBytes: number }>;
  /** A new chain file is begun after so many bytes. */
  readonly fileBytes?: number;
  /** Bytes of the vault key generation; a blind holder has none. */
  readonly isBlind?: boolean;
  readonly identify?: IdentifyFrames;
  readonly warn?: ReportWarning;
}

let opened = 0;

/** Opens a data dir as the engine does: clean-up, index, packs, chains. Makes it when it is not there. */
export async function openStore(path: string, options: StoreOptions = {}): Promise<OpenedStore> {
  const dataDir = dataDirAt(path, { packDir: options.packDir });
  await createDataDir(dataDir);
  await cleanDataDir(dataDir);
  const identityOfStore = openStoreIdentity(dataDir);
  const bytes = chainBytes(dataDir.chainsDir);
  const clock = realClock;
  const vault = FIXTURE_VAULT;
  const index = openIndex(dataDir.indexFile, {
    clock,
    vault,
    bodies: bytes,
    noteLoss: identityOfStore.noteLoss,
    notes: openMarksFile(dataDir.marksFile),
  });
  try {
    const floorBytes = options.floorBytes ?? 0;
    const chunks = openChunkStore({
      packDir: dataDir.packDir,
      index: index.chunks,
      vault,
      clock,
      floorBytes,
      ...(options.warn === undefined ? {} : { warn: options.warn }),
    });
    const keys = fixtureKeys();
    const self = options.self ?? FIXTURE_SELF;
    const signSeed = options.signSeed ?? FIXTURE_SIGN_SEED;
    const own = sodium.crypto_sign_seed_keypair(signSeed).publicKey;
    const {
      chains,
      own: chain,
      report,
    } = await reconcileIndex({
      dataDir,
      index,
      vault,
      clock,
      ...(options.identify === undefined ? {} : { identify: options.identify }),
      openChains: (isRebuilt) =>
        openChainStore({
          isRebuilt,
          chainsDir: dataDir.chainsDir,
          index,
          bytes,
          vault,
          sodium,
          clock,
          keys,
          identity: { agentId: self, incarnation: options.incarnation ?? 1, signSeed },
          random: createSeededRandom(`store ${++opened}`),
          shardOf: (root) =>
            index.log.settingsOf(self)?.roots.find(({ name }) => name === root)?.shard ?? shardOfName(root),
          releases: index.releases,
          openCheckpoint: ({ head, body }) =>
            options.isBlind === true || body === undefined
              ? undefined
              : openCheckpointPart(sodium, { head, body }, keys),
          openRecord: ({ head, body }) =>
            options.isBlind === true || body === undefined ? undefined : openRecordEntry(sodium, { head, body }, keys),
          onProblem: () => {},
          signPublicKey: (agent, incarnation) =>
            agent === self && incarnation === (options.incarnation ?? 1)
              ? own
              : options.signPublicKey?.(agent, incarnation),
          openCard:
            options.openCard ??
            (() => {
              throw new Error('this fixture has no cards');
            }),
          raiseEpoch: () => void identityOfStore.raiseEpoch(),
          ...(options.freeSpace === undefined ? {} : { freeSpace: options.freeSpace }),
          ...(options.fileBytes === undefined ? {} : { fileBytes: options.fileBytes }),
        }),
    });
    const close = (): void => {
      bytes.forget();
      index.close();
    };
    return { dataDir, index, chunks, chains, chain, identityOfStore, reconciled: report, close };
  } catch (error) {
    bytes.forget();
    index.close();
    throw error;
  }
}

/** Tests record no settings: a root's name gives its shard. */
function shardOfName(root: string): number {
  let sum = 0;
  for (const byte of Buffer.from(root)) sum = (sum * 31 + byte) % 1000;
  return sum + 1;
}

/** A folder that is removed by `remove`; under /tmp or EDGESTORE_TEST_DIR. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(process.env.EDGESTORE_TEST_DIR ?? tmpdir(), 'edgestore-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Random bytes under a random id: looks like a sealed chunk to everything that has no key. */
export function madeChunk(bytes = 1000, packClass: PackClass = 'data', identified = true): SealedChunk {
  const sealed = randomBytes(bytes);
  return {
    id: new Uint8Array(randomBytes(32)),
    packClass,
    keyId: 1,
    bytes: sealed,
    sha256: createHash('sha256').update(sealed).digest(),
    identified,
  };
}

/** Stores the chunks as one flush; so as one pack a class when they fit. */
export async function storeChunks(store: OpenedStore, chunks: readonly SealedChunk[]): Promise<void> {
  const session = store.index.chunks.beginSession('test');
  const writer = store.chunks.openWriter();
  for (const chunk of chunks) await writer.add(chunk);
  await writer.close();
  store.index.chunks.endSession(session);
}

/** Which of the chunks come back byte for byte. */
export async function readable(store: OpenedStore, chunks: readonly SealedChunk[]): Promise<boolean[]> {
  const addresses = await store.chunks.locate(chunks.map((chunk) => chunk.id));
  const read = new Map<string, Uint8Array>();
  for await (const outcome of store.chunks.fetch(addresses.filter((address) => address !== undefined))) {
    if ('sealed' in outcome) read.set(Buffer.from(outcome.address.id).toString('hex'), outcome.sealed);
  }
  return chunks.map((chunk) => {
    const bytes = read.get(Buffer.from(chunk.id).toString('hex'));
    return bytes !== undefined && Buffer.from(chunk.bytes).equals(bytes);
  });
}
