/**
 * The composition root of the engine: opens what lies in a data dir and hands it to the flows. The caller holds the data dir's lock. Flows are
 * functions that take this object (each names the part of it that it uses); nothing else in the engine constructs drivers.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyHead } from './chain/entry-head.ts';
import { openCheckpointPart } from './chain/record-checkpoint.ts';
import { openRecordEntry } from './chain/record-entry.ts';
import { createOpener, type Opener } from './codec/open.ts';
import { loadSodium, type Sodium } from './codec/sodium.ts';
import type { Clock, RandomBytes } from './core/clock.ts';
import { EdgeError, errnoOf, isEdgeError, toEdgeError } from './core/errors.ts';
import type { AgentId } from './core/ids.ts';
import { FREE_SPACE_FLOOR_BYTES } from './core/limits.ts';
import type { ChunkStore } from './core/ports/chunk-store.ts';
import type { ReportProgress, ReportWarning, Warning } from './core/ports/progress.ts';
import type { WorkerPool } from './core/ports/worker-pool.ts';
import { identifyWith } from './hold/identify-frames.ts';
import { type Index, openIndex } from './index/open-index.ts';
import { verifyCard } from './keys/card.ts';
import { publicKeyOf } from './keys/ed25519.ts';
import { type AgentIdentity, decodeIdentity } from './keys/identity.ts';
import type { VaultDescriptor } from './keys/vault-descriptor.ts';
import type { VaultKeys } from './keys/vault-keys.ts';
import type { RecordBody } from './log/record-body.ts';
import type { ChainRepair } from './log-repair/chain-repair-types.ts';
import { finishLogRepair } from './log-repair/place-cut-chain.ts';
import { sharedZstd } from './pipeline/shared-zstd.ts';
import type { PipelineTasks } from './pipeline/tasks.ts';
import { createWorkerPool } from './pipeline/worker-pool.ts';
import type { ChainEntry } from './ports/chains.ts';
import type { ChainStore } from './store/chains/chain-store.ts';
import { openChainStore } from './store/chains/open-chain-store.ts';
import type { OwnChainWriter } from './store/chains/own-chain.ts';
import { chainBytes } from './store/chains/read-chain-bytes.ts';
import { freeSpaceAt } from './store/chunk-store/free-space.ts';
import { openChunkStore } from './store/chunk-store/open-chunk-store.ts';
import { cleanDataDir, type DataDir, readFolder, requireDataDir } from './store/data-dir.ts';
import { openDescriptorFile } from './store/descriptor-file.ts';
import { openMarksFile } from './store/marks-file.ts';
import { type RebuildReport, reconcileIndex } from './store/rebuild.ts';
import { type OpenedIdentity, openStoreIdentity } from './store/store-identity.ts';

export interface EngineOptions {
  readonly dataDir: DataDir;
  /** 32 bytes, from a key slot. */
  readonly vaultKey: Uint8Array;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Pipeline threads. */
  readonly workers: number;
  /** zstd level of new chunks. */
  readonly level: number;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress;
  readonly signal?: AbortSignal;
  /** Opens also with a damaged log of this agent: it is read as far as it goes and not written to. For repairing it. */
  readonly toleratesOwnDamage?: boolean;
  /**
   * Nothing in the data dir is to be changed or acknowledged. On a full disk it opens with what the index has, and says
   * so.
   */
  readonly onlyReads?: boolean;
}

export interface Engine {
  readonly dataDir: DataDir;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly sodium: Sodium;
  readonly vault: VaultDescriptor;
  /** The descriptor as stored, for peers and buckets. */
  readonly vaultBytes: Uint8Array;
  readonly keys: VaultKeys;
  readonly identity: AgentIdentity;
  readonly opener: Opener;
  readonly index: Index;
  readonly chunks: ChunkStore;
  /** All chains on this disk. */
  readonly chains: ChainStore;
  /** This agent's own chain. */
  readonly chain: OwnChainWriter;
  readonly identityOfStore: OpenedIdentity;
  /** Verifies an entry's signature by its author's card, then opens the record in it. */
  readonly openRecord: (entry: ChainEntry) => RecordBody;
  readonly pool: WorkerPool<PipelineTasks>;
  /** What opening had to put right. */
  readonly reconciled: RebuildReport;
  /** A repair of the own log that had been cut off and was finished now; only for whoever repairs, others were warned. */
  readonly finishedRepair: ChainRepair | undefined;
  close(): Promise<void>;
}

/**
 * Opens the vault, the agent's identity, the chains and the index, and puts right what a crash left. E_NO_VAULT, E_WRONG_KEY, E_INTEGRITY for
 * damaged files, E_ROLLBACK for a descriptor that was put back, E_NEWER_FORMAT. An index that is missing or of no use is built again here.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { dataDir, clock, random, warn } = options;
  await requireDataDir(dataDir);
  const sodium = await loadSodium();
  const { descriptor, keys, bytes: vaultBytes } = await openDescriptorFile(dataDir, options.vaultKey, { sodium, warn });
  const finished = await finishLogRepair(dataDir);
  if (finished !== undefined && options.toleratesOwnDamage !== true) warn(finishedRepair(finished));
  const identity = decodeIdentity(await readRequired(dataDir.identityFile, "the agent's identity"));
  await cleanDataDir(dataDir);
  const opener = createOpener(sodium, keys, sharedZstd());
  const pool = createWorkerPool({
    size: options.workers,
    config: { keys, chunker: descriptor.chunker, level: options.level },
  });
  const identityOfStore = openStoreIdentity(dataDir, random);
  const bytes = chainBytes(dataDir.chainsDir);
  const marks = openMarksFile(dataDir.marksFile);
  if (marks.problem !== undefined) warn({ code: 'W_DAMAGED', message: marks.problem.message });
  const index = openIndex(dataDir.indexFile, {
    clock,
    notes: marks,
    vault: keys.vaultId,
    bodies: bytes,
    noteLoss: identityOfStore.noteLoss,
  });
  try {
    if (index.quarantined !== undefined) {
      const { path, why } = index.quarantined;
      warn({
        code: 'W_INDEX_REBUILT',
        message: `the index could not be used (${why}); it was moved to ${path} and is built again`,
      });
    }
    const chunks = openChunkStore({ packDir: dataDir.packDir, index: index.chunks, vault: keys.vaultId, clock, warn });
    const signers = await readSigners(sodium, descriptor, identity, dataDir);
    const { chains, own, report } = await reconcileIndex({
      dataDir,
      index,
      vault: keys.vaultId,
      clock,
      identify: identifyWith(opener),
      onlyReads: options.onlyReads === true,
      openChains: (isRebuilt) =>
        openChainStore({
          isRebuilt,
          onlyReads: options.onlyReads === true,
          chainsDir: dataDir.chainsDir,
          index,
          bytes,
          vault: keys.vaultId,
          sodium,
          clock,
          keys,
          identity,
          random,
          shardOf: (root) => index.log.settingsOf(identity.agentId)?.roots.find(({ name }) => name === root)?.shard,
          releases: index.releases,
          openRecord: ({ head, body }) =>
            body === undefined ? undefined : openRecordEntry(sodium, { head, body }, keys),
          openCheckpoint: ({ head, body }) =>
            body === undefined ? undefined : openCheckpointPart(sodium, { head, body }, keys),
          onProblem: (problem) => warn({ code: 'W_DAMAGED', message: problem.message }),
          signPublicKey: signers,
          openCard: (body) => verifyCard(sodium, body, descriptor.adminPublicKey),
          raiseEpoch: () => void identityOfStore.raiseEpoch(),
          freeSpace: async () => {
            const { freeBytes } = await freeSpaceAt(dataDir.path, FREE_SPACE_FLOOR_BYTES);
            return { freeBytes, floorBytes: FREE_SPACE_FLOOR_BYTES };
          },
        }),
      ...(options.progress === undefined ? {} : { progress: options.progress }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    for (const problem of report.problems) warn(problemOf(problem));
    for (const { path, bytes: length } of report.moved)
      warn({
        code: 'W_LOG_TORN',
        message: `an unfinished entry of ${length} bytes at the end of a chain was moved to ${path}`,
      });
    const openRecord = recordOpener(sodium, keys, signers);
    return {
      dataDir,
      clock,
      random,
      sodium,
      vault: descriptor,
      vaultBytes,
      keys,
      identity,
      opener,
      openRecord,
      index,
      chunks,
      chains,
      chain: own,
      identityOfStore,
      pool,
      reconciled: report,
      finishedRepair: options.toleratesOwnDamage === true ? finished : undefined,
      close: async () => {
        await chains.close();
        await pool.close();
        index.close();
      },
    };
  } catch (error) {
    index.close();
    await pool.close();
    throw error;
  }
}

/** Log keys by the cards here. They are read once: an agent that joins later brings its key through the membership. */
async function readSigners(
  sodium: Sodium,
  vault: VaultDescriptor,
  identity: AgentIdentity,
  dataDir: DataDir,
): Promise<(agent: AgentId, incarnation: number) => Uint8Array | undefined> {
  const signers = new Map<string, Uint8Array>();
  for (const name of await readFolder(dataDir.cardsDir)) {
    if (!name.endsWith('.card')) continue;
    const file = join(dataDir.cardsDir, name);
    const bytes = await readRequired(file, `the card ${name}`);
    const card = namingFile(file, () => verifyCard(sodium, bytes, vault.adminPublicKey));
    signers.set(`${card.agentId}-${card.incarnation}`, card.signPublicKey);
  }
  signers.set(`${identity.agentId}-${identity.incarnation}`, publicKeyOf(sodium, identity.signSeed));
  return (agent, incarnation) => signers.get(`${agent}-${incarnation}`);
}

function recordOpener(
  sodium: Sodium,
  keys: VaultKeys,
  signers: (agent: AgentId, incarnation: number) => Uint8Array | undefined,
): Engine['openRecord'] {
  return ({ head, body }) => {
    const { agent, incarnation, seq } = head.header;
    const signer = signers(agent, incarnation);
    const place = `${incarnation}/${seq} of agent ${agent.slice(0, 8)}`;
    if (signer === undefined) {
      throw new EdgeError('E_INTEGRITY', `entry ${place} has no card to verify it with`, {
        hint: 'Bring the file back into the data dir’s cards folder, or run a command that reaches a peer.',
        context: { agent, incarnation, seq },
      });
    }
    if (body === undefined) throw new EdgeError('E_INTEGRITY', `entry ${place} is here without its body`);
    verifyHead(sodium, head, signer);
    return openRecordEntry(sodium, { head, body }, keys);
  };
}

/** What opening could not put right. */
function problemOf({ code, message }: EdgeError): Warning {
  if (code !== 'E_NO_SPACE') return { code: 'W_DAMAGED', message };
  return { code: 'W_NO_SPACE', message: `what an earlier command left unfinished is not looked at: ${message}` };
}

function finishedRepair({ how, aside, lost }: ChainRepair): Warning {
  const names = lost.map(({ id, root }) => `${id.slice(0, 8)} of ${root}`).join(', ');
  const outcome = how === 'whole' ? 'it is whole' : lost.length === 0 ? 'no snapshot is lost' : `lost: ${names}`;
  return {
    code: 'W_LOG_REPAIRED',
    message: `a repair of the chain of this agent, which was cut off, was finished: ${outcome}; the damaged files are kept in ${aside}`,
  };
}

/** Damage of a file with its path and the way out. */
function namingFile<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT', 'E_INTEGRITY', 'E_NEWER_FORMAT')) throw error;
    throw new EdgeError(error.code, `${path}: ${error.message}`, {
      hint:
        error.code === 'E_NEWER_FORMAT'
          ? (error.hint ?? '')
          : 'Bring the file back from a copy of the data dir, or run `edgestore recover` into a new one.',
      context: { ...error.context, path },
      cause: error,
    });
  }
}

async function readRequired(path: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw toEdgeError(error, `reading ${what}`);
    throw new EdgeError('E_INTEGRITY', `${what} is missing: ${path}`, {
      hint: 'Bring the file back from a copy of the data dir, or run `edgestore recover` into a new one.',
      context: { path },
      cause: error,
    });
  }
}
