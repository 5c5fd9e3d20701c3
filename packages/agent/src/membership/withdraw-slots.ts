/** Makes removed key slots known to everyone who may have a copy: the members, who give them to a machine under recovery, and the buckets. */
import { EdgeError, type KnownRemoval, type PeerDirectory, toEdgeError } from '@edgestore/engine';
import type { OpenStore } from '../home/open-stores.ts';
import type { Hello } from '../http/hello.ts';
import type { SlotStore } from './slot-store.ts';

export interface WithdrawDeps {
  readonly slots: SlotStore;
  readonly peers: PeerDirectory & { tell(agent: string, signal?: AbortSignal): Promise<Hello> };
  readonly stores: ReadonlyMap<string, OpenStore>;
  /** Who showed which marks, in this process only: an older answer says nothing about a store that was put back. */
  readonly told: Map<string, string>;
}

export interface Withdrawn {
  /** Names of members and stores that showed all marks in this call. */
  readonly done: readonly string[];
  /** Where removed slots can still be used; asked again until it works. */
  readonly pending: readonly { readonly name: string; readonly message: string }[];
}

interface Keeper {
  readonly name: string;
  readonly key: string;
  tell(removals: readonly KnownRemoval[], signal: AbortSignal | undefined): Promise<void>;
}

/** Asks everyone who has not shown all marks to this process. Never throws for one that cannot be reached. */
export async function withdrawSlots(deps: WithdrawDeps, signal?: AbortSignal): Promise<Withdrawn> {
  const removals = deps.slots.removals();
  const done: string[] = [];
  const pending: { name: string; message: string }[] = [];
  const now = removals
    .map(({ removal }) => removal.slotId)
    .sort()
    .join();
  const open = keepersOf(deps).filter(({ key }) => removals.length > 0 && deps.told.get(key) !== now);
  await Promise.all(
    open.map(async (keeper) => {
      try {
        await keeper.tell(removals, signal);
        deps.told.set(keeper.key, now);
        done.push(keeper.name);
      } catch (error) {
        signal?.throwIfAborted();
        pending.push({ name: keeper.name, message: toEdgeError(error).message });
      }
    }),
  );
  return { done: done.sort(), pending: pending.sort((a, b) => a.name.localeCompare(b.name)) };
}

function keepersOf({ peers, stores }: WithdrawDeps): Keeper[] {
  const members = peers.members().map<Keeper>((member) => ({
    name: member.name,
    key: member.agent,
    async tell(removals, signal) {
      const answer = await peers.tell(member.agent, signal);
      const shown = new Set((answer.removals ?? []).map(slotIdOfMark));
      const missing = removals.filter(({ removal }) => !shown.has(removal.slotId)).length;
      if (missing > 0) throw new EdgeError('E_STORE', `it did not take ${missing} removal marks`);
    },
  }));
  const buckets = [...stores.values()].map<Keeper>((store) => ({
    name: store.objects.label,
    key: `store:${store.name}`,
    async tell(removals, signal) {
      // An archive that is not mounted looks like an empty one, and deletes nothing without a word.
      if ((await store.vault.descriptor(signal)) === undefined)
        throw new EdgeError('E_NO_BUCKET', 'it holds nothing of this vault: not mounted?');
      const there = await store.vault.vaultFiles(signal);
      for (const { removal, bytes } of removals) {
        if (there.has(`slot-removal ${removal.slotId}`) && !there.has(`slot ${removal.slotId}`)) continue;
        await store.vault.putSlotRemoval(removal.slotId, bytes, signal);
      }
      // A disk can go at any moment: it was told only if it is still there.
      await store.requireIdentity(signal);
    },
  }));
  return [...members, ...buckets];
}

/** Only for counting: the mark was verified where it is used. */
function slotIdOfMark(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(26, 42)).toString('hex');
}
