/** The key slots and removal marks of a data dir: on disk and in memory, each verified. The rules of merging are the engine's (`slot-set.ts`). */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  acceptsRemoval,
  acceptsSlot,
  type DataDir,
  decodeSlot,
  EdgeError,
  encodeSlotRemoval,
  isEdgeError,
  type KnownRemoval,
  type KnownSlot,
  LOCAL_SLOTS_MAX,
  publishedSlots,
  readFileUpTo,
  readFolder,
  removeIfThere,
  SLOT_BYTES,
  SLOT_REMOVAL_BYTES,
  type Sodium,
  syncFolder,
  type VaultId,
  verifySlot,
  verifySlotRemoval,
  type Warning,
  writeFileDurably,
} from '@edgestore/engine';
import { createTurns } from '../work/turns.ts';

export interface SlotStore {
  /** What opens the vault here: shared and local slots, without removed ones. */
  all(): readonly KnownSlot[];
  /** What others may have. */
  published(): readonly KnownSlot[];
  removals(): readonly KnownRemoval[];
  /** Changes with what others may have and with the marks. */
  digest(): string;
  /** Takes slots and marks from anywhere: each is verified and durable before it counts. Returns why some were refused; they stop no other. */
  learn(found: {
    readonly slots?: readonly Uint8Array[];
    readonly removals?: readonly Uint8Array[];
  }): Promise<readonly EdgeError[]>;
  /** Takes a slot that was made here. E_LIMIT when there are too many, E_INTEGRITY when it is not signed as its scope says. */
  add(bytes: Uint8Array): Promise<void>;
  /** Ends a slot for ever. A shared one needs the admin seed (E_DENIED); a recovery slot stays (E_USAGE). */
  remove(slotId: string, by: { readonly adminSeed: Uint8Array | undefined; readonly nowNs: bigint }): Promise<void>;
}

/** Wrong ones after which the rest of a list is not looked at: verifying costs more than sending. */
const BAD_MAX = 16;
const REFUSED = ['E_INTEGRITY', 'E_DENIED', 'E_FORK', 'E_LIMIT', 'E_NEWER_FORMAT', 'E_FORMAT'] as const;

/** Slots and marks that do not verify are warned of and not used; they end nothing, because others may have good ones. */
export async function openSlotStore(deps: {
  readonly dataDir: DataDir;
  readonly sodium: Sodium;
  readonly vault: VaultId;
  readonly adminPublicKey: Uint8Array;
  readonly warn: (warning: Warning) => void;
}): Promise<SlotStore> {
  const { dataDir, sodium, vault, adminPublicKey } = deps;
  const slots = new Map<string, KnownSlot>();
  const removals = new Map<string, KnownRemoval>();
  const set = { slots, removals };

  const readShared = (bytes: Uint8Array): KnownSlot => ({
    slot: verifySlot(sodium, bytes, adminPublicKey, vault),
    bytes: Uint8Array.from(bytes),
  });
  const readRemoval = (bytes: Uint8Array): KnownRemoval => ({
    removal: verifySlotRemoval(sodium, bytes, adminPublicKey, vault),
    bytes: Uint8Array.from(bytes),
  });

  /** A slot of the own folder may be local. */
  function readOwn(bytes: Uint8Array): KnownSlot {
    const slot = decodeSlot(bytes);
    if (slot.scope === 'shared') return readShared(bytes);
    if (slot.vaultId !== vault) throw new EdgeError('E_DENIED', 'a key slot is of another vault');
    return { slot, bytes: Uint8Array.from(bytes) };
  }

  for (const name of await readFolder(dataDir.slotsDir)) {
    const [, slotId, kind] = /^([0-9a-f]{32})\.(slot|removed)$/.exec(name) ?? [];
    if (slotId === undefined) continue;
    try {
      if (kind === 'removed') {
        const one = readRemoval(
          (await readFileUpTo(dataDir.slotRemovalFile(slotId), SLOT_REMOVAL_BYTES)) ?? new Uint8Array(0),
        );
        requireName(slotId, one.removal.slotId);
        removals.set(slotId, one);
      } else {
        const one = readOwn((await readFileUpTo(dataDir.slotFile(slotId), SLOT_BYTES)) ?? new Uint8Array(0));
        requireName(slotId, one.slot.slotId);
        slots.set(slotId, one);
      }
    } catch (error) {
      if (!isEdgeError(error, ...REFUSED)) throw error;
      deps.warn({ code: 'W_DAMAGED_SLOT', message: `${join(dataDir.slotsDir, name)} is not used: ${error.message}` });
    }
  }
  // A removal that was cut off after its mark is finished here.
  for (const slotId of removals.keys()) await dropFile(slotId);

  async function dropFile(slotId: string): Promise<void> {
    if (!slots.has(slotId) || slots.get(slotId)?.slot.type === 'recovery') return;
    await removeIfThere(dataDir.slotFile(slotId));
    await syncFolder(dataDir.slotsDir);
    slots.delete(slotId);
  }

  async function takeSlot(one: KnownSlot): Promise<void> {
    if (!acceptsSlot(set, one)) return;
    await writeFileDurably(dataDir.slotFile(one.slot.slotId), one.bytes, 0o600);
    slots.set(one.slot.slotId, one);
  }

  /** First the mark: killed in between, the slot is handed out no more, and the next start removes its file. */
  async function takeRemoval(one: KnownRemoval): Promise<void> {
    const { slotId } = one.removal;
    if (acceptsRemoval(set, one)) {
      await writeFileDurably(dataDir.slotRemovalFile(slotId), one.bytes, 0o600);
      removals.set(slotId, one);
    }
    await dropFile(slotId);
  }

  async function learnEach(
    list: readonly Uint8Array[],
    take: (bytes: Uint8Array) => Promise<void>,
  ): Promise<EdgeError[]> {
    const refused: EdgeError[] = [];
    for (const bytes of list) {
      if (refused.length >= BAD_MAX) break;
      try {
        await take(bytes);
      } catch (error) {
        if (!isEdgeError(error, ...REFUSED)) throw error;
        refused.push(error);
      }
    }
    return refused;
  }

  // One after the other: of two versions that come at once, the lower must not be written last.
  const turns = createTurns();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => turns.run('slots', work);
  return {
    all: () => [...slots.values()],
    published: () => publishedSlots(set),
    removals: () => [...removals.values()],
    digest: () => {
      const hash = createHash('sha256');
      for (const { bytes } of publishedSlots(set)) hash.update(bytes);
      for (const slotId of [...removals.keys()].sort()) hash.update(slotId);
      return hash.digest('hex');
    },
    learn: (found) =>
      inTurn(async () => [
        // Marks first, so that a removed slot of the same list is not written at all.
        ...(await learnEach(found.removals ?? [], (bytes) => takeRemoval(readRemoval(bytes)))),
        ...(await learnEach(found.slots ?? [], (bytes) => takeSlot(readShared(bytes)))),
      ]),
    add: (bytes) =>
      inTurn(async () => {
        const one = readOwn(bytes);
        const local = [...slots.values()].filter(({ slot }) => slot.scope === 'local').length;
        if (one.slot.scope === 'local' && local >= LOCAL_SLOTS_MAX) {
          throw new EdgeError('E_LIMIT', `a data dir has at most ${LOCAL_SLOTS_MAX} key slots of its own`, {
            hint: 'Remove one first: edgestore key remove.',
          });
        }
        if (one.slot.scope === 'shared') return await takeSlot(one);
        await writeFileDurably(dataDir.slotFile(one.slot.slotId), one.bytes, 0o600);
        slots.set(one.slot.slotId, one);
      }),
    remove: (slotId, { adminSeed, nowNs }) =>
      inTurn(async () => {
        const slot = slots.get(slotId)?.slot;
        if (slot === undefined) throw new EdgeError('E_NOT_FOUND', `there is no key slot ${slotId}`);
        if (slot.type === 'recovery') {
          throw new EdgeError(
            'E_USAGE',
            'the recovery slot is not removed: without it a lost disk cannot be recovered',
            {
              hint: 'Remove another slot.',
            },
          );
        }
        // Nobody else ever had a local slot, so no mark is needed.
        if (slot.scope === 'local') {
          await removeIfThere(dataDir.slotFile(slotId));
          await syncFolder(dataDir.slotsDir);
          return void slots.delete(slotId);
        }
        if (adminSeed === undefined) {
          throw new EdgeError(
            'E_DENIED',
            'this agent does not have the admin key, which signs that a key slot is removed',
            {
              hint: 'Run the command on the agent that made the vault.',
            },
          );
        }
        const timeS = Number(nowNs / 1_000_000_000n);
        await takeRemoval(readRemoval(encodeSlotRemoval(sodium, { vaultId: vault, slotId, timeS }, adminSeed)));
      }),
  };
}

function requireName(name: string, slotId: string): void {
  if (name !== slotId) throw new EdgeError('E_INTEGRITY', 'it is of another key slot than its name says');
}
