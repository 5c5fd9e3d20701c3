/** The secret that opens the vault, from the first place that has one. Nothing of it ever comes from the command line. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readKeyFile, readKeyFileOrSheet } from '@edgestore/agent/operations/key-file';
import type { SlotSecret, Warning } from '@edgestore/engine';
import { EdgeError } from '@edgestore/engine/errors';
import { passphraseFromCommand, passphraseFromFile } from './passphrase.ts';

export interface FindSecretInput {
  /** `DATA_DIR/key`. */
  readonly storedKeyFile: string;
  /** `--key-file`. */
  readonly keyFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined where nobody can be asked. */
  readonly prompt: ((question: string) => Promise<string>) | undefined;
  readonly warn: (warning: Warning) => void;
  readonly signal: AbortSignal;
}

/** The systemd credential that is looked for. */
const CREDENTIAL = 'edgestore-passphrase';

/**
 * In this order: `--key-file`, the key file that `init` stored, EDGESTORE_KEY_FILE, EDGESTORE_PASSPHRASE_FILE,
 * EDGESTORE_PASSPHRASE_COMMAND, the systemd credential, EDGESTORE_PASSPHRASE (with a warning), a prompt. E_WRONG_KEY when there is none.
 */
export async function findSecret(input: FindSecretInput): Promise<SlotSecret> {
  const { env } = input;
  if (input.keyFile !== undefined) return readKeyFileOrSheet(input.keyFile);
  if (isThere(input.storedKeyFile)) return { type: 'keyfile', secret: readKeyFile(input.storedKeyFile) };
  if (env.EDGESTORE_KEY_FILE) return readKeyFileOrSheet(env.EDGESTORE_KEY_FILE);
  const passphrase = (await passphraseOfEnvironment(input)) ?? (await input.prompt?.('Passphrase of the vault: '));
  if (passphrase !== undefined) return { type: 'passphrase', passphrase };
  throw new EdgeError('E_WRONG_KEY', 'there is nothing to open the vault with', {
    hint: 'Give a key file (--key-file, EDGESTORE_KEY_FILE) or a passphrase (EDGESTORE_PASSPHRASE_FILE, EDGESTORE_PASSPHRASE_COMMAND, a systemd credential, a terminal). The recovery sheet opens it too: --key-file SHEET; then `edgestore key add --stored-key` stores a new key.',
  });
}

/** A passphrase that needs no question, or undefined. */
export async function passphraseOfEnvironment({
  env,
  warn,
  signal,
}: Pick<FindSecretInput, 'env' | 'warn' | 'signal'>): Promise<string | undefined> {
  if (env.EDGESTORE_PASSPHRASE_FILE)
    return passphraseFromFile(env.EDGESTORE_PASSPHRASE_FILE, 'EDGESTORE_PASSPHRASE_FILE');
  if (env.EDGESTORE_PASSPHRASE_COMMAND) return await passphraseFromCommand(env.EDGESTORE_PASSPHRASE_COMMAND, signal);
  const credential = env.CREDENTIALS_DIRECTORY === undefined ? undefined : join(env.CREDENTIALS_DIRECTORY, CREDENTIAL);
  if (credential !== undefined && isThere(credential)) return passphraseFromFile(credential, 'the systemd credential');
  if (env.EDGESTORE_PASSPHRASE === undefined) return undefined;
  warn({
    code: 'W_PASSPHRASE_IN_ENVIRONMENT',
    message:
      'EDGESTORE_PASSPHRASE is used; other processes can read it there. A file (EDGESTORE_PASSPHRASE_FILE) is safer.',
  });
  return env.EDGESTORE_PASSPHRASE;
}

/** An error of looking is none of being absent: another secret must not be asked for because of it. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
