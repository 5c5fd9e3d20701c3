/**
 * Puts a chain that was cut in the place of the damaged one. Everything that changes lies ready in `chains/.repair`. A rename to `chains/.repaired` decides:
 * before it nothing has changed, after it the next one who opens the data dir does the rest. Each step can be done again.
 */
import { readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { type AgentId, fromHex } from '../core/ids.ts';
import { isThere } from '../files/is-there.ts';
import { suspectFile } from '../index/sqlite-errors.ts';
import { chainFolder } from '../store/chains/chain-paths.ts';
import type { DataDir } from '../store/data-dir.ts';
import { syncFolder, writeFileDurably } from '../store/durable-write.ts';
import type { ChainRepair } from './chain-repair-types.ts';

/** What a new incarnation changes besides the chain. */
export interface NewIncarnation {
  readonly incarnation: number;
  readonly card: Uint8Array;
  readonly identity: Uint8Array;
}

/** In the folder of the repair, besides the new chain in `<agent>`. */
const CARD = 'card';
const IDENTITY = 'identity';
const PLAN = 'plan.json';

interface Plan {
  readonly agent: AgentId;
  readonly incarnation: number;
  readonly repair: ChainRepair;
}

/** `repairDir` has the new chain, durable. */
export async function placeCutChain(
  dataDir: DataDir,
  agent: AgentId,
  repair: ChainRepair,
  life: NewIncarnation,
): Promise<ChainRepair> {
  const { repairDir, repairedDir } = dataDir;
  await writeFileDurably(join(repairDir, CARD), life.card);
  await writeFileDurably(join(repairDir, IDENTITY), life.identity);
  const plan: Plan = { agent, repair, incarnation: life.incarnation };
  const text = JSON.stringify(plan, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  await writeFileDurably(join(repairDir, PLAN), Buffer.from(text));
  failpoint('log-repair.staged');
  await renameDurably(repairDir, repairedDir, dataDir);
  failpoint('log-repair.decided');
  return (await finishLogRepair(dataDir)) ?? repair;
}

/**
 * Ends a repair that was decided. Called when a data dir is opened, before anything of it is read: identity, chain and index are those of the repair
 * afterwards. Undefined when there is none.
 */
export async function finishLogRepair(dataDir: DataDir): Promise<ChainRepair | undefined> {
  const { repairDir, repairedDir } = dataDir;
  await discardUndecided(dataDir);
  if (!isThere(repairedDir)) return undefined;
  const { agent, incarnation, repair } = await readPlan(dataDir);
  await writeFileDurably(dataDir.cardFile(agent, incarnation), await readStaged(join(repairedDir, CARD)));
  failpoint('log-repair.card-written');
  await writeFileDurably(dataDir.identityFile, await readStaged(join(repairedDir, IDENTITY)));
  failpoint('log-repair.identity-written');
  const folder = chainFolder(dataDir.chainsDir, agent);
  const staged = join(repairedDir, agent);
  if (isThere(staged)) {
    // Also when somebody put files there since the damaged ones were set aside.
    if (isThere(folder)) await renameDurably(folder, freeName(repair.aside), dataDir);
    failpoint('log-repair.set-aside');
    await renameDurably(staged, folder, dataDir);
    failpoint('log-repair.in-place');
  }
  await keepBranches(repair.aside, folder);
  // The index knows entries that are no longer there: it is built anew.
  await writeFileDurably(suspectFile(dataDir.indexFile), new Uint8Array(0));
  failpoint('log-repair.index-suspect');
  await renameDurably(repairedDir, repairDir, dataDir);
  failpoint('log-repair.done');
  await discardUndecided(dataDir);
  return repair;
}

/** What a repair left that was not decided, and what is left of one that is done. */
export async function discardUndecided({ repairDir }: DataDir): Promise<void> {
  try {
    await rm(repairDir, { recursive: true, force: true });
  } catch (error) {
    throw toEdgeError(error, `removing ${repairDir}`);
  }
}

/** The data dir may have been moved since, and the file damaged: what becomes a path is checked, and lies in the log's folder of now. */
async function readPlan({ repairedDir, chainsDir }: DataDir): Promise<Plan> {
  const path = join(repairedDir, PLAN);
  const bytes = await readStaged(path);
  try {
    const plan = JSON.parse(Buffer.from(bytes).toString(), (key, value) =>
      key === 'timeNs' ? BigInt(value) : value,
    ) as Plan;
    fromHex(plan.agent, 16);
    return { ...plan, repair: { ...plan.repair, aside: join(chainsDir, basename(plan.repair.aside)) } };
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function readStaged(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    // An error now is no damage: the same again is to be tried.
    if (errnoOf(error) !== 'ENOENT') throw toEdgeError(error, `reading ${path}`);
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): EdgeError {
  return new EdgeError('E_INTEGRITY', `${path}, with which a repair of the chain is to be finished, cannot be read`, {
    hint: 'Bring the file back from a copy of the data dir, or run `edgestore recover` into a new one.',
    context: { path },
    cause,
  });
}

/** Branches are of older incarnations: the damage was not in them. */
async function keepBranches(aside: string, folder: string): Promise<void> {
  const [from, to] = [join(aside, 'branches'), join(folder, 'branches')];
  if (!isThere(from) || isThere(to)) return;
  try {
    await rename(from, to);
  } catch (error) {
    throw toEdgeError(error, `moving ${from} to ${to}`);
  }
  await syncFolder(folder);
}

function freeName(path: string): string {
  let free = path;
  for (let n = 2; isThere(free); n++) free = `${path}-${n}`;
  return free;
}

async function renameDurably(from: string, to: string, { chainsDir }: DataDir): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    throw toEdgeError(error, `renaming ${from} to ${to}`);
  }
  await syncFolder(chainsDir);
}
