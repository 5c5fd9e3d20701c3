import { EdgeError } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import { NO_PREVIOUS } from './next-envelope.ts';
import type { HashedEnvelope } from './record.ts';
import type { Head } from './record-body.ts';

/** What the records of one agent's log come to. */
export interface CheckedChain {
  /** The newest record; undefined when there is none. */
  readonly head: Head | undefined;
  /** Records from the oldest that is still there to the head, without branches. */
  readonly main: readonly HashedEnvelope[];
  /** Records of an older incarnation beyond the base of the takeover that follows it: kept, listed, restorable, and not part of the main line. */
  readonly branches: ReadonlySet<RecordHash>;
}

/**
 * Checks the records of one agent against one another and against a head that somebody remembers. They may come in any order and more than once, and
 * may begin anywhere (older ones go after a checkpoint), but have no gap. Signatures are the caller's.
 *
 * E_FORK: two records with one (incarnation, seq), two takeovers with one incarnation, or a record that does not continue the one before it; the
 * context names both. E_ROLLBACK: what is there ends before `known`. E_INTEGRITY: records are missing in between.
 */
export function checkChain(envelopes: readonly HashedEnvelope[], known?: Head): CheckedChain {
  const ordered = inOrder(envelopes);
  checkOneAgent(ordered);
  for (let i = 1; i < ordered.length; i++) checkStep(ordered[i - 1]!, ordered[i]!, ordered);
  const newest = ordered.at(-1);
  const head = newest === undefined ? undefined : headOf(newest);
  if (known !== undefined) checkKnown(ordered, head, known);
  const branches = branchesOf(ordered);
  return { head, main: ordered.filter(({ hash }) => !branches.has(hash)), branches };
}

/** (incarnation, seq) order: negative when `a` is older. */
export function compareHeads(a: Pick<Head, 'incarnation' | 'seq'>, b: Pick<Head, 'incarnation' | 'seq'>): number {
  return a.incarnation - b.incarnation || a.seq - b.seq;
}

/** The head that a record is. */
export function headOf({ incarnation, seq, hash }: HashedEnvelope): Head {
  return { incarnation, seq, hash };
}

function inOrder(envelopes: readonly HashedEnvelope[]): HashedEnvelope[] {
  const sorted = [...envelopes].sort(compareHeads);
  return sorted.filter((envelope, i) => {
    const before = sorted[i - 1];
    if (before === undefined || compareHeads(before, envelope) !== 0) return true;
    if (before.hash !== envelope.hash) throw fork('two records have one number', before, envelope);
    return false;
  });
}

function checkOneAgent(ordered: readonly HashedEnvelope[]): void {
  const first = ordered[0];
  for (const { vault, agent } of ordered) {
    if (vault !== first!.vault || agent !== first!.agent)
      throw new EdgeError('E_INTEGRITY', 'records of several agents or vaults in one log');
  }
  for (const envelope of ordered) {
    if ((envelope.previous === NO_PREVIOUS) !== (envelope.seq === 1)) {
      throw new EdgeError(
        'E_INTEGRITY',
        `record ${place(envelope)} has number ${envelope.seq} and ${envelope.seq === 1 ? 'a' : 'no'} record before it`,
      );
    }
  }
}

/** One record after the other in the same incarnation continues it; the first of a later incarnation continues any record before it. */
function checkStep(before: HashedEnvelope, envelope: HashedEnvelope, ordered: readonly HashedEnvelope[]): void {
  if (before.incarnation !== envelope.incarnation) {
    const base = ordered.find(({ hash }) => hash === envelope.previous);
    if (base !== undefined && (compareHeads(base, envelope) >= 0 || base.seq !== envelope.seq - 1)) {
      throw fork('a takeover does not continue its base', base, envelope);
    }
    return;
  }
  if (envelope.seq === before.seq + 1) {
    if (envelope.previous !== before.hash) throw fork('a record does not continue the one before it', before, envelope);
    return;
  }
  const continuesOlder = ordered.some(
    ({ hash, incarnation }) => hash === envelope.previous && incarnation < envelope.incarnation,
  );
  if (continuesOlder) throw fork('two takeovers have one incarnation', before, envelope);
  throw new EdgeError(
    'E_INTEGRITY',
    `the log of agent ${envelope.agent.slice(0, 8)} has a gap: records ${place(before)} to ${place(envelope)} are not whole`,
    {
      context: { agent: envelope.agent, incarnation: envelope.incarnation, after: before.seq, before: envelope.seq },
    },
  );
}

function checkKnown(ordered: readonly HashedEnvelope[], head: Head | undefined, known: Head): void {
  const same = ordered.find((envelope) => compareHeads(envelope, known) === 0);
  if (same !== undefined && same.hash !== known.hash)
    throw fork('a record is not the one that was seen before', same, known);
  if (head === undefined || compareHeads(head, known) < 0) {
    const found = head === undefined ? 'nothing' : place(head);
    throw new EdgeError('E_ROLLBACK', `the log ends at ${found}, but ${place(known)} was seen before`, {
      hint: 'It was put back to an older state, or its newest part is lost; nothing was changed.',
      context: { known, found: head ?? null },
    });
  }
}

/** Beyond the base of the incarnation that took over. Without the base among the records nothing can be said, and nothing is a branch. */
function branchesOf(ordered: readonly HashedEnvelope[]): Set<RecordHash> {
  const branches = new Set<RecordHash>();
  const byHash = new Map(ordered.map((envelope) => [envelope.hash, envelope]));
  ordered.forEach((envelope, i) => {
    const before = ordered[i - 1];
    if (before === undefined || before.incarnation === envelope.incarnation) return;
    const base = byHash.get(envelope.previous);
    if (base === undefined) return;
    for (const other of ordered) {
      if (compareHeads(other, base) > 0 && other.incarnation < envelope.incarnation) branches.add(other.hash);
    }
  });
  return branches;
}

function place({ incarnation, seq }: Pick<Head, 'incarnation' | 'seq'>): string {
  return `${incarnation}/${seq}`;
}

function fork(problem: string, a: Head, b: Head): EdgeError {
  return new EdgeError(
    'E_FORK',
    `the log is forked: ${problem} (${place(a)} ${a.hash.slice(0, 8)}, ${place(b)} ${b.hash.slice(0, 8)})`,
    {
      hint: 'Two machines wrote under one identity, or one was put back to an older state. Both records are the proof: keep them.',
      context: {
        first: { incarnation: a.incarnation, seq: a.seq, hash: a.hash },
        second: { incarnation: b.incarnation, seq: b.seq, hash: b.hash },
      },
    },
  );
}
