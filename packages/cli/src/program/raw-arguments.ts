/** The command line's arguments as the bytes that they are: Node decodes them as UTF-8 and loses what is none. */
import { readFileSync } from 'node:fs';

/**
 * The arguments; one that was not UTF-8 comes back with `\xNN` for the bytes that were not, which is how names are typed
 * and shown everywhere.
 */
export function recoverArguments(
  decoded: readonly string[],
  readCommandLine: () => Uint8Array = commandLine,
): string[] {
  if (!decoded.some((argument) => argument.includes('\uFFFD'))) return [...decoded];
  const raw = splitAtNul(readCommandLine());
  // The kernel's list begins with the program, its own options and the script.
  const own = raw.slice(raw.length - decoded.length);
  if (own.length !== decoded.length || own.some((bytes, i) => bytes.toString('utf8') !== decoded[i]))
    return [...decoded];
  return own.map((bytes, i) => (isUtf8(bytes) ? decoded[i]! : escapeInvalid(bytes)));
}

function commandLine(): Uint8Array {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch {
    // No /proc: the arguments stay as Node decoded them, and a path that does not exist will be named in an error.
    return new Uint8Array();
  }
}

function splitAtNul(bytes: Uint8Array): Buffer[] {
  const out: Buffer[] = [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < buffer.length; ) {
    const end = buffer.indexOf(0, start);
    out.push(buffer.subarray(start, end === -1 ? buffer.length : end));
    start = end === -1 ? buffer.length : end + 1;
  }
  return out;
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);
}

/** `\xNN` for every byte that is part of no UTF-8 character; all else as it is. */
function escapeInvalid(bytes: Buffer): string {
  let out = '';
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    out += length === 0 ? `\\x${bytes[at]!.toString(16).padStart(2, '0')}` : bytes.toString('utf8', at, at + length);
    at += Math.max(1, length);
  }
  return out;
}

/** Length in bytes of the UTF-8 character that begins here; 0 when none does. */
function characterLength(bytes: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    const text = bytes.toString('utf8', at, at + length);
    if (!text.includes('\uFFFD') && isUtf8(bytes.subarray(at, at + length))) return length;
  }
  return 0;
}
