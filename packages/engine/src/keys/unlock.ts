/** From a secret that a person or a file holds to the vault key, and the way back: new slots. */
import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import { toHex, type VaultId } from '../core/ids.ts';
import { type DerivePassphraseMaster, derivePassphraseMasterInWorker } from './argon2-in-worker.ts';
import { ARGON_MEM_KIB_DEFAULT, ARGON_OPS_DEFAULT, UNLOCK_COST_MAX } from './passphrase-master.ts';
import {
  decodeSlot,
  encodeSlot,
  masterOfStrongSecret,
  openSlot,
  type Slot,
  type SlotHeader,
  type SlotScope,
} from './slot.ts';

export type SlotSecret =
  | { readonly type: 'passphrase'; readonly passphrase: string }
  /** The 32 bytes that a key file holds. */
  | { readonly type: 'keyfile'; readonly secret: Uint8Array }
  /** The admin seed, which the recovery code holds. */
  | { readonly type: 'recovery'; readonly secret: Uint8Array };

export interface NewSlot {
  readonly vaultId: VaultId;
  readonly label: string;
  readonly scope: SlotScope;
  readonly vaultKey: Uint8Array;
  /** Signs a shared slot. */
  readonly adminSeed?: Uint8Array | undefined;
  /** Lower in tests only. */
  readonly opsLimit?: number;
  readonly memLimitKib?: number;
}

/** Makes a slot for a secret. E_USAGE for an empty passphrase, E_DENIED for a shared slot without the admin seed. */
export async function createSlot(
  sodium: Sodium,
  secret: SlotSecret,
  slot: NewSlot,
  random: RandomBytes,
  derive: DerivePassphraseMaster = derivePassphraseMasterInWorker,
): Promise<{ readonly slotId: string; readonly bytes: Uint8Array }> {
  if (secret.type === 'passphrase' && secret.passphrase === '') {
    throw new EdgeError('E_USAGE', 'the passphrase is empty');
  }
  const stretched = secret.type === 'passphrase';
  const header: SlotHeader = {
    type: secret.type,
    scope: slot.scope,
    slotId: toHex(random(16)),
    vaultId: slot.vaultId,
    number: 1,
    label: slot.label,
    opsLimit: stretched ? (slot.opsLimit ?? ARGON_OPS_DEFAULT) : 0,
    memLimitKib: stretched ? (slot.memLimitKib ?? ARGON_MEM_KIB_DEFAULT) : 0,
    salt: random(16),
  };
  const master = await masterOf(sodium, header, secret, derive);
  return { slotId: header.slotId, bytes: encodeSlot(sodium, header, master, slot, random) };
}

/** The vault key behind one slot; E_WRONG_KEY when the secret is of another kind or not this slot's. */
export async function unlockSlot(
  sodium: Sodium,
  slot: Slot,
  secret: SlotSecret,
  derive: DerivePassphraseMaster = derivePassphraseMasterInWorker,
): Promise<Uint8Array> {
  if (slot.type !== secret.type)
    throw new EdgeError('E_WRONG_KEY', `the slot opens with a ${slot.type}, not a ${secret.type}`);
  return openSlot(sodium, slot, await masterOf(sodium, slot, secret, derive));
}

/**
 * Tries every slot of the secret's kind, the cheapest first, until the work that one unlocking may do is spent. The slots need not be authentic: a
 * machine under recovery cannot know that before it has the vault key.
 *
 * @throws E_WRONG_KEY when none opens; the first E_INTEGRITY or E_FORMAT instead when a slot that might have opened is damaged, so that damage
 *   is not taken for a wrong passphrase
 */
export async function unlockWithSlots(
  sodium: Sodium,
  slots: readonly Uint8Array[],
  secret: SlotSecret,
  derive: DerivePassphraseMaster = derivePassphraseMasterInWorker,
): Promise<{ readonly vaultKey: Uint8Array; readonly slot: Slot }> {
  const { readable, damage } = decodeAll(slots);
  const ofKind = readable.filter((slot) => slot.type === secret.type).sort((a, b) => costOf(a) - costOf(b));
  let firstDamage = damage;
  let spent = 0;
  let tried = 0;
  for (const slot of ofKind) {
    spent += costOf(slot);
    if (spent > UNLOCK_COST_MAX) break;
    tried += 1;
    try {
      return { vaultKey: await unlockSlot(sodium, slot, secret, derive), slot };
    } catch (error) {
      if (!isEdgeError(error, 'E_WRONG_KEY', 'E_INTEGRITY')) throw error;
      if (error.code === 'E_INTEGRITY') firstDamage ??= error;
    }
  }
  if (firstDamage !== undefined) throw firstDamage;
  const name = secret.type === 'keyfile' ? 'key file' : secret.type === 'recovery' ? 'recovery code' : 'passphrase';
  const untried = ofKind.length - tried;
  const rest =
    untried === 0 ? '' : `: ${untried} of ${ofKind.length} key slots ask for too much work and were not tried`;
  throw new EdgeError(
    'E_WRONG_KEY',
    ofKind.length === 0 ? `no key slot opens with a ${name}` : `wrong ${name}${rest}`,
    {
      hint: 'The recovery sheet opens it too: --key-file SHEET; `edgestore key list` shows the kinds of secret that open this vault.',
    },
  );
}

function decodeAll(slots: readonly Uint8Array[]): { readable: Slot[]; damage: EdgeError | undefined } {
  const readable: Slot[] = [];
  let damage: EdgeError | undefined;
  for (const bytes of slots) {
    try {
      readable.push(decodeSlot(bytes));
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
      damage ??= error;
    }
  }
  return { readable, damage };
}

function costOf(slot: SlotHeader): number {
  return slot.opsLimit * slot.memLimitKib;
}

async function masterOf(
  sodium: Sodium,
  header: SlotHeader,
  secret: SlotSecret,
  derive: DerivePassphraseMaster,
): Promise<Uint8Array> {
  return secret.type === 'passphrase'
    ? derive(secret.passphrase, header)
    : masterOfStrongSecret(sodium, header, secret.secret);
}
