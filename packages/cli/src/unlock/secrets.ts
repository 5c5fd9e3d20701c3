/** The secrets of one run: where they come from, and the terminal that a new one may be shown on. */
import type { SlotSecret } from '@edgestore/engine';
import { promptHidden } from '../program/prompt-hidden.ts';
import type { Session } from '../program/session.ts';
import { keepNurserySmall } from '../program/small-nursery.ts';
import { readNewPassphrase } from './new-passphrase.ts';

export interface Secrets {
  readonly secret: (storedKeyFile: string) => Promise<SlotSecret>;
  readonly newPassphrase: () => Promise<string | undefined>;
  readonly askNewPassphrase: (() => Promise<string>) | undefined;
  readonly showOnce: ((text: string) => Promise<void>) | undefined;
}

export function secretsOf(
  session: Session,
  globals: { readonly 'no-input': boolean; readonly 'key-file'?: string | undefined },
): Secrets {
  const canAsk = !globals['no-input'] && process.stdin.isTTY === true && session.stderr.isTerminal;
  const { env, warn, signal } = session;
  // With --json, stdout is a document; a terminal on stderr will do.
  const terminal =
    session.stdout.isTerminal && !session.show.json
      ? session.stdout
      : session.stderr.isTerminal
        ? session.stderr
        : undefined;
  return {
    secret: async (storedKeyFile) => {
      const { findSecret } = await import('./find-secret.ts');
      // Whoever opens a vault has loaded what it needs for its work, which begins now.
      keepNurserySmall();
      const prompt = canAsk ? (question: string) => promptHidden(session, question) : undefined;
      return await findSecret({ storedKeyFile, keyFile: globals['key-file'], env, prompt, warn, signal });
    },
    newPassphrase: async () => {
      const { passphraseOfEnvironment } = await import('./find-secret.ts');
      return await passphraseOfEnvironment({ env, warn, signal });
    },
    askNewPassphrase: canAsk ? () => readNewPassphrase(session, globals, undefined) : undefined,
    showOnce: terminal === undefined ? undefined : (text) => terminal.write(`${text}\n`),
  };
}
