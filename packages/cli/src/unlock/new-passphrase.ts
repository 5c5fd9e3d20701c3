/** A passphrase that is to be set: from a file, or typed twice. */
import { EdgeError } from '@edgestore/engine/errors';
import { promptHidden } from '../program/prompt-hidden.ts';
import type { Session } from '../program/session.ts';
import { passphraseFromFile } from './passphrase.ts';

export async function readNewPassphrase(
  session: Session,
  flags: { readonly 'no-input': boolean },
  file: string | undefined,
): Promise<string> {
  if (file !== undefined) return notEmpty(passphraseFromFile(file, '--new-passphrase-file'));
  if (flags['no-input'] || !process.stdin.isTTY || !session.stderr.isTerminal) {
    throw new EdgeError('E_USAGE', 'there is no terminal to ask for the new passphrase', {
      hint: 'Name a file with --new-passphrase-file.',
    });
  }
  const first = notEmpty(await promptHidden(session, 'New passphrase: '));
  if ((await promptHidden(session, 'Once more: ')) !== first)
    throw new EdgeError('E_USAGE', 'the two passphrases differ; nothing was changed');
  return first;
}

function notEmpty(passphrase: string): string {
  if (passphrase === '') throw new EdgeError('E_USAGE', 'the passphrase is empty');
  return passphrase;
}
