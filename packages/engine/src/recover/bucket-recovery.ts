/** A bucket as a place to recover from. */
import { decodeChainSegment } from '../chain/chain-segment.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import { type AgentId, type ChunkId, toHex, type VaultId } from '../core/ids.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import type { ChainEntry } from '../ports/chains.ts';
import { storeIdKeyOf, vaultKeyOf } from '../store/bucket/bucket-layout.ts';
import { openBucketPacks } from '../store/bucket/bucket-packs.ts';
import { createBucketSource } from '../store/bucket/bucket-source.ts';
import { findVaults, openBucketVault } from '../store/bucket/bucket-vault.ts';
import { type CompactPlaces, createCompactPlaces } from './compact-places.ts';

export interface BucketRecoveryInput {
  readonly store: ObjectStore;
  /** From the recovery sheet; without it the bucket must hold exactly one vault. */
  readonly vault?: VaultId | undefined;
}

/** No life of ours is in there yet, so every pack is another's. */
const NO_LIFE = { agent: '0'.repeat(32), incarnation: 0 };

/** A later version may be longer than the present 34 bytes. */
const STORE_ID_BYTES_MAX = 1024;

/** E_NO_VAULT when the bucket has none of that id (or none at all), E_AMBIGUOUS when several could be meant, and what the store throws. */
export async function openBucketRecovery(
  input: BucketRecoveryInput,
  deps: { readonly warn: ReportWarning },
  signal?: AbortSignal,
): Promise<RecoverySource> {
  const { store } = input;
  const vault = input.vault ?? (await onlyVault(store, signal));
  const opened = await identityOf(store, vault, signal);
  /**
   * A disk can go at any moment: what a listing lacks is said to lack only while the place is the one that was opened.
   */
  const requireIdentity = async (again?: AbortSignal): Promise<void> => {
    if ((await identityOf(store, vault, again)) === opened) return;
    throw new EdgeError('E_NO_BUCKET', `${store.label} is not the place any more that was opened`, {
      hint: 'Is it still mounted? Nothing was concluded from what lies there now.',
      context: { store: store.label },
      retryable: true,
    });
  };
  const files = openBucketVault(store, vault, requireIdentity);
  const packs = openBucketPacks({ store, vault, life: NO_LIFE, requireIdentity });
  const damaged = (error: unknown, what = ''): void => {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    deps.warn({ code: 'store-damaged', message: `${error.message}${what}` });
  };

  /** What lies in this bucket, from the packs' own indexes; made when first asked. */
  let known: Promise<CompactPlaces> | undefined;
  const places = (): Promise<CompactPlaces> => {
    known ??= readPlaces().catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
  async function readPlaces(): Promise<CompactPlaces> {
    const found = createCompactPlaces();
    for await (const pack of packs.list(undefined, signal)) {
      try {
        const contents = await packs.readContents(pack, signal);
        for (const { id, keyId, sealedBytes, offset } of contents?.frames ?? []) {
          if (contents?.packClass === 'data') found.addContent(id);
          else found.addMeta(id, { keyId, sealedBytes, offset, pack: pack.name });
        }
      } catch (error) {
        damaged(error, '. What was in it is looked for in other packs; what is in none of them is named by a restore.');
      }
    }
    await requireIdentity(signal);
    return found;
  }

  async function* entries(agent: AgentId, stop?: AbortSignal): AsyncGenerator<ChainEntry> {
    for await (const segment of files.segments(agent, stop === undefined ? {} : { signal: stop })) {
      try {
        const decoded = decodeChainSegment(await files.getSegment(segment, stop));
        if (decoded.tornAt !== undefined || decoded.damaged.length > 0) {
          deps.warn({
            code: 'store-damaged',
            message: `${store.label}: the chain segment of entries ${segment.first} to ${segment.last} is damaged`,
          });
        }
        yield* decoded.entries;
      } catch (error) {
        damaged(error);
      }
    }
    await requireIdentity(stop);
  }

  async function allOf(
    reading: Promise<readonly { readonly bytes: Uint8Array }[]>,
    stop: AbortSignal | undefined,
  ): Promise<Uint8Array[]> {
    const read = await reading;
    await requireIdentity(stop);
    return read.map(({ bytes }) => bytes);
  }

  const locate = async (ids: readonly ChunkId[]) => {
    const there = await places();
    return ids.map((id) => {
      const place = there.placeOf(id);
      return place === undefined ? undefined : { id, packClass: 'meta' as const, ...place };
    });
  };
  return {
    label: store.label,
    kind: 's3',
    source: {
      kind: 's3',
      label: store.label,
      locate,
      spoiled: ({ id, pack }) => {
        // Nothing was spoiled that was not read: the places are known by then.
        if (pack !== undefined) void places().then((there) => there.passOver(id, pack));
      },
      fetch: (addresses, stop) =>
        createBucketSource({
          packs,
          requireIdentity: async (again) => {
            await requireIdentity(again);
            if ((await files.descriptor(again)) !== undefined) return;
            throw new EdgeError('E_NO_BUCKET', `${store.label} has nothing of this vault`, { retryable: true });
          },
          locate: (ids) => ids.map(() => undefined),
        }).fetch(addresses, stop),
    },
    async has(ids) {
      const there = await places();
      return Uint8Array.from(ids, (id) => (there.has(id) ? 1 : 0));
    },
    async vaultDescriptor(stop) {
      const bytes = await files.descriptor(stop);
      if (bytes !== undefined) return bytes;
      throw new EdgeError('E_NO_VAULT', `${store.label} does not have the vault ${vault.slice(0, 8)}`, {
        hint: 'Check bucket, prefix and recovery sheet; or recover from a peer.',
        context: { store: store.label, vault },
      });
    },
    slots: (stop) => allOf(files.slots(stop), stop),
    slotRemovals: (stop) => allOf(files.slotRemovals(stop), stop),
    cards: (stop) => allOf(files.cards(stop), stop),
    entries,
  };
}

/**
 * Of the files that tell this place from an empty one: `store.id`, damaged or not, and whether there is a descriptor.
 */
async function identityOf(store: ObjectStore, vault: VaultId, signal: AbortSignal | undefined): Promise<string> {
  const options = signal === undefined ? {} : { signal };
  const key = storeIdKeyOf(vault);
  const stat = await store.stat(key, options);
  const isRead = stat !== undefined && stat.size <= STORE_ID_BYTES_MAX;
  const bytes = isRead ? await store.get(key, options) : undefined;
  const descriptor = await store.stat(vaultKeyOf(vault), options);
  return JSON.stringify([stat?.size, bytes === undefined ? undefined : toHex(bytes), descriptor !== undefined]);
}

async function onlyVault(store: ObjectStore, signal: AbortSignal | undefined): Promise<VaultId> {
  const vaults = await findVaults(store, signal);
  const [vault] = vaults;
  if (vault === undefined) {
    throw new EdgeError('E_NO_VAULT', `${store.label} has no edgestore vault`, {
      hint: 'Check bucket and prefix; or recover from a peer.',
      context: { store: store.label },
    });
  }
  if (vaults.length === 1) return vault;
  throw new EdgeError(
    'E_AMBIGUOUS',
    `${store.label} has ${vaults.length} vaults: ${vaults.map((id) => id.slice(0, 8)).join(', ')}`,
    {
      hint: 'Use the whole recovery sheet (--recovery-file): it names its vault.',
      context: { store: store.label, vaults },
    },
  );
}
