/** `key add`: one more secret that opens the vault, or the recovery sheet once more. */
import { readFileSync } from 'node:fs';
import {
  createSlot,
  EdgeError,
  type Engine,
  encodeRecoveryCode,
  formatRecoverySheet,
  isThere,
  openAdminSeed,
  type SlotSecret,
} from '@edgestore/engine';
import { z } from 'zod';
import type { KeyAddData } from './key-data.ts';
import { createKeyFile, createPrivateFile, readKeyFile } from './key-file.ts';
import { type Opened, openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';

const input = z.object({
  label: z.string().optional(),
  passphrase: z.string().optional(),
  keyFile: z.string().optional(),
  storedKey: z.boolean().default(false),
  recoveryOut: z.string().optional(),
  dryRun: z.boolean().default(false),
});

export const keyAdd = defineOperation<z.output<typeof input>, KeyAddData>({
  name: 'key.add',
  input: input as z.ZodType<z.output<typeof input>>,
  mutates: true,
  run: async (given, context) => {
    const opened = openedOf(context);
    const { engine } = opened;
    const type =
      given.recoveryOut !== undefined
        ? 'recovery'
        : given.keyFile !== undefined || given.storedKey
          ? 'keyfile'
          : 'passphrase';
    const label =
      given.label ??
      {
        recovery: 'recovery sheet',
        keyfile: given.storedKey ? 'stored in the data dir' : 'key file',
        passphrase: 'passphrase',
      }[type];
    const adminSeed = await context.home.adminSeed();
    // The stored key opens nothing elsewhere; and without the admin key nobody else would believe the slot.
    const scope = given.storedKey || adminSeed === undefined ? 'local' : 'shared';
    const answer = (slot: string | null): { data: KeyAddData } => ({
      data: {
        slot,
        type,
        label,
        scope: type === 'recovery' ? null : scope,
        key_file: given.keyFile ?? null,
        recovery_out: given.recoveryOut ?? null,
        dry_run: given.dryRun,
      },
    });
    if (given.storedKey && isThere(engine.dataDir.storedKeyFile))
      throw new EdgeError('E_USAGE', 'a key is stored in the data dir already', {
        hint: `If it is damaged or of another vault, move it away first: ${engine.dataDir.storedKeyFile}`,
      });
    if (given.dryRun) return answer(null);
    const vaultKey = context.home.vaultKey;
    if (given.recoveryOut !== undefined) {
      createPrivateFile(given.recoveryOut, sheetOf(opened, vaultKey), 'the recovery sheet');
      return answer(null);
    }
    const slot = await createSlot(
      engine.sodium,
      secretOf(given, engine),
      { vaultId: engine.vault.vaultId, label, scope, vaultKey, adminSeed },
      engine.random,
    );
    await context.home.slots.add(slot.bytes);
    if (scope === 'local' && !given.storedKey) {
      context.warn({
        code: 'W_LOCAL_SLOT',
        message:
          'this agent does not have the admin key, so the slot opens the vault on this machine only; run the command on the agent that made the vault for all members',
      });
    }
    return answer(slot.slotId);
  },
});

function secretOf(given: z.output<typeof input>, { dataDir, random }: Engine): SlotSecret {
  if (given.storedKey) return { type: 'keyfile', secret: createKeyFile(dataDir.storedKeyFile, random) };
  if (given.keyFile !== undefined) {
    return {
      type: 'keyfile',
      secret: isThere(given.keyFile) ? readKeyFile(given.keyFile) : createKeyFile(given.keyFile, random),
    };
  }
  if (given.passphrase === undefined) throw new EdgeError('E_USAGE', 'the new passphrase is missing');
  return { type: 'passphrase', passphrase: given.passphrase };
}

function sheetOf({ engine, loaded, members }: Opened, vaultKey: Uint8Array): string {
  const { sodium, keys, dataDir, vault, identity } = engine;
  if (!isThere(dataDir.adminFile)) {
    throw new EdgeError('E_USAGE', 'this agent does not have the admin key, which the recovery sheet holds', {
      hint: 'Run the command on the agent that made the vault.',
    });
  }
  const adminSeed = openAdminSeed(sodium, keys, readFileSync(dataDir.adminFile));
  return formatRecoverySheet({
    vaultName: identity.name,
    vaultId: vault.vaultId,
    words: encodeRecoveryCode(vaultKey, adminSeed),
    peers: members.flatMap((member) =>
      member.addresses.slice(0, 1).map((address) => ({ name: member.name, address, pin: member.tlsSpkiSha256 })),
    ),
    buckets: Object.values(loaded.config.stores).map((store) => ({
      url: store.url,
      ...(store.endpoint === undefined ? {} : { endpoint: store.endpoint }),
      ...(store.region === undefined ? {} : { region: store.region }),
    })),
  });
}
