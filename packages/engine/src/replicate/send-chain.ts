/** Brings a holder's copy of the own chain up to date: headers and records first, then the bodies of hold entries that were left out. */
import { EntryKind, HEAD_BYTES, isHoldKind } from '../chain/entry-head.ts';
import type { Position } from '../chain/position.ts';
import { EdgeError } from '../core/errors.ts';
import { MIB } from '../core/limits.ts';
import type { EntryBody, PeerLink } from '../core/ports/peer.ts';
import type { ChainEntry } from '../ports/chains.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

type ChainDeps = Pick<ReplicateDeps, 'chains' | 'self'>;

/** Bytes that are read and sent at a time. */
const GROUP_BYTES = 4 * MIB;
const GROUP_ENTRIES = 4096;
/** Bodies of hold entries that go along with their headers: a usual sync is one request. More of them wait until the records are there. */
const BODIES_ALONG_BYTES = MIB;
/** Bodies that are asked for at a time. */
const BODIES_AT_ONCE = 1024;

export interface SentChain {
  readonly entries: number;
  /** Shards of which a body was left out. */
  readonly shards: ReadonlySet<number>;
}

/** Entries after `fromSeq` up to and with `end`. E_INTEGRITY when the holder does not have the end then. */
export async function sendEntries(
  link: PeerLink,
  fromSeq: number,
  end: Position,
  { chains, self }: ChainDeps,
  signal?: AbortSignal,
): Promise<SentChain> {
  const shards = new Set<number>();
  /** A holder that lacks bodies before a checkpoint may take its parts in their place. */
  const asOfSeqs = new Map(
    chains.shards(self.agentId).map(({ shard }) => [shard, chains.parts.newest(self.agentId, shard)?.asOfSeq ?? 0]),
  );
  let entries = 0;
  let along = 0;
  let last: Position | undefined;
  let group: ChainEntry[] = [];
  let bytes = 0;
  const send = async (): Promise<void> => {
    if (group.length === 0) return;
    last = await link.sendEntries(self.agentId, group, signal);
    entries += group.length;
    group = [];
    bytes = 0;
  };
  for await (const entry of chains.entries(self.agentId, { afterSeq: fromSeq, untilSeq: end.seq })) {
    const { kind, shard, bodyBytes, seq } = entry.head.header;
    const isBefore = kind !== EntryKind.holdCheckpoint && seq <= (asOfSeqs.get(shard) ?? 0);
    const isLeftOut =
      isHoldKind(kind) && (entry.body === undefined || isBefore || along + bodyBytes > BODIES_ALONG_BYTES);
    if (isLeftOut) shards.add(shard);
    else if (isHoldKind(kind)) along += bodyBytes;
    const size = HEAD_BYTES + (isLeftOut ? 0 : bodyBytes);
    if (group.length === GROUP_ENTRIES || (group.length > 0 && bytes + size > GROUP_BYTES)) await send();
    group.push(isLeftOut ? { head: entry.head, body: undefined } : entry);
    bytes += size;
  }
  await send();
  if (entries > 0 && (last?.seq !== end.seq || last.link !== end.link))
    throw new EdgeError('E_INTEGRITY', `${link.label} did not take the chain`, { retryable: true });
  return { entries, shards };
}

/** Bodies of a shard's hold entries that the holder lacks. */
export async function sendBodies(
  link: PeerLink,
  shard: number,
  { chains, self }: ChainDeps,
  signal?: AbortSignal,
): Promise<void> {
  for (let before = 0; ; ) {
    const missing = (await link.missingBodies(self.agentId, shard, BODIES_AT_ONCE, signal)).filter(
      (seq) => seq > before,
    );
    if (missing.length === 0) return;
    let group: EntryBody[] = [];
    let bytes = 0;
    const send = async (): Promise<void> => {
      if (group.length > 0) await link.sendBodies(self.agentId, group, signal);
      group = [];
      bytes = 0;
    };
    for (const seq of missing) {
      const body = await chains.body(self.agentId, seq);
      // A body that this store dropped behind a checkpoint: the holder gets the checkpoint's parts from another one.
      if (body === undefined) continue;
      if (group.length > 0 && bytes + body.length > GROUP_BYTES) await send();
      group.push({ seq, body });
      bytes += body.length;
    }
    await send();
    // A holder that asks for the same bodies again would keep this pass for ever.
    before = missing.at(-1)!;
  }
}
