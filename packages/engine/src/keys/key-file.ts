/** The text of a key file: 32 random bytes that open a slot, with a check that tells a damaged file from a wrong one. */
import { createHash } from 'node:crypto';
import { EdgeError, newerFormatError } from '../core/errors.ts';

export const KEY_FILE_SECRET_BYTES = 32;
/** A reader looks at no more of a file than this. */
export const KEY_FILE_BYTES_MAX = 256;

const PREFIX = 'edgestore-key-1';

/** `edgestore-key-1:<43 characters of base64url>:<8 hex digits>` and a newline. */
export function encodeKeyFile(secret: Uint8Array): string {
  const body = `${PREFIX}:${Buffer.from(secret).toString('base64url')}`;
  return `${body}:${checkOf(body)}\n`;
}

/** The secret, 32 bytes. E_FORMAT when it is no key file, E_INTEGRITY when it was one and a character changed, E_NEWER_FORMAT. */
export function decodeKeyFile(text: string): Uint8Array {
  if (text.length > KEY_FILE_BYTES_MAX) throw noKeyFile('it is too long');
  const line = text.trim();
  const version = /^edgestore-key-(\d+):/.exec(line)?.[1];
  if (version !== undefined && version !== '1') throw newerFormatError('key file', `version ${version}`);
  const parts = /^(edgestore-key-1:([A-Za-z0-9_-]{43})):([0-9a-f]{8})$/.exec(line);
  if (parts === null) throw noKeyFile('it is no edgestore key file, or was damaged');
  const [, body, encoded, check] = parts as unknown as [string, string, string, string];
  const secret = new Uint8Array(Buffer.from(encoded, 'base64url'));
  if (checkOf(body) !== check || secret.length !== KEY_FILE_SECRET_BYTES) {
    throw new EdgeError('E_INTEGRITY', 'the key file is damaged: its check digits do not match', {
      hint: 'This is not a wrong key. Use a copy of the file, a passphrase or the recovery sheet (--key-file SHEET).',
    });
  }
  return secret;
}

function noKeyFile(problem: string): EdgeError {
  return new EdgeError('E_FORMAT', `key file: ${problem}`, {
    hint: 'This is not a wrong key. Name the right file, or use a copy of it, a passphrase or the recovery sheet (--key-file SHEET).',
  });
}

function checkOf(body: string): string {
  return createHash('sha256').update(body, 'latin1').digest('hex').slice(0, 8);
}
