/**
 * What a job does before it writes where the own chain's file ends before the index (docs/chain.md 2.5). The rest comes
 * from other stores, up to what the index knows. What none of them has was told to nobody: the index goes back to the
 * file. It does so by itself only where that is plain; everything else is left to a person.
 */
import { comparePlaces, type Position } from '../chain/position.ts';
import { EdgeError } from '../core/errors.ts';
import type { AgentId } from '../core/ids.ts';
import type { LogIndex, SnapshotSummary } from '../core/ports/index.ts';
import { isThere } from '../files/is-there.ts';
import { chainFile } from '../store/chains/chain-paths.ts';
import type { MissingTail } from '../store/chains/followed-chain.ts';
import type { TailEntryOf } from '../store/chains/missing-tail.ts';
import { damagedRanges } from '../store/chains/verify-files.ts';
import type { RepairedSnapshot } from './chain-repair-types.ts';
import type { GatheredEntries } from './gather-entries.ts';
import { type MendChainDeps, withEntries } from './mend-chain.ts';

export interface MendTailDeps extends MendChainDeps {
  readonly identity: { readonly agentId: AgentId; readonly incarnation: number };
  readonly chain: {
    /** All of it is there. */
    fillTail(entryOf: TailEntryOf): Promise<void>;
    /** What is there, and the index goes back behind it. */
    giveUpTail(entryOf: TailEntryOf): Promise<void>;
  };
  readonly index: { readonly log: Pick<LogIndex, 'summaries'> };
}

export interface MendedTail {
  /** The first and the last entry that were missing, and the last one that is there again. */
  readonly firstSeq: number;
  readonly untilSeq: number;
  readonly endSeq: number;
  /** Labels of the stores that had some of them. */
  readonly from: readonly string[];
  readonly lost: readonly RepairedSnapshot[];
}

/**
 * Undefined where nothing is missing. E_ROLLBACK, and nothing was changed, where the rest is not to be had and the
 * index must not go back by itself.
 */
export async function mendTail(deps: MendTailDeps): Promise<MendedTail | undefined> {
  const { chains, identity } = deps;
  const chain = chains.followed(identity.agentId);
  const { missingTail } = chain;
  if (missingTail === undefined) return undefined;
  const firstSeq = (missingTail.have?.seq ?? 0) + 1;
  const untilSeq = missingTail.until.seq;
  const reason = await reasonToStop(missingTail, deps);
  if (reason !== undefined) throw stopped(reason, chain.blocked);
  return await withEntries(identity.agentId, [{ firstSeq, lastSeq: untilSeq }], deps, async (gathered) => {
    const endSeq = await lastThere(firstSeq, untilSeq, gathered);
    const { from } = gathered;
    if (endSeq === untilSeq) {
      await deps.chain.fillTail(gathered.entryOf);
      return { firstSeq, untilSeq, endSeq, from, lost: [] };
    }
    const known = summaries(deps);
    const end = { incarnation: identity.incarnation, seq: endSeq };
    const against = reasonAgainst(gathered, end, known);
    if (against !== undefined) throw stopped(against, chain.blocked);
    await deps.chain.giveUpTail(gathered.entryOf);
    const remaining = new Set(summaries(deps).map(({ id }) => id));
    const lost = known.filter(({ id }) => !remaining.has(id)).map(({ id, root, timeNs }) => ({ id, root, timeNs }));
    return { firstSeq, untilSeq, endSeq, from, lost };
  });
}

/**
 * A file that is gone may be put back, or mended by a person who is told what that costs. So may one that lost the
 * whole newest incarnation, or is damaged elsewhere too.
 */
async function reasonToStop({ have }: MissingTail, deps: MendTailDeps): Promise<string | undefined> {
  const { chains, identity } = deps;
  const chain = chains.followed(identity.agentId);
  if (have === undefined) return 'its file has no entry any more';
  if (have.incarnation < identity.incarnation) return `no entry of incarnation ${identity.incarnation} is left`;
  const first = chain.deps.index.chainTable.entry(chain.row!.chain, have.seq + 1);
  if (first !== undefined && !isThere(chainFile(chain.folder, first))) return 'a file of it is gone';
  const ranges = await damagedRanges(chain, deps.signal);
  return ranges.length === 1 && ranges[0]!.firstSeq === have.seq + 1 ? undefined : 'it is damaged elsewhere, too';
}

/** Why the index must not go back by itself although some store answered that it has nothing. */
function reasonAgainst(
  { unasked, foreign, lastSeq }: GatheredEntries,
  end: Omit<Position, 'link'>,
  known: readonly SnapshotSummary[],
): string | undefined {
  if (unasked.length > 0) return `${unasked.join(', ')} could not be asked for the rest`;
  if (foreign.length > 0)
    return `${foreign.join(', ')} has other entries with this agent's own signature there: this machine was put back or copied`;
  if (lastSeq > end.seq) return `a store has entry ${lastSeq}, and no store has entry ${end.seq + 1}`;
  const left = new Set(known.filter((one) => one.branch || comparePlaces(one, end) <= 0).map(({ root }) => root));
  const bare = known.find(({ root }) => !left.has(root));
  return bare === undefined ? undefined : `no store has the rest, and no snapshot of ${bare.root} would be left`;
}

/** The last seq up to which the entries are there without a gap. */
export async function lastThere(
  firstSeq: number,
  untilSeq: number,
  { entryOf }: Pick<GatheredEntries, 'entryOf'>,
): Promise<number> {
  for (let seq = firstSeq; seq <= untilSeq; seq++) if ((await entryOf(seq)) === undefined) return seq - 1;
  return untilSeq;
}

function stopped(reason: string, blocked: EdgeError | undefined): EdgeError {
  return new EdgeError('E_ROLLBACK', `${blocked?.message ?? 'the own chain ends before the index'}; ${reason}`, {
    hint: `Nothing was changed. ${blocked?.hint?.replace(/^Nothing was changed\. /, '') ?? ''}`,
    context: { ...blocked?.context, reason },
  });
}

function summaries({ index, identity }: MendTailDeps): SnapshotSummary[] {
  return index.log.summaries({ agent: identity.agentId });
}
