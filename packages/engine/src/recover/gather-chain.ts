/** Reads one agent's chain from every source and keeps what its signatures prove. Nothing else of it is parsed. */
import { encodeChainItem } from '../chain/chain-segment.ts';
import { EntryKind, entryError, isHoldKind, requireBody, type SignedHead, verifyHead } from '../chain/entry-head.ts';
import { type Link, ZERO_LINK } from '../chain/position.ts';
import { type CheckpointPart, openCheckpointPart } from '../chain/record-checkpoint.ts';
import { openRecordEntry } from '../chain/record-entry.ts';
import type { Sodium } from '../codec/sodium.ts';
import { type EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import type { AgentId } from '../core/ids.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import { type Card, verifyCard } from '../keys/card.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { RecordBody } from '../log/record-body.ts';
import type { ChainEntry } from '../ports/chains.ts';
import type { EntrySpool, SpooledItem } from '../store/chains/entry-spool.ts';
import type { Placed } from './chain-tree.ts';
import type { VerifiedCard } from './recover-types.ts';

export interface GatheredEntry extends Placed {
  readonly kind: EntryKind;
  readonly shard: number;
  /** Verifies the incarnation that the entry is of. */
  readonly signer: Uint8Array;
  /** Of a takeover. */
  readonly card: Card | undefined;
  readonly record: RecordBody | undefined;
  readonly part: CheckpointPart | undefined;
  /** Undefined without a spool. */
  item: SpooledItem | undefined;
  /** Of a hold entry: false where only its header was found. */
  hasBody: boolean;
}

export interface GatheredChain {
  readonly entries: ReadonlyMap<Link, GatheredEntry>;
  /** Links of entries that each source has, as far as they are ends: of no entry that follows them there. By label. */
  readonly seenAt: ReadonlyMap<string, ReadonlySet<Link>>;
}

export interface GatherChainDeps {
  readonly sodium: Sodium;
  readonly keys: VaultKeys;
  readonly adminPublicKey: Uint8Array;
  readonly cards: readonly VerifiedCard[];
  /** Keeps entries with their bodies; none for a recovery that writes nothing. */
  readonly spool: EntrySpool | undefined;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress;
}

/** A source whose chain cannot be read is passed over with a warning as long as another one can. */
export async function gatherChain(
  agent: AgentId,
  sources: readonly RecoverySource[],
  deps: GatherChainDeps,
  signal?: AbortSignal,
): Promise<GatheredChain> {
  const entries = new Map<Link, GatheredEntry>();
  const seenAt = new Map<string, Set<Link>>();
  const problems: EdgeError[] = [];
  let refused = 0;
  for (const source of sources) {
    const ends = new Set<Link>();
    try {
      for await (const entry of source.entries(agent, signal)) {
        try {
          const taken = await take(entry, agent, entries, deps);
          if (taken === undefined) continue;
          ends.delete(taken.previous);
          ends.add(taken.link);
          if (entries.size % 1000 === 0)
            deps.progress?.({ phase: 'read chain', filesDone: entries.size, detail: source.label });
        } catch (error) {
          if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_WRONG_KEY')) throw error;
          refused += 1;
          if (refused <= 3) deps.warn({ code: 'record-refused', message: `${source.label}: ${error.message}` });
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      const problem = toEdgeError(error, source.label);
      if (problem.code === 'E_NEWER_FORMAT' || problem.code === 'E_NO_SPACE') throw problem;
      problems.push(problem);
      deps.warn({
        code: problem.code,
        message: `the chain at ${source.label} could not be read to its end: ${problem.message}`,
      });
    }
    if (ends.size > 0) seenAt.set(source.label, ends);
  }
  if (entries.size === 0 && problems[0] !== undefined) throw problems[0];
  return { entries, seenAt };
}

async function take(
  { head, body }: ChainEntry,
  agent: AgentId,
  entries: Map<Link, GatheredEntry>,
  deps: GatherChainDeps,
): Promise<GatheredEntry | undefined> {
  const { header } = head;
  if (header.agent !== agent || header.vault !== deps.keys.vaultId) return undefined;
  const known = entries.get(head.link);
  if (known !== undefined) {
    if (!known.hasBody && body !== undefined) {
      requireBody(head, body);
      known.item = await deps.spool?.append(encodeChainItem({ head, body }));
      known.hasBody = true;
    }
    return known;
  }
  if (body !== undefined) requireBody(head, body);
  else if (!isHoldKind(header.kind)) throw entryError(header, 'it came without its body');
  const card = header.kind === EntryKind.takeover ? cardOf(head, body!, deps) : undefined;
  const signer = card?.signPublicKey ?? signerOf(head, entries, deps);
  if (signer === undefined) throw entryError(header, `no card of incarnation ${header.incarnation} says who signed it`);
  verifyHead(deps.sodium, head, signer);
  const { kind } = header;
  const entry: GatheredEntry = {
    link: head.link,
    previous: header.previous,
    incarnation: header.incarnation,
    seq: header.seq,
    kind,
    shard: header.shard,
    signer,
    card,
    record: kind === EntryKind.record ? openRecordEntry(deps.sodium, { head, body: body! }, deps.keys) : undefined,
    part:
      kind === EntryKind.recordCheckpoint
        ? openCheckpointPart(deps.sodium, { head, body: body! }, deps.keys)
        : undefined,
    item: await deps.spool?.append(encodeChainItem({ head, body })),
    hasBody: body !== undefined,
  };
  entries.set(head.link, entry);
  return entry;
}

/** The card that begins an incarnation, where it is the admin's and fits its place. */
function cardOf(head: SignedHead, body: Uint8Array, deps: GatherChainDeps): Card {
  const { header } = head;
  const card = verifyCard(deps.sodium, body, deps.adminPublicKey);
  const fits =
    card.agentId === header.agent &&
    card.incarnation === header.incarnation &&
    (card.base?.link ?? ZERO_LINK) === header.previous;
  if (!fits) throw entryError(header, 'its card is of another takeover');
  return card;
}

/** The key of the entry before it, in the same incarnation: two takeovers of one incarnation each have their own. Behind a gap, that of a card. */
function signerOf(
  { header }: SignedHead,
  entries: ReadonlyMap<Link, GatheredEntry>,
  { cards }: GatherChainDeps,
): Uint8Array | undefined {
  const before = entries.get(header.previous);
  if (before?.incarnation === header.incarnation) return before.signer;
  return cards.find(({ card }) => card.agentId === header.agent && card.incarnation === header.incarnation)?.card
    .signPublicKey;
}
