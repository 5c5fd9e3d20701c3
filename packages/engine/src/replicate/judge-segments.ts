/**
 * Compares the segments that lie in the own folder of a bucket with the own chain (docs/chain.md 2.6, 2.7, 6.3). Another entry with the own valid signature
 * proves that this machine was put back or copied. A valid takeover proves that a newer incarnation replaced this one.
 */
import { encodeChainSegment, requireSegment, segmentKey } from '../chain/chain-segment.ts';
import { EntryKind, positionOf, verifyHead } from '../chain/entry-head.ts';
import type { Position } from '../chain/position.ts';
import type { WholeEntry } from '../chain/record-entry.ts';
import type { Sodium } from '../codec/sodium.ts';
import type { Clock } from '../core/clock.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import type { AgentId, VaultId } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import { verifyCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import type { BucketIndex, SegmentName } from '../ports/bucket-index.ts';
import type { Chains, OwnChain } from '../ports/chains.ts';
import type { PutBack } from '../ports/put-back.ts';
import type { BucketVault, ListedSegment } from '../store/bucket/bucket-vault.ts';

/** A segment is made of some 4 MiB of entries and one body of at most 16 MiB; a longer object is not read. */
export const SEGMENT_OBJECT_BYTES_MAX = 32 * MIB;

export interface JudgeSegmentsDeps {
  readonly target: string;
  readonly vault: Pick<BucketVault, 'label' | 'getSegment'>;
  readonly vaultId: VaultId;
  readonly self: { readonly agentId: AgentId; readonly incarnation: number; readonly signSeed: Uint8Array };
  readonly adminPublicKey: Uint8Array;
  readonly sodium: Sodium;
  readonly clock: Clock;
  readonly chain: Pick<OwnChain, 'position' | 'positionAt'>;
  readonly chains: Pick<Chains, 'entries'>;
  readonly index: Pick<BucketIndex, 'segments' | 'addSegments' | 'removeSegments'>;
  readonly putBack: PutBack;
  /** Names of objects that are not part of the own trail and were looked into before, so that a job does not read them again. */
  readonly passedOver: Set<string>;
  readonly warn: ReportWarning;
  /**
   * Throws unless the store that answers now is the one that was listed: an object that is not there says nothing
   * before.
   */
  readonly requireSame: () => Promise<void>;
}

/** Those that hold entries of the own trail. E_ROLLBACK with proof, noted for all stores; E_INTEGRITY for what only this store can be blamed for. */
export async function judgeSegments(
  listed: readonly ListedSegment[],
  deps: JudgeSegmentsDeps,
  signal?: AbortSignal,
): Promise<ListedSegment[]> {
  const { index, target, passedOver } = deps;
  const known = new Map(index.segments(target).map((segment) => [nameOf(segment), segment]));
  const good: ListedSegment[] = [];
  const found: ListedSegment[] = [];
  for (const segment of listed) {
    const name = nameOf(segment);
    const row = known.get(name);
    if (row?.bytes === segment.bytes) {
      known.delete(name);
      good.push(segment);
    } else if (!passedOver.has(name)) {
      if (await holdsOwnEntries(segment, deps, signal)) found.push(segment);
      else passedOver.add(name);
    }
  }
  // What is left was verified once and is not there, or has another length.
  index.removeSegments(target, [...known.values()]);
  index.addSegments(target, found);
  return [...good, ...found];
}

export function nameOf({ incarnation, first, last, sha256 }: SegmentName): string {
  return `${incarnation}/${first}-${last}-${sha256}`;
}

async function holdsOwnEntries(
  segment: ListedSegment,
  deps: JudgeSegmentsDeps,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (await isMadeOfOwnEntries(segment, deps)) return true;
  // A branch of an older incarnation, which a takeover left behind.
  if (segment.incarnation < deps.self.incarnation) return false;
  const entries = await readEntries(segment, deps, signal);
  if (entries === undefined) return false;
  const foreign = entries.find(({ head }) => deps.chain.positionAt(head.header.seq)?.link !== head.link);
  if (foreign === undefined) return true;
  requireProof(foreign, segment, deps);
  return await refuse(positionOf(foreign.head), deps);
}

/** Without reading the object: its name tells its content. */
export async function isMadeOfOwnEntries(segment: ListedSegment, deps: JudgeSegmentsDeps): Promise<boolean> {
  const { chain, chains, self } = deps;
  const { first, last, incarnation, bytes } = segment;
  if (bytes > SEGMENT_OBJECT_BYTES_MAX) return false;
  if (chain.positionAt(first)?.incarnation !== incarnation || chain.positionAt(last)?.incarnation !== incarnation)
    return false;
  const entries: WholeEntry[] = [];
  let bodyBytes = 0;
  for await (const { head, body } of chains.entries(self.agentId, { afterSeq: first - 1, untilSeq: last })) {
    if (body === undefined) return false;
    entries.push({ head, body });
    bodyBytes += body.length;
    if (bodyBytes > bytes) return false;
  }
  if (entries.length === 0) return false;
  const made = encodeChainSegment(entries);
  return made.length === bytes && segmentKey(entries, made).sha256 === segment.sha256;
}

/** Undefined for an object that is not the segment that its name says: damage in this store, which proves nothing. */
async function readEntries(
  segment: ListedSegment,
  deps: JudgeSegmentsDeps,
  signal: AbortSignal | undefined,
): Promise<readonly WholeEntry[] | undefined> {
  const { vault, self, vaultId, warn } = deps;
  const tell = (why: string): undefined => {
    warn({
      code: 'store-damaged',
      message: `${vault.label}: the chain segment ${nameOf(segment)} of this agent is damaged: ${why}`,
    });
    return undefined;
  };
  if (segment.bytes > SEGMENT_OBJECT_BYTES_MAX) return tell(`it has ${segment.bytes} bytes`);
  try {
    const entries = requireSegment(segment, await vault.getSegment(segment, signal));
    return entries.every(({ head: { header } }) => header.vault === vaultId && header.agent === self.agentId)
      ? entries
      : tell('it holds entries of another agent or vault');
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    await deps.requireSame();
    return tell(error.message);
  }
}

/**
 * E_INTEGRITY unless the entry proves something: signed with the own key, or a takeover with a card that the admin signed. Other entries of a newer
 * incarnation lie behind its takeover, which is judged first.
 */
function requireProof({ head, body }: WholeEntry, segment: ListedSegment, deps: JudgeSegmentsDeps): void {
  const { sodium, self, adminPublicKey, vault } = deps;
  try {
    if (head.header.kind === EntryKind.takeover) {
      const card = verifyCard(sodium, body, adminPublicKey);
      if (card.agentId !== self.agentId || card.incarnation !== head.header.incarnation)
        throw new EdgeError('E_INTEGRITY', 'the card of a takeover is of another incarnation');
      verifyHead(sodium, head, card.signPublicKey);
    } else {
      verifyHead(sodium, head, publicKeyOf(sodium, self.signSeed));
    }
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    throw new EdgeError(
      'E_INTEGRITY',
      `${vault.label}: the chain segment ${nameOf(segment)} is not on this agent’s chain, and its signature is not valid`,
      {
        hint: 'Nothing was put there. Something else writes below this agent’s prefix: find it, and remove the object.',
        context: { store: vault.label, segment: nameOf(segment) },
        cause: error,
      },
    );
  }
}

async function refuse(position: Position, deps: JudgeSegmentsDeps): Promise<never> {
  const shownBy = deps.vault.label;
  await deps.putBack.set({ position, shownBy, sinceNs: deps.clock.nowNs() });
  throw putBackError(position, shownBy, deps.self.incarnation);
}

/** Thrown while the state of docs/chain.md 2.7 lasts. */
export function putBackError(position: Position, shownBy: string, incarnation: number): EdgeError {
  const { seq } = position;
  return position.incarnation > incarnation
    ? new EdgeError(
        'E_ROLLBACK',
        `${shownBy} has entry ${position.incarnation}/${seq} of this agent: another machine took over its identity`,
        {
          hint: 'Nothing was sent. Stop this agent. To go on here, recover it again with `edgestore recover`.',
          context: { position, shownBy },
        },
      )
    : new EdgeError(
        'E_ROLLBACK',
        `${shownBy} has entry ${position.incarnation}/${seq} of this agent, signed by it, which this machine does not have`,
        {
          hint: 'This machine was put back to an older state, or copied. Nothing was sent. `edgestore recover` lists both branches and goes on from either.',
          context: { position, shownBy },
        },
      );
}
