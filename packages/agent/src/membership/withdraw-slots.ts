/** Takes removed key slots back from everyone who may have a copy: the members, who give them to a machine under recovery, and the buckets. */
import { createHash } from 'node:crypto';
import {
  type DataDir,
  EdgeError,
  type KeyValue,
  knowsAllReceipts,
  type PeerDirectory,
  toEdgeError,
} from '@edgestore/engine';
import type { OpenStore } from '../home/open-stores.ts';
import { removedSlots } from './removed-slots.ts';

export interface WithdrawDeps {
  readonly dataDir: DataDir;
  readonly kv: KeyValue;
  readonly peers: PeerDirectory;
  readonly stores: ReadonlyMap<string, OpenStore>;
}

export interface Withdrawn {
  /** Names of members and stores that have none of the removed slots any more. */
  readonly done: readonly string[];
  /** Where they can still be used; asked again until it works. */
  readonly pending: readonly { readonly name: string; readonly message: string }[];
}

interface Keeper {
  readonly name: string;
  readonly key: string;
  remove(slotIds: readonly string[], signal: AbortSignal | undefined): Promise<void>;
}

/** Asks those who were not told of all removed slots yet. Never throws for one that cannot be reached. */
export async function withdrawSlots(deps: WithdrawDeps, signal?: AbortSignal): Promise<Withdrawn> {
  const slotIds = await removedSlots(deps.dataDir);
  const digest = createHash('sha256').update(slotIds.join(' ')).digest('hex');
  const done: string[] = [];
  const pending: { name: string; message: string }[] = [];
  const open = keepersOf(deps).filter(({ key }) => slotIds.length > 0 && deps.kv.get(key) !== digest);
  await Promise.all(
    open.map(async (keeper) => {
      try {
        await keeper.remove(slotIds, signal);
        deps.kv.set(keeper.key, digest);
        done.push(keeper.name);
      } catch (error) {
        signal?.throwIfAborted();
        pending.push({ name: keeper.name, message: toEdgeError(error).message });
      }
    }),
  );
  return { done: done.sort(), pending: pending.sort((a, b) => a.name.localeCompare(b.name)) };
}

function keepersOf({ kv, peers, stores }: WithdrawDeps): Keeper[] {
  const members = peers.members().map<Keeper>((member) => ({
    name: member.name,
    key: `slots.withdrawn.${member.agent}`,
    async remove(slotIds, signal) {
      const link = peers.link(member.agent);
      if (link === undefined) throw new EdgeError('E_STORE', 'no address of it is known');
      await link.removeSlots(slotIds, signal);
    },
  }));
  const buckets = [...stores.values()].map<Keeper>((store) => ({
    name: store.objects.label,
    key: `slots.withdrawn.store:${store.name}`,
    async remove(slotIds, signal) {
      // An archive that is not mounted looks like an empty one, and deletes nothing without a word.
      if ((await store.vault.descriptor(signal)) === undefined) {
        const wasUsed = [`store:${store.name}`, `store-meta:${store.name}`].some(
          (target) => kv.get(`bucket.files.${target}`) !== undefined,
        );
        if (!wasUsed && knowsAllReceipts(kv)) return;
        throw new EdgeError('E_NO_BUCKET', 'it holds nothing of this vault: not mounted?');
      }
      for (const slotId of slotIds) await store.vault.removeSlot(slotId, signal);
    },
  }));
  return [...members, ...buckets];
}
