/** `key check-recovery`: whether a recovery sheet opens this vault. Nothing of it is kept or logged. */
import { bytesEqual, EdgeError, openVaultDescriptor, parseRecoverySheet, publicKeyOf } from '@edgestore/engine';
import { z } from 'zod';
import type { CheckRecoveryData } from './key-data.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';

const input = z.object({ recovery: z.string().max(256 * 1024) });

export const keyCheckRecovery = defineOperation<z.output<typeof input>, CheckRecoveryData>({
  name: 'key.check-recovery',
  input,
  mutates: false,
  run: async ({ recovery }, context) => {
    const { engine, members, loaded } = openedOf(context);
    const sheet = parseRecoverySheet(recovery);
    if (sheet.vaultId !== undefined && sheet.vaultId !== engine.vault.vaultId) {
      throw new EdgeError(
        'E_WRONG_KEY',
        `the sheet is of vault ${sheet.vaultId.slice(0, 8)}, this is ${engine.vault.vaultId.slice(0, 8)}`,
      );
    }
    requireOpens(engine.vaultBytes, sheet.vaultKey, engine.sodium);
    if (!bytesEqual(publicKeyOf(engine.sodium, sheet.adminSeed), engine.vault.adminPublicKey)) {
      throw new EdgeError('E_WRONG_KEY', 'the sheet opens the vault, but its admin key is another');
    }
    const notes: string[] = [];
    const named = new Set([...sheet.peers.map((peer) => peer.pin)]);
    const unnamed = members.filter((member) => !named.has(member.tlsSpkiSha256)).map((member) => member.name);
    if (unnamed.length > 0)
      notes.push(
        `Peers that the sheet does not name: ${unnamed.join(', ')}. A new one: edgestore key add --recovery-out FILE`,
      );
    const buckets = new Set(sheet.buckets.map((bucket) => bucket.url));
    const missing = Object.values(loaded.config.stores)
      .filter((store) => !buckets.has(store.url))
      .map((store) => store.url);
    if (missing.length > 0) notes.push(`Stores that the sheet does not name: ${missing.join(', ')}`);
    return { data: { vault: engine.vault.vaultId, valid: true, notes } };
  },
});

function requireOpens(
  vaultBytes: Uint8Array,
  vaultKey: Uint8Array,
  sodium: Parameters<typeof openVaultDescriptor>[0],
): void {
  try {
    openVaultDescriptor(sodium, vaultBytes, vaultKey);
  } catch (cause) {
    throw new EdgeError('E_WRONG_KEY', 'the sheet does not open this vault', { cause });
  }
}
