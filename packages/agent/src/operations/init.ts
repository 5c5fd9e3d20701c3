/** `init`: a new vault, and this machine its first agent. Again on the same data dir it says so and changes nothing. */
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { dataDirAt, dataDirExists, EdgeError, formatRecoverySheet, isEdgeError, isThere } from '@edgestore/engine';
import { z } from 'zod';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';
import { createPrivateFile } from './key-file.ts';
import { makeVault, requireFolderForVault, unfinishedSheet } from './make-vault.ts';
import { readVaultFiles } from './read-vault-files.ts';
import { defineSetup, type SetupContext } from './setup.ts';

export interface InitData {
  /** True when this run made the vault; false when it was there. */
  readonly created: boolean;
  readonly vault: string | null;
  readonly agent: string | null;
  readonly name: string;
  readonly site: string;
  readonly data_dir: string;
  readonly key_slots: readonly { readonly id: string | null; readonly type: string; readonly label: string }[];
  readonly stored_key: boolean;
  readonly key_file: string | null;
  readonly recovery_out: string | null;
  readonly dry_run: boolean;
}

const input = z.object({
  name: z.string().optional(),
  site: z.string().optional(),
  keyFile: z.string().optional(),
  storedKey: z.boolean().default(true),
  recoveryOut: z.string().optional(),
  dryRun: z.boolean().default(false),
});

export const init = defineSetup<z.output<typeof input>, InitData>({
  name: 'init',
  input: input as z.ZodType<z.output<typeof input>>,
  run: async (given, context) => {
    const loaded = loadConfig(context.place);
    for (const warning of loaded.warnings) context.warn(warning);
    const dir = dataDirAt(loaded.dataDir, { packDir: loaded.config.agent.packDir });
    if (await dataDirExists(dir)) return { data: await already(given, loaded, context) };
    requireFolderForVault(dir);
    const name = nameOf(given.name ?? loaded.config.agent.name ?? hostName(), '--name');
    const site = nameOf(given.site ?? loaded.config.agent.site ?? 'default', '--site');
    const deadSheet = unfinishedSheet(dir);
    if (given.recoveryOut !== undefined && given.recoveryOut !== deadSheet) checkNewFile(given.recoveryOut);
    const passphrase = await passphraseFor(given, context);
    const planned: InitData = {
      created: !given.dryRun,
      vault: null,
      agent: null,
      name,
      site,
      data_dir: dir.path,
      key_slots: [],
      stored_key: given.storedKey,
      key_file: given.keyFile ?? null,
      recovery_out: given.recoveryOut ?? null,
      dry_run: given.dryRun,
    };
    if (given.dryRun) return { data: planned };

    const made = await makeVault(
      {
        dir,
        name,
        site,
        storedKey: given.storedKey,
        keyFile: given.keyFile,
        passphrase,
        recoveryOut: given.recoveryOut,
        listen: loaded.config.agent,
      },
      {
        clock: context.clock,
        random: context.random,
        // Before the vault exists: a vault whose sheet could not be written must not come to be.
        beforeCommit: (words, vaultId) => {
          if (given.recoveryOut === undefined) return;
          if (given.recoveryOut === deadSheet) rmSync(deadSheet, { force: true });
          createPrivateFile(given.recoveryOut, sheetOf(loaded, name, vaultId, words), 'the recovery sheet');
        },
      },
    );
    if (given.recoveryOut === undefined) await show(sheetOf(loaded, name, made.vaultId, made.words), context);
    return { data: { ...planned, vault: made.vaultId, agent: made.agentId, key_slots: made.slots } };
  },
});

function sheetOf(loaded: LoadedConfig, vaultName: string, vaultId: string, words: readonly string[]): string {
  return formatRecoverySheet({
    vaultName,
    vaultId,
    words,
    peers: loaded.config.peers.map((peer) => ({ name: peer.name, address: peer.address, pin: peer.fingerprint })),
    buckets: Object.values(loaded.config.stores).map((store) => ({
      url: store.url,
      ...(store.endpoint === undefined ? {} : { endpoint: store.endpoint }),
      ...(store.region === undefined ? {} : { region: store.region }),
    })),
  });
}

async function show(sheet: string, { showOnce, warn }: SetupContext): Promise<void> {
  if (showOnce !== undefined) return await showOnce(sheet);
  warn({
    code: 'W_NO_RECOVERY_SHEET',
    message:
      'the recovery sheet was not given out: there is no terminal to show it on. Write it to a file now: edgestore key add --recovery-out FILE',
  });
}

/** From the environment when it gives one; asked for only when nothing else would open the vault. */
async function passphraseFor(given: z.output<typeof input>, context: SetupContext): Promise<string | undefined> {
  const passphrase = await context.newPassphrase();
  if (passphrase !== undefined || given.storedKey || given.keyFile !== undefined || given.dryRun) return passphrase;
  if (context.askNewPassphrase !== undefined) return await context.askNewPassphrase();
  throw new EdgeError('E_USAGE', 'with --no-stored-key something else has to open the vault', {
    hint: 'Give --key-file, or a passphrase (EDGESTORE_PASSPHRASE_FILE, a terminal).',
  });
}

async function already(given: z.output<typeof input>, loaded: LoadedConfig, context: SetupContext): Promise<InitData> {
  const files = await readVaultFiles(dataDirAt(loaded.dataDir, { packDir: loaded.config.agent.packDir }), context.warn);
  const { name, site } = files.identity;
  if ((given.name ?? name) !== name || (given.site ?? site) !== site)
    context.warn({ code: 'W_ALREADY', message: `the agent is ${name} at site ${site} and stays so` });
  if (given.recoveryOut !== undefined)
    context.warn({
      code: 'W_ALREADY',
      message: `no recovery sheet was written to ${given.recoveryOut}. Write it: edgestore key add --recovery-out ${given.recoveryOut}`,
    });
  if (given.keyFile !== undefined)
    context.warn({
      code: 'W_ALREADY',
      message: `no key file was added. Add it: edgestore key add --new-key-file ${given.keyFile}`,
    });
  return {
    created: false,
    vault: files.vaultId,
    agent: files.identity.agentId,
    name: files.identity.name,
    site: files.identity.site,
    data_dir: loaded.dataDir,
    key_slots: files.slots.map(({ slotId, type, label }) => ({ id: slotId, type, label })),
    stored_key: files.hasStoredKey,
    key_file: null,
    recovery_out: null,
    dry_run: false,
  };
}

function hostName(): string {
  return (
    hostname()
      .split('.')[0]!
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 64) || 'agent'
  );
}

function nameOf(text: string, flag: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new EdgeError(
    'E_USAGE',
    `${flag}: ${JSON.stringify(text)} is not a name: letters, digits, "." "_" "-", at most 64, beginning with a letter or digit`,
  );
}

/** Before anything is made: a mistyped path must leave nothing behind. */
function checkNewFile(file: string): void {
  try {
    checkFree(file);
  } catch (error) {
    if (!isEdgeError(error, 'E_DENIED')) throw error;
    throw new EdgeError('E_DENIED', `no permission to write the recovery sheet to ${file}`, {
      hint: 'Name a place where you may write.',
    });
  }
}

function checkFree(file: string): void {
  if (isThere(file))
    throw new EdgeError('E_USAGE', `${file} exists already; the recovery sheet is not written over it`, {
      hint: 'Name another file.',
    });
  if (!isThere(dirname(file)))
    throw new EdgeError('E_USAGE', `the folder of ${file} does not exist`, {
      hint: 'Make the folder first, or name another file.',
    });
}
