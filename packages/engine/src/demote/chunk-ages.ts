/**
 * Every data chunk that the live snapshots reach, with the newest modification time among the files that have it and the policy that it is under,
 * in the order in which a restore of the newest snapshots would read it.
 */
import { openTreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import { asBuffer } from '../core/bytes.ts';
import { toEdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import { createPathFilter, type PathFilter } from '../policy/path-filter.ts';
import type { Entry } from '../tree/entry.ts';
import { type AgeTable, ageKeyOf, createAgeTable, type ReachedChunk } from './age-table.ts';
import type { TierDeps, TierInput, TierPolicy } from './demote-types.ts';

export interface ChunkAges extends Pick<AgeTable, 'at'> {
  readonly count: number;
  find(id: ChunkId): ReachedChunk | undefined;
  /** Parts of trees that could not be read: what hangs below them is not in here, and so not moved. The first ones. */
  readonly broken: readonly string[];
}

/** Further ones say nothing new. */
const BROKEN_MAX = 100;

/** Reads every page of every live snapshot of the agent once. */
export async function readChunkAges(input: TierInput, deps: TierDeps, signal?: AbortSignal): Promise<ChunkAges> {
  const table = createAgeTable();
  const broken: string[] = [];
  const noteBroken = (problem: string): void => {
    if (broken.length < BROKEN_MAX) broken.push(problem);
  };
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
      if (step.step === 'broken') noteBroken(`${root}: ${step.error.message}`);
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
        for (const ref of refs) table.add(ageKeyOf(ref.id), file.mtimeNs, policy);
    } catch (error) {
      signal?.throwIfAborted();
      noteBroken(toEdgeError(error).message);
    }
  }

  return { count: table.count(), at: table.at, find: (id) => table.find(ageKeyOf(id)), broken };
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
