/** Names are bytes; text is for people. What text cannot show safely is written `\xNN`, and read back. */
import { asBuffer } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Control characters, what reorders text on a terminal, separators of lines, the byte order mark, and the backslash that escapes. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\\]/u;
const UNSAFE_ALL = new RegExp(UNSAFE, 'gu');

/** Name or path as text in which every byte that is no printable UTF-8, and every backslash, is `\xNN`. `unescapeName` gives the bytes back. */
export function escapeName(bytes: Uint8Array): string {
  const whole = decode(bytes);
  if (whole !== undefined) return UNSAFE.test(whole) ? whole.replace(UNSAFE_ALL, escapeText) : whole;
  let out = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at]!);
    const text = decode(bytes.subarray(at, at + length));
    const isShown = text !== undefined && text !== '' && at + length <= bytes.length;
    out += isShown ? text.replace(UNSAFE_ALL, escapeText) : escapeByte(bytes[at]!);
    at += isShown ? length : 1;
  }
  return out;
}

/** The bytes of a name or path given as text: UTF-8, with `\xNN` for one byte. Any other backslash stands for itself. */
export function unescapeName(text: string): Uint8Array {
  if (!text.includes('\\')) return new Uint8Array(Buffer.from(text, 'utf8'));
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const match of text.matchAll(/\\x([0-9a-fA-F]{2})/g)) {
    parts.push(Buffer.from(text.slice(from, match.index), 'utf8'), Uint8Array.of(Number.parseInt(match[1]!, 16)));
    from = match.index + match[0].length;
  }
  parts.push(Buffer.from(text.slice(from), 'utf8'));
  const bytes = new Uint8Array(Buffer.concat(parts));
  if (bytes.includes(0)) throw new EdgeError('E_USAGE', 'a name cannot have a NUL byte in it');
  return bytes;
}

/** A path for JSON: as text, and in base64 beside it when the text is not the whole truth. */
export function jsonPath(bytes: Uint8Array): { readonly path: string; readonly path_b64?: string } {
  const text = decode(bytes);
  if (text !== undefined) return { path: text };
  return { path: escapeName(bytes), path_b64: asBuffer(bytes).toString('base64') };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Bytes of the UTF-8 sequence that this byte begins; 1 for one that begins none, which then does not decode. */
function sequenceLength(first: number): number {
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc0 ? 2 : 1;
}

function escapeText(character: string): string {
  return [...Buffer.from(character, 'utf8')].map(escapeByte).join('');
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
