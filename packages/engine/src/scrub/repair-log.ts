/**
 * The way out of damage in the agent's own log. What is missing comes from peers or a bucket where one has it. Otherwise the records that follow on one
 * another from the beginning stay, and the agent goes on as a new life of itself: its next record must not have a number that a lost one had, which others
 * may know. Snapshots behind the damage whose own records verify are written again. The damaged files are set aside, never deleted.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import { suspectFile } from '../index/sqlite-errors.ts';
import { type Card, encodeCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { type AgentIdentity, encodeIdentity } from '../keys/identity.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import { compareHeads, headOf } from '../log/check-chain.ts';
import { nextEnvelope } from '../log/next-envelope.ts';
import { decodeEnvelope, encodeRecord } from '../log/record.ts';
import type { Head, RecordBody, SnapshotBody } from '../log/record-body.ts';
import { type DataDir, readFolder } from '../store/data-dir.ts';
import { makeFolderDurably, syncFolder, writeFileDurably } from '../store/durable-write.ts';
import { type LogStore, openLogStore } from '../store/log-store.ts';
import { type ReadRecord, snapshotsIn, wholeChain } from './log-chain.ts';

/** Below the folder of the logs; no agent's name. */
const STAGED = '.repair';

/** Another place that may have this agent's records. */
export interface LogSource {
  readonly label: string;
  records(): AsyncIterable<Uint8Array>;
}

export interface RepairLogDeps {
  readonly dataDir: DataDir;
  readonly sodium: Sodium;
  readonly keys: VaultKeys;
  readonly identity: AgentIdentity;
  /** This agent's newest card. */
  readonly card: Card;
  /** Undefined where this agent does not have it: then only a copy from elsewhere helps. */
  readonly adminSeed: Uint8Array | undefined;
  readonly random: RandomBytes;
  readonly logs: Pick<LogStore, 'read'>;
  readonly openRecord: (record: Uint8Array) => RecordBody;
  /** What the index knows of this agent: its newest record and its snapshots, to say what is lost. */
  readonly known: {
    readonly head: Head | undefined;
    readonly snapshots: readonly { readonly id: RecordHash; readonly body: SnapshotBody }[];
  };
  readonly sources: readonly LogSource[];
  /** For the name of what is set aside. */
  readonly time: string;
  readonly warn: ReportWarning;
  readonly signal?: AbortSignal | undefined;
}

export interface RepairedSnapshot {
  readonly id: RecordHash;
  readonly root: string;
  readonly timeNs: bigint;
}

export interface LogRepair {
  /** `whole`: every record is there again. `cut`: what could not be read anywhere is lost, and the agent is in a new life. */
  readonly how: 'whole' | 'cut';
  readonly records: number;
  /** Labels of those that had records which were missing here. */
  readonly from: readonly string[];
  /** Where the damaged files lie now. */
  readonly aside: string;
  readonly kept: readonly RepairedSnapshot[];
  /** Their records lay behind the damage; they have new ids. */
  readonly renewed: readonly (RepairedSnapshot & { readonly was: RecordHash })[];
  readonly lost: readonly RepairedSnapshot[];
}

/** E_DENIED when a cut is needed and the admin key is not here. Killed anywhere, it can be run again. */
export async function repairLog(deps: RepairLogDeps): Promise<LogRepair> {
  const { dataDir, identity } = deps;
  const interrupted = await finishInterrupted(deps);
  if (interrupted !== undefined) return interrupted;
  const { records, from } = await gather(deps);
  const chain = wholeChain(records);
  const end = chain.at(-1)?.envelope;
  const newest = newestOf(records, deps.known.head);
  const isWhole = end !== undefined && (newest === undefined || compareHeads(end, newest) >= 0);
  const folder = dataDir.logDirOf(identity.agentId);
  const staged = join(dataDir.logDir, STAGED);
  await rm(staged, { recursive: true, force: true });
  await mkdir(staged, { mode: 0o700 });
  const log = await openLogStore(staged);
  for (const record of chain) await log.append(record.bytes);
  const kept = snapshotsIn(chain);
  const renewed = isWhole ? [] : await beginNewLife(chain, records, log, deps);
  // The index knows records that are no longer there: it is built anew. Said before the log changes, or the next start would find a loss.
  if (!isWhole) await writeFileDurably(suspectFile(dataDir.indexFile), new Uint8Array(0));
  const aside = join(dataDir.logDir, `${identity.agentId}.damaged-${deps.time.replaceAll(/[^0-9A-Za-z]/g, '-')}`);
  await makeFolderDurably(folder);
  await rename(folder, aside);
  await rename(join(staged, identity.agentId), folder);
  await syncFolder(dirname(folder));
  await rm(staged, { recursive: true, force: true });
  const remaining = new Set([...kept.map(({ id }) => id), ...renewed.map(({ was }) => was)]);
  return {
    how: isWhole ? 'whole' : 'cut',
    records: chain.length,
    from,
    aside,
    kept: kept.map(described),
    renewed,
    lost: deps.known.snapshots.filter(({ id }) => !remaining.has(id)).map(described),
  };
}

/** Killed after the damaged files were set aside and before the new ones took their place: those are whole, and nothing else has the records. */
async function finishInterrupted({ dataDir, identity }: RepairLogDeps): Promise<LogRepair | undefined> {
  const folder = dataDir.logDirOf(identity.agentId);
  const staged = join(dataDir.logDir, STAGED);
  if (existsSync(folder) || !existsSync(join(staged, identity.agentId))) return undefined;
  await rename(join(staged, identity.agentId), folder);
  await syncFolder(dirname(folder));
  await rm(staged, { recursive: true, force: true });
  const asides = (await readFolder(dataDir.logDir)).filter((name) => name.startsWith(`${identity.agentId}.damaged-`));
  const aside = join(dataDir.logDir, asides.sort().at(-1) ?? '');
  return { how: 'cut', records: 0, from: [], aside, kept: [], renewed: [], lost: [] };
}

/** Every record that verifies, here and elsewhere. */
async function gather(deps: RepairLogDeps): Promise<{ records: ReadRecord[]; from: string[] }> {
  const records = new Map<RecordHash, ReadRecord>();
  const from: string[] = [];
  const take = (bytes: Uint8Array): boolean => {
    try {
      const envelope = decodeEnvelope(bytes);
      if (envelope.agent !== deps.identity.agentId || records.has(envelope.hash)) return false;
      records.set(envelope.hash, { envelope, bytes: Uint8Array.from(bytes), body: deps.openRecord(bytes) });
      return true;
    } catch (error) {
      // Not its author's: it is not believed, wherever it lies.
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_WRONG_KEY', 'E_DENIED')) throw error;
      return false;
    }
  };
  for await (const bytes of deps.logs.read(deps.identity.agentId, { onDamage: () => {} })) take(bytes);
  for (const source of deps.sources) {
    let had = 0;
    try {
      for await (const bytes of source.records()) if (take(bytes)) had++;
    } catch (error) {
      deps.signal?.throwIfAborted();
      const { code, message } = toEdgeError(error);
      deps.warn({ code, message: `${source.label} could not be asked for this agent's log: ${message}` });
    }
    if (had > 0) from.push(source.label);
  }
  return { records: [...records.values()], from };
}

function newestOf(records: readonly ReadRecord[], known: Head | undefined): Head | undefined {
  let newest = known;
  for (const { envelope } of records)
    if (newest === undefined || compareHeads(envelope, newest) > 0) newest = headOf(envelope);
  return newest;
}

/** The takeover record of this agent by itself, then the snapshots that would otherwise be lost. Card and identity are durable before the log is. */
async function beginNewLife(
  chain: readonly ReadRecord[],
  records: readonly ReadRecord[],
  log: LogStore,
  deps: RepairLogDeps,
): Promise<LogRepair['renewed']> {
  const { sodium, keys, random, dataDir, card, adminSeed } = deps;
  if (adminSeed === undefined) {
    throw new EdgeError('E_DENIED', 'no peer or bucket has the whole log, and this agent cannot begin a new life', {
      hint: 'Nothing was changed. That takes the admin key: recover into a new data dir with the recovery sheet (`edgestore recover`), or make a peer reachable that has the log.',
    });
  }
  const last = chain.at(-1);
  const base = last === undefined ? undefined : headOf(last.envelope);
  const lives = [deps.identity.incarnation, card.incarnation, ...records.map(({ envelope }) => envelope.incarnation)];
  const incarnation = Math.max(...lives, deps.known.head?.incarnation ?? 0) + 1;
  const identity: AgentIdentity = { ...deps.identity, incarnation, signSeed: random(32) };
  const signPublicKey = publicKeyOf(sodium, identity.signSeed);
  const number = card.number + 1;
  const cardBytes = encodeCard(sodium, { ...card, incarnation, signPublicKey, base, number }, adminSeed);
  await writeFileDurably(dataDir.cardFile(identity.agentId, incarnation), cardBytes);
  await writeFileDurably(dataDir.identityFile, encodeIdentity(identity));

  const writer = { vault: keys.vaultId, agent: identity.agentId, incarnation, keyId: keys.currentKeyId };
  let head = base;
  const append = async (body: RecordBody): Promise<RecordHash> => {
    const envelope = nextEnvelope(head, writer);
    const made = encodeRecord(sodium, { envelope, body, keys, signSeed: identity.signSeed, random24: random(24) });
    await log.append(made.bytes);
    head = { incarnation, seq: envelope.seq, hash: made.hash };
    return made.hash;
  };
  await append({ type: 'takeover', card: cardBytes, base });
  const there = new Set(chain.map(({ envelope }) => envelope.hash));
  const behind = records
    .filter(({ envelope }) => !there.has(envelope.hash))
    .sort((a, b) => compareHeads(a.envelope, b.envelope));
  const renewed: (RepairedSnapshot & { was: RecordHash })[] = [];
  for (const { id: was, body } of snapshotsIn(behind)) {
    // What it was compared with may be among the lost.
    const { parent: _parent, ...rest } = body;
    renewed.push({ ...described({ id: await append(rest), body }), was });
  }
  return renewed;
}

function described({ id, body }: { readonly id: RecordHash; readonly body: SnapshotBody }): RepairedSnapshot {
  return { id, root: body.root, timeNs: body.timeNs };
}
