/** The recovery code: vault key and admin seed as 26 words that a person can copy from paper. See docs/formats/recovery-sheet.md. */
import { createHash } from 'node:crypto';
import { EdgeError } from '../core/errors.ts';

export const RECOVERY_WORDS = 26;
export const RECOVERY_WORD_LENGTH = 5;

const SECRET_BYTES = 64;
const DATA_SYMBOLS = 4;
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_LENGTH = RECOVERY_WORDS * RECOVERY_WORD_LENGTH;

/** 26 words of 5 Crockford base32 characters: 4 of data and one check each. */
export function encodeRecoveryCode(vaultKey: Uint8Array, adminSeed: Uint8Array): string[] {
  const secret = Buffer.concat([vaultKey, adminSeed]);
  if (vaultKey.length !== 32 || adminSeed.length !== 32)
    throw new EdgeError('E_FAILED', 'a recovery code holds twice 32 bytes');
  const symbols = toSymbols(Buffer.concat([secret, Uint8Array.of(totalCheck(secret))]));
  const words: string[] = [];
  for (let word = 0; word < RECOVERY_WORDS; word++) {
    const data = symbols.slice(word * DATA_SYMBOLS, (word + 1) * DATA_SYMBOLS);
    words.push([...data, wordCheck(word, data)].map((symbol) => ALPHABET[symbol]).join(''));
  }
  return words;
}

/**
 * Reads a code that a person typed: case, spaces, dashes and line breaks do not matter, I and L are read as 1, O as 0.
 * E_USAGE names the word that is mistyped.
 */
export function decodeRecoveryCode(text: string): { readonly vaultKey: Uint8Array; readonly adminSeed: Uint8Array } {
  const typed = text.replace(/[\s-]+/g, '').toUpperCase();
  if (typed.length !== CODE_LENGTH) throw wrongLength(text, typed.length);
  const wrong: { word: number; typed: string }[] = [];
  const symbols: number[] = [];
  for (let word = 0; word < RECOVERY_WORDS; word++) {
    const wordText = typed.slice(word * RECOVERY_WORD_LENGTH, (word + 1) * RECOVERY_WORD_LENGTH);
    const all = [...wordText].map((character) => ALPHABET.indexOf(LOOKALIKES[character] ?? character));
    const data = all.slice(0, DATA_SYMBOLS);
    if (all.includes(-1) || wordCheck(word, data) !== all[DATA_SYMBOLS])
      wrong.push({ word: word + 1, typed: wordText });
    symbols.push(...data);
  }
  if (wrong.length > 0) throw mistyped(wrong);

  const bytes = fromSymbols(symbols);
  const secret = bytes.subarray(0, SECRET_BYTES);
  if (totalCheck(secret) !== bytes[SECRET_BYTES]) {
    throw new EdgeError('E_USAGE', 'the recovery code does not add up although each word does', {
      hint: 'Compare every word with the sheet; two or more characters of one word are mistyped.',
    });
  }
  return { vaultKey: new Uint8Array(secret.subarray(0, 32)), adminSeed: new Uint8Array(secret.subarray(32)) };
}

const LOOKALIKES: Readonly<Record<string, string>> = { I: '1', L: '1', O: '0' };

/**
 * A weighted sum in GF(32) with a different weight for every character and a constant for the word's place: any one wrong character,
 * any two swapped in a word, and any word in another's place change it.
 */
function wordCheck(word: number, data: readonly number[]): number {
  let sum = word + 1;
  data.forEach((symbol, index) => {
    sum ^= multiply(symbol, index + 2);
  });
  return sum;
}

/** Multiplication in GF(2^5) modulo x^5 + x^2 + 1. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 5; bit++) if ((b >> bit) & 1) product ^= a << bit;
  for (let bit = 9; bit >= 5; bit--) if ((product >> bit) & 1) product ^= 0b100101 << (bit - 5);
  return product;
}

function totalCheck(secret: Uint8Array): number {
  return createHash('sha256').update('edgestore recovery v1\0', 'latin1').update(secret).digest()[0]!;
}

/** Groups of five bits, most significant first. */
function toSymbols(bytes: Uint8Array): number[] {
  const symbols: number[] = [];
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      symbols.push((held >> bits) & 31);
      held &= (1 << bits) - 1;
    }
  }
  return symbols;
}

function fromSymbols(symbols: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const symbol of symbols) {
    held = (held << 5) | symbol;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 255);
      held &= (1 << bits) - 1;
    }
  }
  return Uint8Array.from(bytes);
}

function mistyped(wrong: readonly { readonly word: number; readonly typed: string }[]): EdgeError {
  const shown = wrong.slice(0, 3).map(({ word, typed }) => `word ${word} (${printable(typed)})`);
  const more = wrong.length > shown.length ? ` and ${wrong.length - shown.length} more` : '';
  const verb = wrong.length === 1 ? 'is' : 'are';
  return new EdgeError('E_USAGE', `${shown.join(', ')}${more} ${verb} mistyped or in the wrong place`, {
    hint: 'Compare with the recovery sheet. I and L count as 1, O as 0; there is no U.',
    context: { words: wrong.map(({ word }) => word) },
  });
}

/** Says where the missing or extra characters are when the words can be told apart. */
function wrongLength(text: string, length: number): EdgeError {
  const words = text.split(/[\s-]+/).filter((word) => word !== '');
  const odd = words.findIndex((word) => word.length !== RECOVERY_WORD_LENGTH);
  const where =
    odd === -1
      ? `; there are ${words.length} words`
      : `; word ${odd + 1} (${printable(words[odd]!)}) has ${words[odd]!.length} characters`;
  return new EdgeError(
    'E_USAGE',
    `a recovery code has ${RECOVERY_WORDS} words of ${RECOVERY_WORD_LENGTH} characters, this has ${length} characters instead of ${CODE_LENGTH}${where}`,
    { hint: 'Type all words of the recovery sheet, in order.' },
  );
}

/** Short, and free of anything that a terminal would act on. */
function printable(word: string): string {
  return word.replace(/[^\x21-\x7e]/g, '?').slice(0, 12);
}
