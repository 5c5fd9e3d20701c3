/** The command line's arguments as the bytes that they are: Node decodes them as UTF-8 and loses what is none. */
import { readFileSync } from 'node:fs';
import { escapeName } from '@edgestore/engine/names';

/** The arguments; one that was not UTF-8 comes back escaped (`\xNN`), which is how names are typed and shown everywhere. */
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
  return own.map((bytes, i) => (isUtf8(bytes) ? decoded[i]! : escapeName(bytes)));
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
