/** Reads and makes key files, and refuses those that others can read or swap. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import {
  decodeKeyFile,
  EdgeError,
  encodeKeyFile,
  errnoOf,
  isEdgeError,
  isRecoverySheet,
  KEY_FILE_BYTES_MAX,
  parseRecoverySheet,
  type RandomBytes,
  RECOVERY_SHEET_BYTES_MAX,
  type SlotSecret,
  toEdgeError,
} from '@edgestore/engine';

/** The 32 bytes of a key file. E_CONFIG when it is a link, not ours, or readable by others; E_INTEGRITY, E_FORMAT for its content. */
export function readKeyFile(path: string): Uint8Array {
  return readPrivateFile(path, KEY_FILE_BYTES_MAX, (bytes) => decodeKeyFile(bytes.toString('latin1')));
}

/**
 * Reads a key file or a recovery sheet: the sheet opens a vault whose key is lost. Errors are those of `readKeyFile`, and
 * E_USAGE for a sheet with a wrong word.
 */
export function readKeyFileOrSheet(path: string): SlotSecret {
  return readPrivateFile(path, RECOVERY_SHEET_BYTES_MAX, (bytes) => {
    const text = bytes.toString('utf8');
    if (isRecoverySheet(text)) return { type: 'recovery', secret: parseRecoverySheet(text).adminSeed };
    return { type: 'keyfile', secret: decodeKeyFile(bytes.toString('latin1')) };
  });
}

function readPrivateFile<Secret>(path: string, bytesMax: number, decode: (bytes: Buffer) => Secret): Secret {
  const fd = openKeyFile(path);
  try {
    checkKeyFile(fd, path);
    const buffer = Buffer.alloc(bytesMax + 1);
    return decode(buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, 0)));
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT', 'E_INTEGRITY', 'E_NEWER_FORMAT', 'E_USAGE')) throw error;
    throw new EdgeError(error.code, `${path}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      context: { ...error.context, path },
      cause: error,
    });
  } finally {
    closeSync(fd);
  }
}

function openKeyFile(path: string): number {
  try {
    // Not blocking, so that a FIFO under that name does not hang the program.
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT')
      throw new EdgeError('E_CONFIG', `there is no key file ${path}`, {
        hint: 'Check --key-file or EDGESTORE_KEY_FILE.',
      });
    if (errno === 'ELOOP')
      throw new EdgeError('E_CONFIG', `the key file ${path} is a symbolic link`, { hint: 'Name the file itself.' });
    if (errno === 'EACCES')
      throw new EdgeError('E_DENIED', `no permission to read the key file ${path}`, {
        hint: 'Run as the user that the key file belongs to.',
      });
    throw toEdgeError(error, `reading the key file ${path}`);
  }
}

/** On the open file, so that what was checked is what is read. */
function checkKeyFile(fd: number, path: string): void {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw new EdgeError('E_CONFIG', `the key file ${path} is not a regular file`);
  if (stat.uid !== process.getuid?.()) {
    throw new EdgeError('E_CONFIG', `the key file ${path} belongs to another user (uid ${stat.uid})`, {
      hint: `chown it to yourself: chown $(id -u) ${path}`,
    });
  }
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
    throw new EdgeError('E_CONFIG', `the key file ${path} can be read by others (mode ${mode})`, {
      hint: `chmod 600 ${path}`,
    });
  }
}

/** Makes a key file (0600) of a new secret; it must not exist. On stable storage when it returns. */
export function createKeyFile(path: string, random: RandomBytes): Uint8Array {
  const secret = random(32);
  createPrivateFile(path, encodeKeyFile(secret), 'the key file');
  return secret;
}

/** Writes a new file that only its owner can read. E_USAGE when there is one of that name: a secret is never written over. */
export function createPrivateFile(path: string, text: string, what: string): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST')
      throw new EdgeError('E_USAGE', `${path} exists already; ${what} is not written over it`, {
        hint: 'Name another file.',
      });
    if (errno === 'ENOENT')
      throw new EdgeError('E_USAGE', `the folder of ${path} does not exist`, {
        hint: 'Make the folder first, or name another file.',
      });
    if (errno === 'EACCES')
      throw new EdgeError('E_DENIED', `no permission to write ${what} to ${path}`, {
        hint: 'Name a place where you may write.',
      });
    throw toEdgeError(error, `writing ${what} to ${path}`);
  }
  try {
    fchmodSync(fd, 0o600);
    writeSync(fd, text);
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(path);
    throw toEdgeError(error, `writing ${what} to ${path}`);
  } finally {
    closeSync(fd);
  }
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
