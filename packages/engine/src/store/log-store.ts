/**
 * The logs of this agent and of others, as files (`docs/formats/data-dir.md`, `docs/formats/log-segment.md`). A record is on stable storage when
 * `append` resolves. Signatures are checked by who brings a record; order, chain and forks here.
 */
import { join } from 'node:path';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import type { AgentId } from '../core/ids.ts';
import { compareHeads, headOf } from '../log/check-chain.ts';
import { decodeEnvelope, type HashedEnvelope } from '../log/record.ts';
import type { Head } from '../log/record-body.ts';
import { encodeSegmentItem } from '../log/segment.ts';
import { appendDurably, moveTornEndAside, scanAppendFile } from './append-file.ts';
import { readFolder } from './data-dir.ts';
import { makeFolderDurably, writeFileDurably } from './durable-write.ts';
import { type AgentLog, type Life, LOG_FORMAT, livesByName, place, type Segment, segmentName } from './log-files.ts';
import { openAgentLog, requireKnown } from './open-agent-log.ts';
import { type ReadOptions, readLog } from './read-log.ts';

export interface LogStore {
  /** Appends to the log of the record's agent. Answers false when it was there already. E_FORK (the other record is kept as proof), E_NO_SPACE, E_IO. */
  append(record: Uint8Array): Promise<boolean>;
  /** The newest record of the newest incarnation. */
  head(agent: AgentId): Head | undefined;
  agents(): AgentId[];
  /**
   * Records in (incarnation, seq) order, after the given place, each checked against the one before it. At damage it throws E_INTEGRITY naming file
   * and offset, or tells `onDamage` and goes on.
   */
  read(agent: AgentId, options?: ReadOptions): AsyncGenerator<Uint8Array>;
  /** Unfinished ends that opening moved aside: no acknowledged record was in them. */
  readonly moved: readonly { readonly path: string; readonly bytes: number }[];
  /** Damaged logs of other agents: their readable records are read, nothing is appended to them. */
  readonly problems: readonly EdgeError[];
}

export interface LogStoreDeps {
  /** With it, damage in another agent's log is a problem of that log only; without it, and in the agent's own log, it is thrown. */
  readonly self?: AgentId;
  /** The newest heads that the index knows: a log that ends before its own lost acknowledged records. */
  /** The own log is taken as another agent's: only for whoever is going to repair it. */
  readonly toleratesOwnDamage?: boolean;
  readonly knownHeads?: readonly { readonly agent: AgentId; readonly head: Head }[];
}

/** A new file is begun after this many bytes, so that opening reads little. */
const SEGMENT_BYTES = 1024 * 1024;

/** Opens all logs below the folder. Unfinished ends are moved aside; E_INTEGRITY when something acknowledged is damaged or gone. */
export async function openLogStore(logDir: string, deps: LogStoreDeps = {}): Promise<LogStore> {
  const logs = new Map<AgentId, AgentLog>();
  const moved: { path: string; bytes: number }[] = [];
  const problems: EdgeError[] = [];
  const knownHeads = new Map(deps.knownHeads?.map(({ agent, head }) => [agent, head]));
  const agents = new Set([
    ...(await readFolder(logDir)).filter((name) => /^[0-9a-f]{32}$/.test(name)),
    ...knownHeads.keys(),
  ]);
  for (const agent of agents) {
    const known = knownHeads.get(agent);
    const dir = join(logDir, agent);
    try {
      const log = await openAgentLog(dir, known, async ({ path, end, bytes }) => {
        moved.push({ path: await moveTornEndAside(path, end, bytes), bytes: bytes.length });
      });
      requireKnown(log, known);
      logs.set(agent, log);
    } catch (error) {
      const isTolerated = deps.self !== undefined && (agent !== deps.self || deps.toleratesOwnDamage === true);
      if (!isTolerated || !isEdgeError(error, 'E_INTEGRITY')) throw error;
      problems.push(error);
      logs.set(agent, { dir, lives: livesByName(agent, dir, await readFolder(dir)), damage: { error, known } });
    }
  }
  let last: Promise<unknown> = Promise.resolve();

  return {
    moved,
    problems,
    agents: () => [...logs.keys()].filter((agent) => logs.get(agent)!.lives.size > 0).sort(),
    head: (agent) => newestHead(logs.get(agent)),
    append: (record) => {
      const turn = last.then(async () => {
        const { agent } = decodeEnvelope(record);
        const log = logs.get(agent) ?? { dir: join(logDir, agent), lives: new Map() };
        if (log.lives.size === 0) await makeFolderDurably(log.dir);
        logs.set(agent, log);
        return append(log, record);
      });
      last = turn.catch(() => {});
      return turn;
    },
    read: (agent, options = {}) => readLog(logs.get(agent), options),
  };
}

async function append(log: AgentLog, record: Uint8Array): Promise<boolean> {
  if (log.damage !== undefined) throw log.damage.error;
  const envelope = decodeEnvelope(record);
  const life = log.lives.get(envelope.incarnation);
  if (life === undefined) {
    await begin(log, envelope, record, undefined);
    return true;
  }
  if (envelope.seq <= life.head.seq) {
    await requireSame(log, life, envelope, record);
    return false;
  }
  if (envelope.seq !== life.head.seq + 1) {
    throw new EdgeError(
      'E_FAILED',
      `record ${place(envelope)} does not follow ${place(life.head)}: some are missing in between`,
      {
        context: { agent: envelope.agent, have: headOf(life.head), got: headOf(envelope) },
        retryable: true,
      },
    );
  }
  if (envelope.previous !== life.head.hash) throw await forkError(log, life.head, envelope, record);
  if (life.end >= SEGMENT_BYTES) {
    await begin(log, envelope, record, life);
    return true;
  }
  const framed = encodeSegmentItem(record);
  await appendDurably(life.segments.at(-1)!.path, framed, life.end);
  life.end += framed.length;
  life.head = envelope;
  return true;
}

async function begin(
  log: AgentLog,
  envelope: HashedEnvelope,
  record: Uint8Array,
  life: Life | undefined,
): Promise<void> {
  const segment: Segment = {
    path: join(log.dir, segmentName(envelope)),
    incarnation: envelope.incarnation,
    firstSeq: envelope.seq,
  };
  const framed = encodeSegmentItem(record);
  await appendDurably(segment.path, framed, 0);
  if (life === undefined) {
    log.lives.set(envelope.incarnation, { segments: [segment], end: framed.length, head: envelope });
    return;
  }
  life.segments.push(segment);
  life.end = framed.length;
  life.head = envelope;
}

/** A record that is known already is the same one, or a fork. One from before the oldest that is kept cannot be compared and is left alone. */
async function requireSame(log: AgentLog, life: Life, envelope: HashedEnvelope, record: Uint8Array): Promise<void> {
  const segment = life.segments.findLast((one) => one.firstSeq <= envelope.seq);
  if (segment === undefined) return;
  const scanned = await scanAppendFile(segment.path, LOG_FORMAT);
  for (const item of scanned?.items ?? []) {
    const other = decodeEnvelope(item.bytes);
    if (other.seq === envelope.seq && other.hash !== envelope.hash) throw await forkError(log, other, envelope, record);
  }
}

/** Both records are the proof; the one that is refused is kept beside the log. */
async function forkError(
  log: AgentLog,
  ours: HashedEnvelope,
  theirs: HashedEnvelope,
  record: Uint8Array,
): Promise<EdgeError> {
  const proof = join(log.dir, `fork-${theirs.incarnation}-${theirs.seq}-${theirs.hash.slice(0, 16)}.record`);
  await writeFileDurably(proof, record);
  return new EdgeError(
    'E_FORK',
    `the log of agent ${theirs.agent.slice(0, 8)} is forked: ${place(theirs)} ${theirs.hash.slice(0, 8)} does not go with ${place(ours)} ${ours.hash.slice(0, 8)}`,
    {
      hint: 'Two machines wrote under one identity (a copied data dir?), or one was put back to an older state. Stop one of them.',
      context: { agent: theirs.agent, first: headOf(ours), second: headOf(theirs), proof },
    },
  );
}

function newestHead(log: AgentLog | undefined): Head | undefined {
  if (log?.damage !== undefined) return log.damage.known;
  let newest: HashedEnvelope | undefined;
  for (const { head } of log?.lives.values() ?? [])
    if (newest === undefined || compareHeads(head, newest) > 0) newest = head;
  return newest === undefined ? undefined : headOf(newest);
}
