/**
 * Every data chunk that the live snapshots reach, with the newest modification time among the files that have it and the policy that it is under,
 * in the order in which a restore of the newest snapshots would read it. Kept in flat arrays: an edge may have a million chunks.
 */
import { openTreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import { asBuffer } from '../core/bytes.ts';
import { toEdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import { createPathFilter, type PathFilter } from '../policy/path-filter.ts';
import type { Entry } from '../tree/entry.ts';
import type { TierDeps, TierInput, TierPolicy } from './demote-types.ts';

export interface ReachedChunk {
  readonly id: ChunkId;
  /** Clamped to what 64 bits hold. */
  readonly mtimeNs: bigint;
  /** Undefined when some file that has it is in a root without tiering, pinned, or not matched: it stays. */
  readonly policy: TierPolicy | undefined;
}

export interface ChunkAges {
  readonly count: number;
  at(position: number): ReachedChunk;
  find(id: ChunkId): ReachedChunk | undefined;
  /** Parts of trees that could not be read: what hangs below them is not in here, and so not moved. */
  readonly broken: readonly string[];
}

const MTIME_MAX = 2n ** 63n - 1n;
const MTIME_MIN = -(2n ** 63n);
const STAYS = 0xffff;

/** Reads every page of every live snapshot of the agent once. */
export async function readChunkAges(input: TierInput, deps: TierDeps, signal?: AbortSignal): Promise<ChunkAges> {
  const table = createTable();
  const broken: string[] = [];
  const reader = openTreeReader({ sources: deps.sources, opener: deps.opener, warn: deps.warn });
  const rules = new Map<string, RootRules>();
  const newestFirst = [...deps.index.log.snapshots({ agent: input.agent })].reverse();
  for (const [i, snapshot] of newestFirst.entries()) {
    signal?.throwIfAborted();
    const { root, entry } = snapshot.body;
    const rule = rules.get(root) ?? rulesOf(input.policyOf(root));
    rules.set(root, rule);
    deps.progress?.({ phase: 'read trees', filesDone: i, filesTotal: newestFirst.length, detail: root });
    if (entry.type === 'file') await take(entry, fileName(snapshot), rule);
    const visited: string[] = [];
    const steps = walkTree(reader, entry, {
      signal,
      // The same page under the same rules says nothing new; with patterns the place counts too.
      usePage: (page) =>
        rule.filter !== undefined || rule.pins !== undefined || !rule.pages.has(asBuffer(page).toString('latin1')),
      enter: (path, folder) => {
        if (rule.filter === undefined && rule.pins === undefined) return true;
        const key = `${asBuffer(path).toString('latin1')}\0${(folder.pages ?? []).map((page) => asBuffer(page).toString('latin1')).join('')}`;
        if (rule.pages.has(key)) return false;
        visited.push(key);
        return true;
      },
    });
    for await (const step of steps) {
      if (step.step === 'broken') broken.push(`${root}: ${step.error.message}`);
      else if (step.step === 'entry' && step.entry.type === 'file') await take(step.entry, step.path, rule);
      else if (step.step === 'leave')
        for (const page of step.entry.pages ?? []) visited.push(asBuffer(page).toString('latin1'));
    }
    for (const page of entry.pages ?? []) visited.push(asBuffer(page).toString('latin1'));
    for (const key of visited) rule.pages.add(key);
  }

  async function take(file: Entry, path: Uint8Array, rule: RootRules): Promise<void> {
    const isTaken = rule.filter === undefined || rule.filter(path, false) === 'take';
    const isPinned = rule.pins !== undefined && rule.pins(path, false) === 'take';
    const policy = isTaken && !isPinned ? rule.policy : undefined;
    try {
      for await (const refs of reader.refs(file, signal))
        for (const ref of refs) table.add(ref.id, file.mtimeNs, policy);
    } catch (error) {
      signal?.throwIfAborted();
      broken.push(toEdgeError(error).message);
    }
  }

  return { count: table.count(), at: table.at, find: table.find, broken };
}

interface RootRules {
  readonly policy: TierPolicy | undefined;
  readonly filter: PathFilter | undefined;
  readonly pins: PathFilter | undefined;
  /** Pages (with patterns: folders) that were read under these rules. */
  readonly pages: Set<string>;
}

function rulesOf(policy: TierPolicy | undefined): RootRules {
  return {
    policy,
    filter: policy === undefined || policy.match.length === 0 ? undefined : createPathFilter(policy.match, []),
    pins: policy === undefined || policy.pin.length === 0 ? undefined : createPathFilter(policy.pin, []),
    pages: new Set(),
  };
}

/** A root that is a file has no path below itself; patterns see its name. */
function fileName(snapshot: SnapshotRow): Uint8Array {
  const path = asBuffer(snapshot.body.path);
  return path.subarray(path.lastIndexOf(0x2f) + 1);
}

function createTable() {
  const positions = new Map<string, number>();
  const policies: TierPolicy[] = [];
  let ids = new Uint8Array(32 * 1024);
  let mtimes = new BigInt64Array(1024);
  let rules = new Uint16Array(1024);

  function policyNumber(policy: TierPolicy | undefined): number {
    if (policy === undefined) return STAYS;
    const known = policies.indexOf(policy);
    return known >= 0 ? known : policies.push(policy) - 1;
  }

  /** Of two policies for one chunk the one that keeps it longer. */
  function stricter(a: number, b: number): number {
    if (a === STAYS || b === STAYS) return STAYS;
    return (policies[a] as TierPolicy).warmNs >= (policies[b] as TierPolicy).warmNs ? a : b;
  }

  const at = (position: number): ReachedChunk => ({
    id: ids.subarray(32 * position, 32 * position + 32),
    mtimeNs: mtimes[position] ?? 0n,
    policy: policies[rules[position] ?? STAYS],
  });
  return {
    count: () => positions.size,
    at,
    find: (id: ChunkId): ReachedChunk | undefined => {
      const position = positions.get(asBuffer(id).toString('latin1'));
      return position === undefined ? undefined : at(position);
    },
    add(id: ChunkId, mtimeNs: bigint, policy: TierPolicy | undefined): void {
      const key = asBuffer(id).toString('latin1');
      const mtime = mtimeNs > MTIME_MAX ? MTIME_MAX : mtimeNs < MTIME_MIN ? MTIME_MIN : mtimeNs;
      const number = policyNumber(policy);
      const known = positions.get(key);
      if (known !== undefined) {
        if (mtime > (mtimes[known] ?? 0n)) mtimes[known] = mtime;
        rules[known] = stricter(rules[known] ?? STAYS, number);
        return;
      }
      const position = positions.size;
      if (position === mtimes.length) {
        ids = grown(ids, new Uint8Array(2 * ids.length));
        mtimes = grown(mtimes, new BigInt64Array(2 * mtimes.length));
        rules = grown(rules, new Uint16Array(2 * rules.length));
      }
      ids.set(id, 32 * position);
      mtimes[position] = mtime;
      rules[position] = number;
      positions.set(key, position);
    },
  };
}

function grown<T extends Uint8Array | Uint16Array | BigInt64Array>(from: T, to: T): T {
  (to as unknown as { set(array: T): void }).set(from);
  return to;
}
