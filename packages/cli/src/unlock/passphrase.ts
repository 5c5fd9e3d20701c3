/** Passphrases from a file or a command. One line end at the end is not part of the passphrase. */
import { readFileSync, statSync } from 'node:fs';
import { EdgeError, errnoOf, toEdgeError } from '@edgestore/engine/errors';

/** Longer is some other file. */
const PASSPHRASE_BYTES_MAX = 1024 * 1024;
const COMMAND_TIMEOUT_MS = 60_000;

/** E_CONFIG when there is no such file. */
export function passphraseFromFile(path: string, namedBy: string): string {
  let bytes: Buffer;
  try {
    if (statSync(path).size > PASSPHRASE_BYTES_MAX)
      throw new EdgeError('E_CONFIG', `${path} is too long to be a passphrase (${namedBy})`);
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new EdgeError('E_CONFIG', `there is no file ${path}, which ${namedBy} names`);
    if (errnoOf(error) === 'EISDIR')
      throw new EdgeError('E_CONFIG', `${path}, which ${namedBy} names, is a folder`, { hint: 'Name the file.' });
    throw toEdgeError(error, `reading the passphrase from ${path}`);
  }
  return withoutLineEnd(decodeText(bytes, path));
}

/** Runs the command in a shell; what it prints is the passphrase. E_CONFIG when it fails. */
export async function passphraseFromCommand(command: string, signal: AbortSignal): Promise<string> {
  const { execFile } = await import('node:child_process');
  return await new Promise((resolve, reject) => {
    const options = {
      signal,
      timeout: COMMAND_TIMEOUT_MS,
      maxBuffer: PASSPHRASE_BYTES_MAX,
      encoding: 'buffer' as const,
    };
    const child = execFile('/bin/sh', ['-c', command], options, (error, stdout) => {
      if (error !== null) {
        // Neither the command nor what it printed is repeated: both may hold the secret.
        const how =
          typeof error.code === 'number'
            ? `it ended with ${error.code}`
            : error.killed
              ? 'it did not end in time'
              : 'it could not be run';
        reject(new EdgeError('E_CONFIG', `the command in EDGESTORE_PASSPHRASE_COMMAND failed: ${how}`));
        return;
      }
      try {
        resolve(withoutLineEnd(decodeText(stdout, 'EDGESTORE_PASSPHRASE_COMMAND')));
      } catch (cause) {
        reject(cause);
      }
    });
    child.stderr?.pipe(process.stderr, { end: false });
  });
}

function decodeText(bytes: Uint8Array, from: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new EdgeError('E_CONFIG', `the passphrase from ${from} is not UTF-8 text`, { cause });
  }
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '');
}
