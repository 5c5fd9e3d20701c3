/** What a bucket holds besides packs, so that an empty machine can begin from it: vault descriptor, key slots, cards, and the log in segments. */
import { bytesEqual } from '../../core/bytes.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId, VaultId } from '../../core/ids.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import {
  type BucketSegment,
  cardKeyOf,
  type Life,
  parseBucketKey,
  segmentKeyOf,
  slotKeyOf,
  slotRemovalKeyOf,
  vaultKeyOf,
} from './bucket-layout.ts';

export interface BucketVault {
  readonly label: string;
  readonly vault: VaultId;
  /** Undefined when the vault has nothing in this bucket. */
  descriptor(signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * Each `put` writes when nothing lies there, and says whether it did. Other bytes are replaced only when `mayReplace` says so of them: a newer file
   * of another agent is never replaced by an older one.
   */
  putDescriptor(bytes: Uint8Array, signal?: AbortSignal, mayReplace?: MayReplace): Promise<boolean>;
  slots(signal?: AbortSignal): Promise<{ readonly slotId: string; readonly bytes: Uint8Array }[]>;
  putSlot(slotId: string, bytes: Uint8Array, signal?: AbortSignal, mayReplace?: MayReplace): Promise<boolean>;
  slotRemovals(signal?: AbortSignal): Promise<{ readonly slotId: string; readonly bytes: Uint8Array }[]>;
  /** The mark first, then the slot goes: a reader that finds both takes the slot for removed. */
  putSlotRemoval(slotId: string, bytes: Uint8Array, signal?: AbortSignal, mayReplace?: MayReplace): Promise<boolean>;
  /** Ids of slots and of marks that lie there, in one listing. */
  slotNames(
    signal?: AbortSignal,
  ): Promise<{ readonly slots: ReadonlySet<string>; readonly removals: ReadonlySet<string> }>;
  cards(signal?: AbortSignal): Promise<(Life & { readonly bytes: Uint8Array })[]>;
  putCard(life: Life, bytes: Uint8Array, signal?: AbortSignal, mayReplace?: MayReplace): Promise<boolean>;
  /** In the order of agent, incarnation and sequence; of one agent only when named. */
  segments(agent?: AgentId, signal?: AbortSignal): Promise<(BucketSegment & { readonly bytes: number })[]>;
  getSegment(segment: BucketSegment, signal?: AbortSignal): Promise<Uint8Array>;
  /** Never replaces: E_FORK when other records lie under the same numbers, which means that someone else writes as this agent. */
  putSegment(segment: BucketSegment, bytes: Uint8Array, signal?: AbortSignal): Promise<boolean>;
}

/** Whether the bytes that lie under a name may be replaced; it has learned from them what is newer. */
export type MayReplace = (stored: Uint8Array) => Promise<boolean>;

/** A slot, card or descriptor larger than this is none, and not read. */
const SMALL_OBJECT_BYTES_MAX = 1024 * 1024;
/** Slots or cards read at most: what else lies there is not edgestore's doing. */
const OBJECTS_MAX = 10_000;

export function openBucketVault(store: ObjectStore, vault: VaultId): BucketVault {
  const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });

  async function putIfOther(
    key: string,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    mayReplace: MayReplace | undefined,
  ): Promise<boolean> {
    const stat = await store.stat(key, withSignal(signal));
    // Something too large to be one of these files is not read, and replaced.
    if (stat !== undefined && stat.size <= SMALL_OBJECT_BYTES_MAX) {
      const stored = await store.get(key, withSignal(signal));
      if (stored !== undefined && bytesEqual(stored, bytes)) return false;
      if (stored !== undefined && !((await mayReplace?.(stored)) ?? true)) return false;
    }
    await store.put(key, bytes, withSignal(signal));
    return true;
  }

  async function readAll<T>(
    prefix: string,
    describe: (key: string) => T | undefined,
    signal: AbortSignal | undefined,
  ): Promise<(T & { readonly bytes: Uint8Array })[]> {
    const all: (T & { readonly bytes: Uint8Array })[] = [];
    for await (const found of store.list(`${vault}/${prefix}`, withSignal(signal))) {
      const what = describe(found.key);
      if (what === undefined || found.size > SMALL_OBJECT_BYTES_MAX) continue;
      // Whoever can write there can plant names without end; those beyond the bound end nothing.
      if (all.length >= OBJECTS_MAX) break;
      const bytes = await store.get(found.key, withSignal(signal));
      // Removed since it was listed: as if it had not been there.
      if (bytes !== undefined) all.push({ ...what, bytes });
    }
    return all;
  }

  return {
    label: store.label,
    vault,
    descriptor: (signal) => store.get(vaultKeyOf(vault), withSignal(signal)),
    putDescriptor: (bytes, signal, mayReplace) => putIfOther(vaultKeyOf(vault), bytes, signal, mayReplace),
    slots: (signal) =>
      readAll(
        'slots/',
        (key) => {
          const parsed = parseBucketKey(key);
          return parsed?.kind === 'slot' ? { slotId: parsed.slotId } : undefined;
        },
        signal,
      ),
    putSlot: (slotId, bytes, signal, mayReplace) => putIfOther(slotKeyOf(vault, slotId), bytes, signal, mayReplace),
    slotRemovals: (signal) =>
      readAll(
        'slots/',
        (key) => {
          const parsed = parseBucketKey(key);
          return parsed?.kind === 'slot-removal' ? { slotId: parsed.slotId } : undefined;
        },
        signal,
      ),
    async putSlotRemoval(slotId, bytes, signal, mayReplace) {
      const isNew = await putIfOther(slotRemovalKeyOf(vault, slotId), bytes, signal, mayReplace);
      await store.delete(slotKeyOf(vault, slotId), withSignal(signal));
      return isNew;
    },
    async slotNames(signal) {
      const [slots, removals] = [new Set<string>(), new Set<string>()];
      for await (const { key } of store.list(`${vault}/slots/`, withSignal(signal))) {
        const parsed = parseBucketKey(key);
        if (slots.size + removals.size >= OBJECTS_MAX) break;
        if (parsed?.kind === 'slot') slots.add(parsed.slotId);
        if (parsed?.kind === 'slot-removal') removals.add(parsed.slotId);
      }
      return { slots, removals };
    },
    cards: (signal) =>
      readAll(
        'cards/',
        (key) => {
          const parsed = parseBucketKey(key);
          return parsed?.kind === 'card' ? { agent: parsed.agent, incarnation: parsed.incarnation } : undefined;
        },
        signal,
      ),
    putCard: (life, bytes, signal, mayReplace) => putIfOther(cardKeyOf(vault, life), bytes, signal, mayReplace),
    async segments(agent, signal) {
      const all: (BucketSegment & { readonly bytes: number })[] = [];
      for await (const found of store.list(`${vault}/${agent === undefined ? '' : `${agent}/`}`, withSignal(signal))) {
        const parsed = parseBucketKey(found.key);
        if (parsed?.kind !== 'segment') continue;
        const { incarnation, firstSeq, lastSeq } = parsed;
        all.push({ agent: parsed.agent, incarnation, firstSeq, lastSeq, bytes: found.size });
      }
      return all;
    },
    async getSegment(segment, signal) {
      const key = segmentKeyOf(vault, segment);
      const bytes = await store.get(key, withSignal(signal));
      if (bytes !== undefined) return bytes;
      throw new EdgeError(
        'E_INTEGRITY',
        `${store.label}/${key} is gone: records ${segment.firstSeq} to ${segment.lastSeq} of agent ${segment.agent.slice(0, 8)}`,
        {
          context: { store: store.label, key },
        },
      );
    },
    async putSegment(segment, bytes, signal) {
      const key = segmentKeyOf(vault, segment);
      try {
        await store.put(key, bytes, { ifAbsent: store.capabilities.conditionalPut, ...withSignal(signal) });
        failpoint('bucket.segment-put');
        return true;
      } catch (error) {
        if (!isEdgeError(error, 'E_BUSY')) throw error;
      }
      const stored = await store.get(key, withSignal(signal));
      if (stored !== undefined && bytesEqual(stored, bytes)) return false;
      throw new EdgeError(
        'E_FORK',
        `${store.label}/${key}: other records lie under these numbers of agent ${segment.agent.slice(0, 8)}`,
        {
          hint: 'Another machine writes with this agent’s identity (a copied data dir, or one put back to an older state). Both are kept; stop one of them.',
          context: { store: store.label, key },
        },
      );
    },
  };
}

/** Vaults that have a descriptor in this bucket, for a recovery that was given no vault id. */
export async function findVaults(store: ObjectStore, signal?: AbortSignal): Promise<VaultId[]> {
  const found: VaultId[] = [];
  for await (const { key } of store.list('', signal === undefined ? {} : { signal })) {
    const parsed = parseBucketKey(key);
    if (parsed?.kind === 'vault') found.push(parsed.vault);
  }
  return found;
}
