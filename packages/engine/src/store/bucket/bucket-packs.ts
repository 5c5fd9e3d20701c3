/** Packs in a bucket: one object each, in the prefix of the agent's life that wrote it. */
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId, PackName, VaultId } from '../../core/ids.ts';
import { PACK_BYTES_MAX } from '../../core/limits.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { PACK_FOOTER_BYTES, PACK_HEADER_BYTES } from '../../pack/layout.ts';
import { encodePackHeader } from '../../pack/pack-header.ts';
import { decodePackTail, type PackContents, packTailBytes, readPackFooter } from '../../pack/pack-tail.ts';
import {
  type BucketPack,
  type Life,
  type NamedPack,
  packKeyOf,
  packPrefixOf,
  parseBucketKey,
} from './bucket-layout.ts';
import { verifyStored } from './verify-stored.ts';

export interface ListedPack extends BucketPack {
  readonly bytes: number;
  /** When it was put, where the store tells. */
  readonly modifiedNs?: bigint;
}

export interface BucketPacks {
  readonly label: string;
  /**
   * Stores a whole pack in this life's prefix and verifies what lies there: by HEAD against our own MD5 where the store gives one, else by
   * reading it back. The place is asked for its identity in between, so that what was put elsewhere does not pass.
   * When it resolves, the copy is verified in
   * the sense of P5. E_INTEGRITY when something else lies there.
   */
  put(pack: NamedPack, body: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Every pack below the vault, of the given agent only when named; in key order. */
  list(agent?: AgentId, signal?: AbortSignal): AsyncIterable<ListedPack>;
  /** Names of packs and segments that a killed process left are on stable storage when it resolves. */
  settle(signal?: AbortSignal): Promise<void>;
  /** Header and index of a pack, checked against its name; two or three small reads. Undefined when it is not there, E_INTEGRITY when damaged. */
  readContents(pack: ListedPack, signal?: AbortSignal): Promise<PackContents | undefined>;
  /** Bytes of a pack in whatever life's prefix it lies; undefined when it is in none. E_INTEGRITY when it is shorter than that. */
  readRange(
    pack: NamedPack,
    range: { readonly offset: number; readonly length: number },
    signal?: AbortSignal,
  ): Promise<Uint8Array | undefined>;
  /** Removes a pack of this life; E_USAGE for a pack of another one. */
  delete(pack: BucketPack, signal?: AbortSignal): Promise<void>;
}

/** The index of most packs is in this much of their end (800 frames). */
const TAIL_GUESS_BYTES = 64 * 1024;

/** Asks nothing yet. `life` is the one that writes; packs of every life are read. */
export function openBucketPacks(input: {
  readonly store: ObjectStore;
  readonly vault: VaultId;
  readonly life: Life;
  /** Throws unless the place that is asked now is the one that this vault was put into. */
  readonly requireIdentity: (signal?: AbortSignal) => Promise<void>;
}): BucketPacks {
  const { store, vault, life, requireIdentity } = input;
  const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });
  /** Keys of packs that do not lie in this life's prefix; filled by listing, when one is first missed. */
  let elsewhere: Map<PackName, string> | undefined;

  async function* list(agent?: AgentId, signal?: AbortSignal): AsyncGenerator<ListedPack> {
    for (const packClass of ['data', 'meta'] as const) {
      for await (const found of store.list(packPrefixOf(vault, packClass, agent), withSignal(signal))) {
        const parsed = parseBucketKey(found.key);
        if (parsed?.kind !== 'pack') continue;
        const { agent: owner, incarnation, name } = parsed;
        const modified = found.modifiedNs === undefined ? {} : { modifiedNs: found.modifiedNs };
        yield { agent: owner, incarnation, name, packClass, bytes: found.size, ...modified };
      }
    }
  }

  async function readRange(
    { name, packClass }: NamedPack,
    range: { readonly offset: number; readonly length: number },
    signal?: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const options = { range, ...withSignal(signal) };
    const known = elsewhere?.get(name);
    const found = await store.get(known ?? packKeyOf(vault, { ...life, name, packClass }), options);
    if (found !== undefined) return found;
    // It may have been written by an earlier life of this agent, or by another agent. Their packs do not change while this life lasts, so one
    // listing is enough; many missing packs must not become as many listings.
    if (elsewhere === undefined) {
      const listed = new Map<PackName, string>();
      for await (const pack of list(undefined, signal)) {
        if (pack.agent !== life.agent || pack.incarnation !== life.incarnation) {
          listed.set(pack.name, packKeyOf(vault, pack));
        }
      }
      // Kept for long: a listing of an empty folder in place of the store must not make everything absent from then on.
      await requireIdentity(signal);
      elsewhere = listed;
    }
    const other = elsewhere.get(name);
    return other === undefined || other === known ? undefined : store.get(other, options);
  }

  return {
    label: store.label,
    list,
    readRange,
    settle: async (signal) => await store.settle?.(`${vault}/`, withSignal(signal)),
    async put({ name, packClass }, body, signal) {
      const key = packKeyOf(vault, { ...life, name, packClass });
      await store.put(key, body, withSignal(signal));
      failpoint('bucket.pack-put');
      await verifyStored({ store, requireIdentity }, key, body, 'pack', signal);
    },
    async readContents(pack, signal) {
      const key = packKeyOf(vault, pack);
      try {
        return await readContents(store, vault, key, pack, signal);
      } catch (error) {
        if (!isEdgeError(error, 'E_FORMAT', 'E_INTEGRITY')) throw error;
        throw new EdgeError('E_INTEGRITY', `${store.label}/${key} is damaged: ${error.message}`, {
          hint: 'Run `edgestore scrub` to see what it touches; other copies are used where there are any.',
          context: { store: store.label, pack: pack.name },
          cause: error,
        });
      }
    },
    async delete(pack, signal) {
      if (pack.agent !== life.agent || pack.incarnation !== life.incarnation) {
        throw new EdgeError(
          'E_USAGE',
          `pack ${pack.name.slice(0, 8)} belongs to another life of an agent; only that one may delete it`,
        );
      }
      await store.delete(packKeyOf(vault, pack), withSignal(signal));
    },
  };
}

async function readContents(
  store: ObjectStore,
  vault: VaultId,
  key: string,
  pack: ListedPack,
  signal: AbortSignal | undefined,
): Promise<PackContents | undefined> {
  const { bytes } = pack;
  if (bytes < PACK_HEADER_BYTES + PACK_FOOTER_BYTES || bytes > PACK_BYTES_MAX) {
    throw new EdgeError('E_INTEGRITY', `a pack cannot have ${bytes} bytes`);
  }
  const read = (offset: number, length: number) =>
    store.get(key, { range: { offset, length }, ...(signal === undefined ? {} : { signal }) });
  const guess = Math.min(bytes, TAIL_GUESS_BYTES);
  const end = await read(bytes - guess, guess);
  if (end === undefined) return undefined;
  const tailBytes = packTailBytes(readPackFooter(end).frames);
  if (tailBytes > bytes) throw new EdgeError('E_INTEGRITY', 'its index is longer than the pack');
  const rest = tailBytes <= guess ? undefined : await read(bytes - tailBytes, tailBytes - guess);
  if (tailBytes > guess && rest === undefined) return undefined;
  const tail = rest === undefined ? end.subarray(guess - tailBytes) : Buffer.concat([rest, end]);
  // The key says what the header of a pack without optional features is; the name tells whether it is that one, and a request is saved.
  const expected = decodePackTail(tail, encodePackHeader({ vault, packClass: pack.packClass }), bytes);
  if (expected.name === pack.name) return expected;
  const header = await read(0, PACK_HEADER_BYTES);
  if (header === undefined) return undefined;
  const contents = decodePackTail(tail, header, bytes);
  if (contents.name !== pack.name)
    throw new EdgeError('E_INTEGRITY', 'its header or index is not the one it was named after');
  if (contents.packClass !== pack.packClass)
    throw new EdgeError('E_INTEGRITY', `it lies among the ${pack.packClass} packs and is one of ${contents.packClass}`);
  return contents;
}
