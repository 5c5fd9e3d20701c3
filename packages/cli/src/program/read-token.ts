/** The invite token of `peer join`. */
import { readSecretText } from './read-secret-text.ts';
import type { Session } from './session.ts';

const TOKEN_BYTES_MAX = 16 * 1024;

export async function readToken(
  session: Session,
  flags: { readonly 'no-input': boolean },
  file: string | undefined,
): Promise<string> {
  const text = await readSecretText({
    session,
    noInput: flags['no-input'],
    file,
    what: 'the token',
    flag: '--token-file',
    bytesMax: TOKEN_BYTES_MAX,
  });
  return text.trim();
}
