/**
 * The way out of damage in the own chain. What is missing comes from peers or a bucket where one has it, up to what the index knows. Otherwise the entries
 * before the damage stay, and the agent goes on in a new incarnation of itself, because its next entry must not have a number that a lost one had.
 * Snapshots behind the damage stay listed and restorable. Damaged files are set aside, never deleted.
 */
import { EntryKind } from '../chain/entry-head.ts';
import type { Position } from '../chain/position.ts';
import { isEdgeError } from '../core/errors.ts';
import type { LogIndex, SnapshotSummary } from '../core/ports/index.ts';
import { mendFiles } from '../store/chains/mend-files.ts';
import type { TailEntryOf } from '../store/chains/missing-tail.ts';
import { type DamagedRange, verifyFiles } from '../store/chains/verify-files.ts';
import type { ChainRepair, RepairedSnapshot } from './chain-repair-types.ts';
import { type CutChainDeps, cutChain } from './cut-chain.ts';
import { type MendChainDeps, withEntries } from './mend-chain.ts';
import { lastThere } from './mend-tail.ts';

export type { ChainSource } from './chain-repair-types.ts';

export interface RepairOwnChainDeps extends MendChainDeps, Omit<CutChainDeps, 'chains' | 'index'> {
  /**
   * Every store was asked: the missing tail is taken as far as one of them has it, and the index goes back behind it.
   */
  readonly giveUpTail: (entryOf: TailEntryOf) => Promise<void>;
  readonly index: CutChainDeps['index'] & { readonly log: Pick<LogIndex, 'summaries'> };
}

/** No chain has so many entries. */
const ANY_SEQ = 2 ** 48 - 1;

/**
 * Undefined when nothing is damaged. E_DENIED when a new incarnation is needed and the admin key is not here. Killed anywhere, nothing has changed or the
 * next start ends it.
 */
export async function repairOwnChain(deps: RepairOwnChainDeps): Promise<ChainRepair | undefined> {
  const { chains, identity } = deps;
  const self = identity.agentId;
  const chain = chains.followed(self);
  const found = await verifyFiles(chain, deps.signal);
  if (found.length === 0 && isEndKnown(deps)) return undefined;
  const known = knownSnapshots(deps);
  const first = await mendRanges(found, deps);
  if (first.wentBack) return whole([...known.values()], first.from, deps);
  // An end of which not even the index knows more is taken as the stores have it, if all of them were asked.
  const end = first.left.length > 0 || isEndKnown(deps) ? undefined : await takeEnd(deps);
  const from = [...new Set([...first.from, ...(end?.from ?? [])])];
  const left = end?.left ?? first.left;
  const position = chain.position;
  const isWhole = left.length === 0 && isEndKnown(deps) && (end === undefined || end.isSure);
  const base = baseOf(left, deps);
  if (isWhole && position !== undefined) {
    return whole([...known.values()], from, deps);
  }
  return await cutChain({ base, from, known: [...known.values()], unread: unreadSnapshots(left, deps) }, deps);
}

/** The index knows where the chain ends, unless it was built from files that had lost their end. */
function isEndKnown({ chains, identity }: RepairOwnChainDeps): boolean {
  const { blocked, missingTail, position } = chains.followed(identity.agentId);
  const isOpen = blocked === undefined || missingTail !== undefined;
  return isOpen && position !== undefined && position.incarnation >= identity.incarnation;
}

/** Only what the index knows behind the end of the file is missing, and that end is of this incarnation. */
function isMissingTail(left: readonly DamagedRange[], { chains, identity }: RepairOwnChainDeps): boolean {
  const have = chains.followed(identity.agentId).missingTail?.have;
  const isOwn = have !== undefined && have.incarnation >= identity.incarnation;
  return isOwn && left.length === 1 && left[0]!.firstSeq === have.seq + 1;
}

function whole(known: readonly SnapshotSummary[], from: readonly string[], deps: RepairOwnChainDeps): ChainRepair {
  const kept = summaries(deps);
  const remaining = new Set(kept.map(({ id }) => id));
  return {
    how: 'whole',
    entries: deps.chains.position(deps.identity.agentId)?.seq ?? 0,
    from,
    aside: '',
    kept: kept.map(described),
    behind: [],
    lost: known.filter(({ id }) => !remaining.has(id)).map(described),
  };
}

interface Mended {
  readonly left: readonly DamagedRange[];
  readonly from: readonly string[];
}

async function mendRanges(
  found: readonly DamagedRange[],
  deps: RepairOwnChainDeps,
): Promise<Mended & { readonly wentBack: boolean }> {
  if (found.length === 0) return { left: [], from: [], wentBack: false };
  const self = deps.identity.agentId;
  const chain = deps.chains.followed(self);
  return await withEntries(self, found, deps, async (gathered) => {
    const { entryOf, from, unasked, foreign, lastSeq } = gathered;
    const left = await mendedOr(found, () => mendFiles(chain, found, entryOf));
    // Nobody was told of what no store has: its numbers can be used again.
    const isSure = left.length > 0 && unasked.length + foreign.length === 0 && isMissingTail(left, deps);
    // A store that has an entry behind a gap would show it as a fork, were its number used again.
    const wentBack = isSure && lastSeq <= (await lastThere(left[0]!.firstSeq, left[0]!.lastSeq, gathered));
    if (wentBack) await deps.giveUpTail(entryOf);
    return { left, from, wentBack };
  });
}

/** The newest file is written anew without what follows its last entry; then comes what stores have behind it. */
async function takeEnd(deps: RepairOwnChainDeps): Promise<Mended & { readonly isSure: boolean }> {
  const self = deps.identity.agentId;
  const chain = deps.chains.followed(self);
  const end = chain.position?.seq ?? 0;
  const beyond = [{ firstSeq: Math.max(1, end), lastSeq: ANY_SEQ }];
  return await withEntries(self, beyond, deps, async ({ entryOf, from, unasked, lastSeq }) => {
    const rest = [{ firstSeq: end, lastSeq: end, message: 'its end is damaged' }];
    const left = end === 0 ? [] : await mendFiles(chain, rest, entryOf);
    if (left.length === 0) await takeBeyond(lastSeq, entryOf, deps);
    return { left, from, isSure: unasked.length === 0 && lastSeq > end };
  });
}

/** A mended file may be followed by an end that cannot be read: that is for the next step. */
async function mendedOr(
  found: readonly DamagedRange[],
  mend: () => Promise<DamagedRange[]>,
): Promise<readonly DamagedRange[]> {
  try {
    return await mend();
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    return found;
  }
}

/** Snapshots that the index never knew, because it was built after their bodies had been damaged. */
function unreadSnapshots(
  left: readonly DamagedRange[],
  { chains, index, identity }: RepairOwnChainDeps,
): RepairedSnapshot[] {
  const chain = chains.followed(identity.agentId);
  if (chain.row === undefined) return [];
  const roots = index.log.settingsOf(identity.agentId)?.roots ?? [];
  const unread: RepairedSnapshot[] = [];
  for (const { firstSeq, lastSeq } of left) {
    for (let seq = firstSeq; seq <= lastSeq; seq++) {
      const entry = chain.deps.index.chainTable.entry(chain.row.chain, seq);
      // A record of a root is a snapshot; the others have shard 0.
      if (entry?.kind !== EntryKind.record || entry.shard === 0 || index.log.snapshot(entry.link) !== undefined)
        continue;
      const root = roots.find(({ shard }) => shard === entry.shard)?.name ?? '';
      unread.push({ id: entry.link, root, timeNs: undefined });
    }
  }
  return unread;
}

function baseOf(left: readonly DamagedRange[], { chains, identity }: RepairOwnChainDeps): Position | undefined {
  const [first] = left;
  const position = chains.position(identity.agentId);
  if (first === undefined || position === undefined) return position;
  return first.firstSeq === 1 ? undefined : chains.positionAt(identity.agentId, first.firstSeq - 1);
}

/** Entries behind the end that the files have, which others were told of. */
async function takeBeyond(
  lastSeq: number,
  entryOf: (seq: number) => Promise<Parameters<RepairOwnChainDeps['chains']['take']>[1][number] | undefined>,
  deps: RepairOwnChainDeps,
): Promise<void> {
  const { chains, identity } = deps;
  const agent = identity.agentId;
  const owner = {
    agent,
    incarnation: identity.incarnation,
    signPublicKey: (incarnation: number) => deps.signPublicKey(agent, incarnation),
  };
  for (let seq = (chains.position(agent)?.seq ?? 0) + 1; seq <= lastSeq; seq++) {
    const entry = await entryOf(seq);
    if (entry === undefined) return;
    await chains.take(owner, [entry]);
  }
}

function knownSnapshots(deps: RepairOwnChainDeps): Map<string, SnapshotSummary> {
  return new Map(summaries(deps).map((one) => [one.id, one]));
}

function summaries({ index, identity }: RepairOwnChainDeps): SnapshotSummary[] {
  return index.log.summaries({ agent: identity.agentId });
}

function described({ id, root, timeNs }: SnapshotSummary): RepairedSnapshot {
  return { id, root, timeNs };
}
