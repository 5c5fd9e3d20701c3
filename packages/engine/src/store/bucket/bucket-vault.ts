/** What a bucket holds besides packs, so that an empty machine can begin from it: vault descriptor, key slots, cards, and the log in segments. */
import { bytesEqual } from '../../core/bytes.ts';
import { EdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId, VaultId } from '../../core/ids.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { CARD_BYTES_MAX } from '../../keys/card.ts';
import {
  type BucketSegment,
  cardKeyOf,
  chainFolderOf,
  type Life,
  parseBucketKey,
  segmentKeyOf,
  segmentsFromKey,
  slotKeyOf,
  slotRemovalKeyOf,
  vaultKeyOf,
} from './bucket-layout.ts';
import { verifyStored } from './verify-stored.ts';

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
  cards(signal?: AbortSignal): Promise<(Life & { readonly bytes: Uint8Array })[]>;
  putCard(life: Life, bytes: Uint8Array, signal?: AbortSignal, mayReplace?: MayReplace): Promise<boolean>;
  /**
   * Lengths of what lies there, by `descriptor`, `slot <id>`, `slot-removal <id>` and `card <agent>-<incarnation>`. Of more names than any vault has, some
   * are left out.
   */
  vaultFiles(signal?: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /** By incarnation and last seq; only segments that reach a seq of an incarnation, and those of newer ones, where `from` is given. */
  segments(
    agent: AgentId,
    options?: { readonly from?: { readonly incarnation: number; readonly seq: number }; readonly signal?: AbortSignal },
  ): AsyncIterable<ListedSegment>;
  /** E_INTEGRITY when it is gone. Its content is the caller's to check. */
  getSegment(segment: BucketSegment, signal?: AbortSignal): Promise<Uint8Array>;
  /** Stores a segment and verifies what lies there. Its name tells its content, so only damage is ever replaced. */
  putSegment(segment: BucketSegment, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
}

export interface ListedSegment extends BucketSegment {
  readonly bytes: number;
}

/** Whether the bytes that lie under a name may be replaced; it has learned from them what is newer. */
export type MayReplace = (stored: Uint8Array) => Promise<boolean>;

/** A slot, card or descriptor larger than this is none, and not read. */
export const VAULT_FILE_BYTES_MAX = 1024 * 1024;
/** Also of a later version. Larger objects are not slots, and not held in memory. */
const SLOT_OBJECT_BYTES_MAX = 1024;
/** Slots or cards read at most: what else lies there is not edgestore's doing. */
const OBJECTS_MAX = 10_000;

/**
 * `requireIdentity` throws unless the place that is asked now is the one that this vault was put into; what puts
 * segments needs it.
 */
export function openBucketVault(
  store: ObjectStore,
  vault: VaultId,
  requireIdentity: (signal?: AbortSignal) => Promise<void> = async () => {},
): BucketVault {
  const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });

  async function putIfOther(
    key: string,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    mayReplace: MayReplace | undefined,
  ): Promise<boolean> {
    const stat = await store.stat(key, withSignal(signal));
    // Something too large to be one of these files is not read, and replaced.
    if (stat !== undefined && stat.size <= VAULT_FILE_BYTES_MAX) {
      const stored = await store.get(key, withSignal(signal));
      if (stored !== undefined && bytesEqual(stored, bytes)) return false;
      if (stored !== undefined && !((await mayReplace?.(stored)) ?? true)) return false;
    }
    await store.put(key, bytes, withSignal(signal));
    return true;
  }

  async function readAll<T>(
    prefix: string,
    bytesMax: number,
    describe: (key: string) => T | undefined,
    signal: AbortSignal | undefined,
  ): Promise<(T & { readonly bytes: Uint8Array })[]> {
    const all: (T & { readonly bytes: Uint8Array })[] = [];
    for await (const found of store.list(`${vault}/${prefix}`, withSignal(signal))) {
      const what = describe(found.key);
      if (what === undefined || found.size > bytesMax) continue;
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
    async descriptor(signal) {
      const key = vaultKeyOf(vault);
      const stat = await store.stat(key, withSignal(signal));
      if (stat === undefined) return undefined;
      if (stat.size > VAULT_FILE_BYTES_MAX)
        throw new EdgeError('E_FORMAT', `${store.label}/${key} has ${stat.size} bytes: no vault descriptor`);
      return await store.get(key, withSignal(signal));
    },
    putDescriptor: (bytes, signal, mayReplace) => putIfOther(vaultKeyOf(vault), bytes, signal, mayReplace),
    slots: (signal) =>
      readAll(
        'slots/',
        SLOT_OBJECT_BYTES_MAX,
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
        SLOT_OBJECT_BYTES_MAX,
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
    cards: (signal) =>
      readAll(
        'cards/',
        CARD_BYTES_MAX,
        (key) => {
          const parsed = parseBucketKey(key);
          return parsed?.kind === 'card' ? { agent: parsed.agent, incarnation: parsed.incarnation } : undefined;
        },
        signal,
      ),
    putCard: (life, bytes, signal, mayReplace) => putIfOther(cardKeyOf(vault, life), bytes, signal, mayReplace),
    async vaultFiles(signal) {
      const files = new Map<string, number>();
      const descriptor = await store.stat(vaultKeyOf(vault), withSignal(signal));
      if (descriptor !== undefined) files.set('descriptor', descriptor.size);
      for (const folder of ['cards/', 'slots/']) {
        let listed = 0;
        for await (const { key, size } of store.list(`${vault}/${folder}`, withSignal(signal))) {
          const parsed = parseBucketKey(key);
          if (parsed?.kind === 'slot' || parsed?.kind === 'slot-removal')
            files.set(`${parsed.kind} ${parsed.slotId}`, size);
          else if (parsed?.kind === 'card') files.set(`card ${parsed.agent}-${parsed.incarnation}`, size);
          if (++listed >= OBJECTS_MAX) break;
        }
      }
      return files;
    },
    async *segments(agent, { from, signal } = {}) {
      const after = from === undefined ? {} : { after: segmentsFromKey(vault, agent, from) };
      for await (const found of store.list(chainFolderOf(vault, agent), { ...after, ...withSignal(signal) })) {
        const parsed = parseBucketKey(found.key);
        if (parsed?.kind === 'segment') yield listedSegment(parsed, found.size);
      }
    },
    async getSegment(segment, signal) {
      const key = segmentKeyOf(vault, segment);
      const bytes = await store.get(key, withSignal(signal));
      if (bytes !== undefined) return bytes;
      await requireIdentity(signal);
      throw new EdgeError(
        'E_INTEGRITY',
        `${store.label}/${key} is gone: entries ${segment.first} to ${segment.last} of agent ${segment.agent.slice(0, 8)}`,
        {
          context: { store: store.label, key },
        },
      );
    },
    async putSegment(segment, bytes, signal) {
      const key = segmentKeyOf(vault, segment);
      await store.put(key, bytes, withSignal(signal));
      failpoint('bucket.segment-put');
      await verifyStored({ store, requireIdentity }, key, bytes, 'segment', signal);
      failpoint('bucket.segment-verified');
    },
  };
}

function listedSegment({ agent, incarnation, first, last, sha256 }: BucketSegment, bytes: number): ListedSegment {
  return { agent, incarnation, first, last, sha256, bytes };
}

/** Vaults that have a descriptor in this bucket, for a recovery that was given no vault id. */
export async function findVaults(store: ObjectStore, signal?: AbortSignal): Promise<VaultId[]> {
  const withSignal = signal === undefined ? {} : { signal };
  const found: VaultId[] = [];
  let after = '';
  for (;;) {
    const next = await firstKey(store.list('', { ...(after === '' ? {} : { after }), ...withSignal }));
    if (next === undefined) return found;
    const vault = /^([0-9a-f]{32})\//.exec(next)?.[1];
    if (vault === undefined) {
      after = next;
      continue;
    }
    if ((await store.stat(vaultKeyOf(vault), withSignal)) !== undefined) found.push(vault);
    // Behind every key of the vault: a slash sorts right before a zero.
    after = `${vault}0`;
  }
}

async function firstKey(listing: AsyncIterable<{ readonly key: string }>): Promise<string | undefined> {
  for await (const { key } of listing) return key;
  return undefined;
}
