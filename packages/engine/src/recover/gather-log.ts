/** Reads one agent's log from every source, believes what it signed, and finds the newest head and who has it. */
import type { Sodium } from '../codec/sodium.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import type { AgentId, RecordHash } from '../core/ids.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import { verifyCard } from '../keys/card.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import { checkChain, compareHeads } from '../log/check-chain.ts';
import { decodeEnvelope, type HashedEnvelope, openRecord, verifyRecord } from '../log/record.ts';
import type { Head, RecordBody } from '../log/record-body.ts';
import type { VerifiedCard } from './recover-types.ts';

export interface GatheredRecord {
  readonly envelope: HashedEnvelope;
  readonly bytes: Uint8Array;
  readonly body: RecordBody;
}

export interface GatheredLog {
  /** In (incarnation, seq) order, without gaps. */
  readonly records: readonly GatheredRecord[];
  readonly head: Head | undefined;
  /** Labels of the sources that have the head. */
  readonly vouchedBy: readonly string[];
  /** Records of an older life beyond a takeover's base. */
  readonly branches: ReadonlySet<RecordHash>;
}

export interface GatherLogDeps {
  readonly sodium: Sodium;
  readonly keys: VaultKeys;
  readonly adminPublicKey: Uint8Array;
  readonly cards: readonly VerifiedCard[];
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress;
}

/** E_FORK with both records when sources disagree; a source whose log cannot be read is passed over with a warning as long as another one can. */
export async function gatherLog(
  agent: AgentId,
  sources: readonly RecoverySource[],
  deps: GatherLogDeps,
  signal?: AbortSignal,
): Promise<GatheredLog> {
  const { sodium, keys, warn } = deps;
  const records = new Map<RecordHash, GatheredRecord>();
  const newestOf = new Map<string, HashedEnvelope>();
  const signers = new Map<number, Uint8Array>();
  for (const { card } of deps.cards) if (card.agentId === agent) signers.set(card.incarnation, card.signPublicKey);
  const problems: EdgeError[] = [];
  let refused = 0;

  /** The key of a life is in its card, or in the first record of that life, which carries the card; the admin signed it either way. */
  function signerOf(envelope: HashedEnvelope, body: RecordBody): Uint8Array | undefined {
    if (body.type === 'takeover' && !signers.has(envelope.incarnation)) {
      const card = verifyCard(sodium, body.card, deps.adminPublicKey);
      if (card.agentId === agent && card.incarnation === envelope.incarnation)
        signers.set(card.incarnation, card.signPublicKey);
    }
    return signers.get(envelope.incarnation);
  }

  function take(bytes: Uint8Array, source: RecoverySource): void {
    const envelope = decodeEnvelope(bytes);
    if (envelope.agent !== agent || envelope.vault !== keys.vaultId) return;
    if (!records.has(envelope.hash)) {
      const body = openRecord(sodium, bytes, keys);
      const signer = signerOf(envelope, body);
      if (signer === undefined)
        throw new EdgeError('E_INTEGRITY', `no card of incarnation ${envelope.incarnation} says who signed it`);
      verifyRecord(sodium, bytes, signer);
      records.set(envelope.hash, { envelope, bytes: Uint8Array.from(bytes), body });
      if (records.size % 1000 === 0)
        deps.progress?.({ phase: 'read log', filesDone: records.size, detail: source.label });
    }
    const newest = newestOf.get(source.label);
    if (newest === undefined || compareHeads(envelope, newest) > 0) newestOf.set(source.label, envelope);
  }

  for (const source of sources) {
    try {
      for await (const bytes of source.records(agent, signal)) {
        try {
          take(bytes, source);
        } catch (error) {
          if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_WRONG_KEY')) throw error;
          refused += 1;
          if (refused <= 3) warn({ code: 'record-refused', message: `${source.label}: ${error.message}` });
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      const problem = toEdgeError(error, source.label);
      if (problem.code === 'E_NEWER_FORMAT') throw problem;
      problems.push(problem);
      warn({
        code: problem.code,
        message: `the log at ${source.label} could not be read to its end: ${problem.message}`,
      });
    }
  }
  if (records.size === 0 && problems[0] !== undefined) throw problems[0];
  const whole = behindLastGap([...records.values()].sort((a, b) => compareHeads(a.envelope, b.envelope)));
  if (whole.length < records.size) {
    warn({
      code: 'log-gap',
      message: `records are missing in the log; ${records.size - whole.length} older records before them cannot be joined to it and are left out`,
    });
  }
  const { head, branches } = checkChain(whole.map(({ envelope }) => envelope));
  for (const [label, newest] of newestOf) {
    if (head !== undefined && compareHeads(newest, head) < 0) {
      warn({
        code: 'behind',
        message: `${label} has this log only up to ${newest.incarnation}/${newest.seq}; the newest is ${head.incarnation}/${head.seq}`,
      });
    }
  }
  return {
    records: whole,
    head,
    vouchedBy: [...newestOf].filter(([, newest]) => newest.hash === head?.hash).map(([label]) => label),
    branches,
  };
}

/** The newest records that follow on one another: a chain cannot be checked across records that nobody has. */
function behindLastGap(ordered: readonly GatheredRecord[]): readonly GatheredRecord[] {
  for (let i = ordered.length - 1; i > 0; i--) {
    const before = ordered[i - 1]?.envelope;
    const envelope = ordered[i]?.envelope;
    if (before?.incarnation === envelope?.incarnation && (envelope?.seq ?? 0) > (before?.seq ?? 0) + 1)
      return ordered.slice(i);
  }
  return ordered;
}
