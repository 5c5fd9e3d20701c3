/** What is wrong with the logs and hold logs of a data dir, without a key and without changing anything; a running agent may be appending to them. */
import { type EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import type { AgentId, VaultId } from '../core/ids.ts';
import { decodeHoldBatch } from '../log/hold-batch.ts';
import type { Head } from '../log/record-body.ts';
import { damagedFile, scanAppendFile } from './append-file.ts';
import { type DataDir, readFolder } from './data-dir.ts';
import { HOLD_LOG_FORMAT } from './hold-log.ts';
import type { AgentLog } from './log-files.ts';
import { openAgentLog, requireKnown } from './open-agent-log.ts';
import { readLog } from './read-log.ts';

/** What the index knew before the files were looked at: a file that has less of it lost something that was acknowledged. */
export interface KnownLogs {
  readonly heads: ReadonlyMap<AgentId, Head>;
  /** Bytes of each owner's hold log. */
  readonly holdBytes: ReadonlyMap<AgentId, number>;
}

export interface InspectDeps {
  readonly vault: VaultId;
  readonly self: AgentId;
  readonly known: KnownLogs;
  /** Throws E_INTEGRITY for a hold batch that its owner did not sign; an owner whose card is not known is not checked. */
  readonly verifyHoldBatch: (owner: AgentId, incarnation: number, batch: Uint8Array) => void;
}

export interface LogInspection {
  /** Whose log or hold log it is. */
  readonly agent: AgentId;
  readonly kind: 'log' | 'hold log';
  readonly records: number;
  /** The first thing that is wrong. */
  readonly problem: EdgeError | undefined;
}

/** Every log and hold log that is there or that the index knows; the agent's own log is among them also when nothing of it is left. */
export async function inspectLogs(dir: DataDir, deps: InspectDeps): Promise<LogInspection[]> {
  const { known } = deps;
  const agents = new Set([deps.self, ...known.heads.keys()]);
  for (const name of await readFolder(dir.logDir)) if (/^[0-9a-f]{32}$/.test(name)) agents.add(name);
  const owners = new Set(known.holdBytes.keys());
  for (const name of await readFolder(dir.holdsDir)) {
    const owner = /^([0-9a-f]{32})\.log$/.exec(name)?.[1];
    if (owner !== undefined) owners.add(owner);
  }
  const out: LogInspection[] = [];
  for (const agent of [...agents].sort()) out.push(await inspectLog(dir, agent, known.heads.get(agent)));
  for (const owner of [...owners].sort()) out.push(await inspectHoldLog(dir, owner, deps));
  return out;
}

async function inspectLog(dir: DataDir, agent: AgentId, known: Head | undefined): Promise<LogInspection> {
  let records = 0;
  try {
    // An unfinished end is what the next start moves aside, or what is being written right now.
    const log: AgentLog = await openAgentLog(dir.logDirOf(agent), known, async () => {});
    requireKnown(log, known);
    for await (const _ of readLog(log, {})) records++;
    return { agent, kind: 'log', records, problem: undefined };
  } catch (error) {
    return { agent, kind: 'log', records, problem: toEdgeError(error) };
  }
}

async function inspectHoldLog(dir: DataDir, owner: AgentId, deps: InspectDeps): Promise<LogInspection> {
  const knownBytes = deps.known.holdBytes.get(owner) ?? 0;
  const path = dir.holdLogFile(owner);
  const found = (records: number, problem?: EdgeError): LogInspection => ({
    agent: owner,
    kind: 'hold log',
    records,
    problem,
  });
  try {
    const scanned = await scanAppendFile(path, HOLD_LOG_FORMAT);
    if (scanned === undefined || scanned.size < knownBytes)
      return found(
        0,
        damagedFile(HOLD_LOG_FORMAT, path, scanned?.size ?? 0, `${knownBytes} bytes of it were acknowledged`),
      );
    const [first] = scanned.damaged;
    if (first !== undefined)
      return found(0, damagedFile(HOLD_LOG_FORMAT, path, first.offset, `${first.length} bytes are no hold batch`));
    if (scanned.rest !== undefined && (!scanned.rest.isTorn || scanned.end < knownBytes))
      return found(0, damagedFile(HOLD_LOG_FORMAT, path, scanned.end, 'its end is no hold batch'));
    for (const { bytes, offset } of scanned.items) {
      const problem = problemOf(bytes, owner, deps);
      if (problem !== undefined) return found(0, damagedFile(HOLD_LOG_FORMAT, path, offset, problem));
    }
    return found(scanned.items.length);
  } catch (error) {
    return found(0, toEdgeError(error));
  }
}

function problemOf(bytes: Uint8Array, owner: AgentId, deps: InspectDeps): string | undefined {
  try {
    const batch = decodeHoldBatch(bytes);
    if (batch.owner !== owner || batch.vault !== deps.vault) return 'it is of another owner or vault';
    deps.verifyHoldBatch(owner, batch.head.incarnation, bytes);
    return undefined;
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT', 'E_INTEGRITY')) throw error;
    return error.message;
  }
}
