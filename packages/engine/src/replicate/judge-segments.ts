/**
 * Compares the segments that lie in the own folder of a bucket with the own chain (docs/chain.md 2.6, 2.7, 6.3). Another entry with the own valid signature
 * proves that this machine was put back or copied. A valid takeover proves that a newer incarnation replaced this one.
 */
import { createHash } from 'node:crypto';
import { decodeChainSegment, encodeChainSegment } from '../chain/chain-segment.ts';
import { EntryKind, positionOf, type SignedHead, verifyHead } from '../chain/entry-head.ts';
import type { Position } from '../chain/position.ts';
import type { Sodium } from '../codec/sodium.ts';
import type { Clock } from '../core/clock.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import type { AgentId, VaultId } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import { verifyCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import type { BucketIndex, SegmentName } from '../ports/bucket-index.ts';
import type { ChainEntry, Chains, OwnChain } from '../ports/chains.ts';
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

export function nameOf({ incarnation, first, last, digest }: SegmentName): string {
  return `${incarnation}/${first}-${last}-${digest}`;
}

/** The first 16 hex digits of the SHA-256 of a segment. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

async function holdsOwnEntries(
  segment: ListedSegment,
  deps: JudgeSegmentsDeps,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (await isMadeOfOwnEntries(segment, deps)) return true;
  const { incarnation } = deps.self;
  // A branch of an older incarnation, which a takeover left behind.
  if (segment.incarnation < incarnation) return false;
  const heads = await readHeads(segment, deps, signal);
  if (heads === undefined) return false;
  return segment.incarnation > incarnation
    ? await refuseNewerIncarnation(heads, segment, deps)
    : await refuseFork(heads, segment, deps);
}

/** Without reading the object: its name tells its content. */
async function isMadeOfOwnEntries(segment: ListedSegment, deps: JudgeSegmentsDeps): Promise<boolean> {
  const { chain, chains, self } = deps;
  const { first, last, incarnation, bytes, digest } = segment;
  if (bytes > SEGMENT_OBJECT_BYTES_MAX) return false;
  if (chain.positionAt(first)?.incarnation !== incarnation || chain.positionAt(last)?.incarnation !== incarnation)
    return false;
  const entries: ChainEntry[] = [];
  let bodyBytes = 0;
  for await (const entry of chains.entries(self.agentId, { afterSeq: first - 1, untilSeq: last })) {
    entries.push(entry);
    bodyBytes += entry.body?.length ?? 0;
    if (bodyBytes > bytes) return false;
  }
  const made = encodeChainSegment(entries);
  return made.length === bytes && digestOf(made) === digest;
}

/** Undefined for an object that is not the segment that its name says: damage in this store, which proves nothing. */
async function readHeads(
  segment: ListedSegment,
  deps: JudgeSegmentsDeps,
  signal: AbortSignal | undefined,
): Promise<readonly SignedHead[] | undefined> {
  const { vault, self, vaultId, warn } = deps;
  const tell = (why: string): undefined =>
    warn({
      code: 'store-damaged',
      message: `${vault.label}: the chain segment ${nameOf(segment)} of this agent is damaged: ${why}`,
    }) as undefined;
  if (segment.bytes > SEGMENT_OBJECT_BYTES_MAX) return tell(`it has ${segment.bytes} bytes`);
  try {
    const bytes = await vault.getSegment(segment, signal);
    if (digestOf(bytes) !== segment.digest) return tell('its content is not the one that it is named after');
    const heads = decodeChainSegment(bytes).map(({ head }) => head);
    const isOwn = heads.every(({ header }) => header.agent === self.agentId && header.vault === vaultId);
    return isOwn && heads.length > 0 ? heads : tell('it holds entries of another agent');
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    return tell(error.message);
  }
}

/** An answer of the own incarnation that is ahead of the own trail, or beside it. */
async function refuseFork(
  heads: readonly SignedHead[],
  segment: ListedSegment,
  deps: JudgeSegmentsDeps,
): Promise<boolean> {
  const { sodium, self, chain, vault } = deps;
  const key = publicKeyOf(sodium, self.signSeed);
  const foreign = heads.find((head) => chain.positionAt(head.header.seq)?.link !== head.link);
  if (foreign === undefined) return true;
  try {
    verifyHead(sodium, foreign, key);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    throw unproved(segment, vault.label, error);
  }
  return await refuse(positionOf(foreign), deps);
}

async function refuseNewerIncarnation(
  heads: readonly SignedHead[],
  segment: ListedSegment,
  deps: JudgeSegmentsDeps,
): Promise<boolean> {
  const { sodium, self, adminPublicKey, vault } = deps;
  const [head] = heads;
  try {
    // Segments are read in the order of their entries: the takeover is the first entry of its incarnation.
    if (head === undefined || head.header.kind !== EntryKind.takeover) return false;
    const bytes = await vault.getSegment(segment);
    const body = decodeChainSegment(bytes)[0]?.body;
    const card = verifyCard(sodium, body ?? new Uint8Array(0), adminPublicKey);
    if (card.agentId !== self.agentId || card.incarnation !== head.header.incarnation)
      throw new EdgeError('E_INTEGRITY', 'its card is of another incarnation');
    verifyHead(sodium, head, card.signPublicKey);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    throw unproved(segment, vault.label, error);
  }
  return await refuse(positionOf(head), deps);
}

async function refuse(position: Position, deps: JudgeSegmentsDeps): Promise<never> {
  const shownBy = deps.vault.label;
  await deps.putBack.set(deps.self.agentId, { position, shownBy, sinceNs: deps.clock.nowNs() });
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

function unproved(segment: ListedSegment, label: string, cause: unknown): EdgeError {
  return new EdgeError(
    'E_INTEGRITY',
    `${label}: the chain segment ${nameOf(segment)} is not on this agent’s chain, and its signature is not valid`,
    {
      hint: 'Nothing was put there. Something else writes below this agent’s prefix: find it, and remove the object.',
      context: { store: label, segment: nameOf(segment) },
      cause,
    },
  );
}
