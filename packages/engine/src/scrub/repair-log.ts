/**
 * The way out of damage in the agent's own log. What is missing comes from peers or a bucket where one has it. Otherwise the records that follow on one
 * another from the beginning stay, and the agent goes on as a new life of itself: its next record must not have a number that a lost one had, which others
 * may know. Snapshots behind the damage whose own records verify are written again. The damaged files are set aside, never deleted.
 */
import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { RecordHash } from '../core/ids.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import { type Card, encodeCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { type AgentIdentity, encodeIdentity } from '../keys/identity.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import { compareHeads, headOf } from '../log/check-chain.ts';
import { nextEnvelope } from '../log/next-envelope.ts';
import { decodeEnvelope, encodeRecord } from '../log/record.ts';
import type { Head, RecordBody, SnapshotBody } from '../log/record-body.ts';
import type { DataDir } from '../store/data-dir.ts';
import { makeFolderDurably } from '../store/durable-write.ts';
import { type LogStore, openLogStore } from '../store/log-store.ts';
import { type ReadRecord, snapshotsIn, wholeChain } from './log-chain.ts';
import {
  discardUndecided,
  type LogRepair,
  type NewLife,
  placeRepairedLog,
  type RepairedSnapshot,
} from './place-repaired-log.ts';

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

/** E_DENIED when a cut is needed and the admin key is not here. Killed anywhere, nothing has changed or the next start ends it. */
export async function repairLog(deps: RepairLogDeps): Promise<LogRepair> {
  const { dataDir, identity } = deps;
  const { records, from } = await gather(deps);
  const chain = wholeChain(records);
  const end = chain.at(-1)?.envelope;
  const newest = newestOf(records, deps.known.head);
  const reaches = end !== undefined && (newest === undefined || compareHeads(end, newest) >= 0);
  // A life of which not even the first record is left ends in a new one, or its numbers would be used again.
  const isWhole = reaches && end.incarnation === identity.incarnation;
  await makeFolderDurably(dataDir.logDirOf(identity.agentId));
  await discardUndecided(dataDir);
  await makeFolderDurably(dataDir.repairDir);
  const log = await openLogStore(dataDir.repairDir);
  for (const record of chain) await log.append(record.bytes);
  failpoint('log-repair.records-staged');
  const kept = snapshotsIn(chain);
  const life = isWhole ? undefined : await beginNewLife(chain, records, log, deps);
  const renewed = life?.renewed ?? [];
  const remaining = new Set([...kept.map(({ id }) => id), ...renewed.map(({ was }) => was)]);
  const repair: LogRepair = {
    how: isWhole ? 'whole' : 'cut',
    records: chain.length,
    from,
    aside: `${dataDir.logDirOf(identity.agentId)}.damaged-${deps.time.replaceAll(/[^0-9A-Za-z]/g, '-')}`,
    kept: kept.map(described),
    renewed,
    lost: deps.known.snapshots.filter(({ id }) => !remaining.has(id)).map(described),
  };
  return placeRepairedLog(dataDir, identity.agentId, repair, life);
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

/** The takeover record of this agent by itself, then the snapshots that would otherwise be lost. */
async function beginNewLife(
  chain: readonly ReadRecord[],
  records: readonly ReadRecord[],
  log: LogStore,
  deps: RepairLogDeps,
): Promise<NewLife & Pick<LogRepair, 'renewed'>> {
  const { sodium, keys, random, card, adminSeed } = deps;
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
  const position = base === undefined ? undefined : { incarnation: base.incarnation, seq: base.seq, link: base.hash };
  const cardBytes = encodeCard(sodium, { ...card, incarnation, signPublicKey, base: position, number }, adminSeed);
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
  return { incarnation, card: cardBytes, identity: encodeIdentity(identity), renewed };
}

function described({ id, body }: { readonly id: RecordHash; readonly body: SnapshotBody }): RepairedSnapshot {
  return { id, root: body.root, timeNs: body.timeNs };
}
