/** Secret text from where it may come: a file, stdin, or a prompt without echo; never the command line. */
import { closeSync, openSync, readSync } from 'node:fs';
import { EdgeError, errnoOf, toEdgeError } from '@edgestore/engine/errors';
import { promptHidden } from './prompt-hidden.ts';
import type { Session } from './session.ts';

export interface SecretTextInput {
  readonly session: Session;
  readonly noInput: boolean;
  readonly file: string | undefined;
  /** `the token`. */
  readonly what: string;
  /** `--token-file`. */
  readonly flag: string;
  /** Longer input is refused unread: it is some other file. */
  readonly bytesMax: number;
  /** How many lines a person types: a token is one, a recovery code may be several and ends with an empty one. */
  readonly manyLines?: boolean;
}

export async function readSecretText(input: SecretTextInput): Promise<string> {
  const { session, file, what, flag } = input;
  if (file !== undefined) return readBounded(file === '-' ? 0 : file, what, input.bytesMax);
  if (!process.stdin.isTTY) {
    const text = readBounded(0, what, input.bytesMax);
    if (text.trim() !== '') return text;
    throw new EdgeError('E_USAGE', `${what} is missing: stdin is empty`, {
      hint: `Give it on stdin, or name a file with ${flag}.`,
    });
  }
  if (input.noInput)
    throw new EdgeError('E_USAGE', `${what} is missing`, { hint: `Name a file with ${flag}, or give it on stdin.` });
  if (input.manyLines !== true) return await promptHidden(session, `${capitalised(what)}: `);
  const lines: string[] = [];
  for (;;) {
    const line = await promptHidden(
      session,
      lines.length === 0 ? `${capitalised(what)} (end with an empty line): ` : '',
    );
    if (line.trim() === '' && lines.length > 0) return lines.join('\n');
    lines.push(line);
  }
}

/** Reads a file or an open descriptor whole, up to a bound. */
function readBounded(source: string | number, what: string, bytesMax: number): string {
  const fd = typeof source === 'number' ? source : openFile(source, what);
  const from = typeof source === 'number' ? 'stdin' : source;
  const buffer = Buffer.alloc(bytesMax + 1);
  let length = 0;
  try {
    while (length < buffer.length) {
      const read = readSome(fd, buffer, length);
      if (read === 0) break;
      length += read;
    }
  } catch (error) {
    if (errnoOf(error) === 'EISDIR')
      throw new EdgeError('E_USAGE', `${from} is a folder, not the file that has ${what}`, { hint: 'Name the file.' });
    throw toEdgeError(error, `reading ${what} from ${from}`);
  } finally {
    if (typeof source === 'string') closeSync(fd);
  }
  if (length > bytesMax) throw new EdgeError('E_USAGE', `this is not ${what}: it is longer than ${bytesMax} bytes`);
  return buffer.toString('utf8', 0, length);
}

function openFile(path: string, what: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT')
      throw new EdgeError('E_USAGE', `there is no file ${path} to read ${what} from`, { hint: 'Check the path.' });
    if (errnoOf(error) === 'EACCES')
      throw new EdgeError('E_DENIED', `no permission to read ${what} from ${path}`, {
        hint: 'Run this as a user who may read it.',
      });
    throw toEdgeError(error, `reading ${what} from ${path}`);
  }
}

/** A pipe that is set to non-blocking says EAGAIN where it has nothing yet. */
function readSome(fd: number, buffer: Buffer, offset: number): number {
  for (;;) {
    try {
      return readSync(fd, buffer, offset, buffer.length - offset, null);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
