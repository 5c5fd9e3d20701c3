/** A recovery sheet, or only its words. */
import { readSecretText } from './read-secret-text.ts';
import type { Session } from './session.ts';

const SHEET_BYTES_MAX = 256 * 1024;

export async function readRecoveryText(
  session: Session,
  flags: { readonly 'no-input': boolean },
  file: string | undefined,
): Promise<string> {
  return await readSecretText({
    session,
    noInput: flags['no-input'],
    file,
    what: 'the recovery sheet',
    flag: '--recovery-file',
    bytesMax: SHEET_BYTES_MAX,
    manyLines: true,
  });
}
