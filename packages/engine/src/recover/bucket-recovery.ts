/** A bucket as a place to recover from. */
import { EdgeError, isEdgeError } from '../core/errors.ts';
import { type AgentId, type HexId, toHex, type VaultId } from '../core/ids.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import { compareHeads, headOf } from '../log/check-chain.ts';
import { decodeEnvelope } from '../log/record.ts';
import type { Head } from '../log/record-body.ts';
import { decodeSegment } from '../log/segment.ts';
import { openBucketPacks } from '../store/bucket/bucket-packs.ts';
import { type BucketAddress, createBucketSource } from '../store/bucket/bucket-source.ts';
import { findVaults, openBucketVault } from '../store/bucket/bucket-vault.ts';

export interface BucketRecoveryInput {
  readonly store: ObjectStore;
  /** From the recovery sheet; without it the bucket must hold exactly one vault. */
  readonly vault?: VaultId | undefined;
}

/** No life of ours is in there yet, so every pack is another's. */
const NO_LIFE = { agent: '0'.repeat(32), incarnation: 0 };

/** E_NO_VAULT when the bucket has none of that id (or none at all), E_AMBIGUOUS when several could be meant, and what the store throws. */
export async function openBucketRecovery(
  input: BucketRecoveryInput,
  deps: { readonly warn: ReportWarning },
  signal?: AbortSignal,
): Promise<RecoverySource> {
  const { store } = input;
  const vault = input.vault ?? (await onlyVault(store, signal));
  const files = openBucketVault(store, vault);
  const packs = openBucketPacks({ store, vault, life: NO_LIFE });
  const damaged = (error: unknown): void => {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    deps.warn({ code: 'store-damaged', message: error.message });
  };

  /** Where every chunk of the vault is in this bucket, from the packs' own indexes; made when first asked. */
  let places: Promise<Map<HexId, BucketAddress>> | undefined;
  async function readPlaces(): Promise<Map<HexId, BucketAddress>> {
    const found = new Map<HexId, BucketAddress>();
    for await (const pack of packs.list(undefined, signal)) {
      try {
        const contents = await packs.readContents(pack, signal);
        for (const { id, keyId, sealedBytes, offset } of contents?.frames ?? []) {
          found.set(toHex(id), { id, keyId, sealedBytes, offset, pack: pack.name });
        }
      } catch (error) {
        damaged(error);
      }
    }
    return found;
  }
  let known = new Map<HexId, BucketAddress>();
  const bare = createBucketSource({ packs, locate: (ids) => ids.map((id) => known.get(toHex(id))) });

  async function* records(agent: AgentId, stop?: AbortSignal): AsyncGenerator<Uint8Array> {
    for (const segment of await files.segments(agent, stop)) {
      try {
        const decoded = decodeSegment(await files.getSegment(segment, stop));
        if (decoded.tornAt !== undefined || decoded.damaged.length > 0) {
          deps.warn({
            code: 'store-damaged',
            message: `${store.label}: the log segment of records ${segment.firstSeq} to ${segment.lastSeq} is damaged`,
          });
        }
        yield* decoded.records;
      } catch (error) {
        damaged(error);
      }
    }
  }

  return {
    label: store.label,
    kind: 's3',
    source: {
      ...bare,
      locate: async (ids) => {
        places ??= readPlaces();
        known = await places;
        return bare.locate(ids);
      },
    },
    async vaultDescriptor(stop) {
      const bytes = await files.descriptor(stop);
      if (bytes !== undefined) return bytes;
      throw new EdgeError('E_NO_VAULT', `${store.label} does not have the vault ${vault.slice(0, 8)}`, {
        hint: 'Check bucket, prefix and recovery sheet; or recover from a peer.',
        context: { store: store.label, vault },
      });
    },
    slots: async (stop) => (await files.slots(stop)).map(({ bytes }) => bytes),
    slotRemovals: async (stop) => (await files.slotRemovals(stop)).map(({ bytes }) => bytes),
    cards: async (stop) => (await files.cards(stop)).map(({ bytes }) => bytes),
    async heads(stop) {
      const heads = new Map<AgentId, Head>();
      const agents = new Set((await files.segments(undefined, stop)).map(({ agent }) => agent));
      for (const agent of agents) {
        for await (const record of records(agent, stop)) {
          const head = headOf(decodeEnvelope(record));
          const newest = heads.get(agent);
          if (newest === undefined || compareHeads(head, newest) > 0) heads.set(agent, head);
        }
      }
      return [...heads].map(([agent, head]) => ({ agent, head }));
    },
    records,
  };
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
