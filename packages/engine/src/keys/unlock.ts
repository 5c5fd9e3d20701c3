/** From a secret that a person or a file holds to the vault key, and the way back: new slots. */
import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { toHex, type VaultId } from '../core/ids.ts';
import { type DerivePassphraseMaster, derivePassphraseMasterInWorker } from './argon2-in-worker.ts';
import { ARGON_MEM_KIB_DEFAULT, ARGON_OPS_DEFAULT } from './passphrase-master.ts';
import { decodeSlot, encodeSlot, masterOfStrongSecret, openSlot, type Slot, type SlotHeader } from './slot.ts';

export type SlotSecret =
  | { readonly type: 'passphrase'; readonly passphrase: string }
  /** The 32 bytes that a key file holds. */
  | { readonly type: 'keyfile'; readonly secret: Uint8Array }
  /** The admin seed, which the recovery code holds. */
  | { readonly type: 'recovery'; readonly secret: Uint8Array };

export interface NewSlot {
  readonly vaultId: VaultId;
  readonly label: string;
  readonly vaultKey: Uint8Array;
  /** Lower in tests only. */
  readonly opsLimit?: number;
  readonly memLimitKib?: number;
}

/** Makes a slot for a secret. E_USAGE for an empty passphrase. */
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
    slotId: toHex(random(16)),
    vaultId: slot.vaultId,
    label: slot.label,
    opsLimit: stretched ? (slot.opsLimit ?? ARGON_OPS_DEFAULT) : 0,
    memLimitKib: stretched ? (slot.memLimitKib ?? ARGON_MEM_KIB_DEFAULT) : 0,
    salt: random(16),
  };
  const master = await masterOf(sodium, header, secret, derive);
  return { slotId: header.slotId, bytes: encodeSlot(sodium, header, master, slot.vaultKey, random) };
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
 * Tries every slot of the secret's kind. E_WRONG_KEY when none opens; the first E_INTEGRITY or E_FORMAT instead when a slot that might
 * have opened is damaged, so that damage is not taken for a wrong passphrase.
 */
export async function unlockWithSlots(
  sodium: Sodium,
  slots: readonly Uint8Array[],
  secret: SlotSecret,
  derive: DerivePassphraseMaster = derivePassphraseMasterInWorker,
): Promise<{ readonly vaultKey: Uint8Array; readonly slot: Slot }> {
  let damage: unknown;
  let tried = 0;
  for (const bytes of slots) {
    try {
      const slot = decodeSlot(bytes);
      if (slot.type !== secret.type) continue;
      tried += 1;
      return { vaultKey: await unlockSlot(sodium, slot, secret, derive), slot };
    } catch (error) {
      if (!(error instanceof EdgeError)) throw error;
      if (error.code === 'E_INTEGRITY' || error.code === 'E_FORMAT' || error.code === 'E_NEWER_FORMAT')
        damage ??= error;
      else if (error.code !== 'E_WRONG_KEY') throw error;
    }
  }
  if (damage !== undefined) throw damage;
  const name = secret.type === 'keyfile' ? 'key file' : secret.type === 'recovery' ? 'recovery code' : 'passphrase';
  throw new EdgeError('E_WRONG_KEY', tried === 0 ? `no key slot opens with a ${name}` : `wrong ${name}`, {
    hint: 'See `edgestore key list` for the kinds of secret that open this vault.',
  });
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
