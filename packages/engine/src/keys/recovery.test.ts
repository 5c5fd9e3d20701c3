import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EdgeError } from '../core/errors.ts';
import { goldenJson } from '../testing/golden-json.ts';
import { decodeRecoveryCode, encodeRecoveryCode } from './recovery-code.ts';
import { formatRecoverySheet, parseRecoverySheet, type RecoverySheet } from './recovery-sheet.ts';

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const VAULT_KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const ADMIN_SEED = Uint8Array.from({ length: 32 }, (_, index) => 255 - index);
const words = encodeRecoveryCode(VAULT_KEY, ADMIN_SEED);
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function errorOf(run: () => unknown): EdgeError | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof EdgeError) return error;
    throw error;
  }
  return undefined;
}

test('both secrets come back from 26 words of 5 characters', () => {
  fc.assert(
    fc.property(key, key, (vaultKey, adminSeed) => {
      const code = encodeRecoveryCode(vaultKey, adminSeed);
      expect(code).toHaveLength(26);
      for (const word of code) expect(word).toMatch(/^[0-9A-HJKMNP-TV-Z]{5}$/);
      expect(decodeRecoveryCode(code.join(' '))).toEqual({ vaultKey, adminSeed });
    }),
  );
});

test('case, separators and lookalikes do not matter', () => {
  const forms = [
    words.join(''),
    words.join('-').toLowerCase(),
    `  ${words.join('\r\n')}\n`,
    words.join(' ').replaceAll('1', 'l').replaceAll('0', 'o'),
    words.join(' ').replaceAll('1', 'I'),
  ];
  for (const form of forms) expect(decodeRecoveryCode(form)).toEqual({ vaultKey: VAULT_KEY, adminSeed: ADMIN_SEED });
});

test('any one wrong character is found, and the word that it is in is named', () => {
  for (let word = 0; word < words.length; word++) {
    for (let at = 0; at < 5; at++) {
      for (const character of ALPHABET) {
        if (words[word]![at] === character) continue;
        const typed = words[word]!.slice(0, at) + character + words[word]!.slice(at + 1);
        const error = errorOf(() => decodeRecoveryCode(words.with(word, typed).join(' ')));
        expect(error?.code).toBe('E_USAGE');
        expect(error?.message).toBe(`word ${word + 1} (${typed}) is mistyped or in the wrong place`);
      }
    }
  }
});

test('two different words swapped, or two different characters of a word, are found', () => {
  fc.assert(
    fc.property(key, fc.nat(25), fc.nat(25), fc.nat(4), fc.nat(4), (vaultKey, a, b, x, y) => {
      const code = encodeRecoveryCode(vaultKey, ADMIN_SEED);
      if (a !== b) {
        const swapped = code.with(a, code[b]!).with(b, code[a]!);
        expect(errorOf(() => decodeRecoveryCode(swapped.join(' ')))?.code).toBe('E_USAGE');
      }
      const letters = [...code[a]!];
      if (letters[x] !== letters[y]) {
        const typed = letters.with(x, letters[y]!).with(y, letters[x]!).join('');
        expect(errorOf(() => decodeRecoveryCode(code.with(a, typed).join(' ')))?.message).toContain(
          `word ${a + 1} (${typed})`,
        );
      }
    }),
  );
});

test('missing, extra and impossible characters are explained', () => {
  expect(errorOf(() => decodeRecoveryCode(words.slice(1).join(' ')))?.message).toContain(
    '125 characters instead of 130; there are 25 words',
  );
  const short = words.with(6, words[6]!.slice(1)).join(' ');
  expect(errorOf(() => decodeRecoveryCode(short))?.message).toContain(
    `word 7 (${words[6]!.slice(1)}) has 4 characters`,
  );
  expect(errorOf(() => decodeRecoveryCode(words.with(2, 'UUUUU').join(' ')))?.message).toContain('word 3 (UUUUU)');
  expect(errorOf(() => decodeRecoveryCode(words.with(2, '\u001b[31m').join(' ')))?.message).toContain('word 3 (?[31M)');
  expect(errorOf(() => decodeRecoveryCode(''))?.code).toBe('E_USAGE');
});

test('arbitrary text is E_USAGE', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200, unit: 'binary' }), (text) => {
      expect(errorOf(() => decodeRecoveryCode(text))?.code).toBe('E_USAGE');
      expect(['E_USAGE', 'E_NEWER_FORMAT']).toContain(errorOf(() => parseRecoverySheet(text))?.code);
    }),
  );
});

const sheet: RecoverySheet = {
  vaultName: 'corner shop',
  vaultId: '000102030405060708090a0b0c0d0e0f',
  words,
  peers: [
    { name: 'dc-a', address: 'https://10.0.0.2:7443', pin: 'ab'.repeat(32) },
    { name: 'spare room', address: 'https://[::1]:7443', pin: 'cd'.repeat(32) },
  ],
  buckets: [
    { url: 's3://bucket/prefix', endpoint: 'http://127.0.0.1:9000', region: 'eu-1' },
    { url: 'file:///mnt/archive' },
  ],
};

test('a sheet comes back whole, also with other line ends and case', () => {
  const text = formatRecoverySheet(sheet);
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(120);
  for (const form of [text, text.replaceAll('\n', '\r\n'), `\n\n  ${text.replaceAll('\n', '\n  ')}`]) {
    expect(parseRecoverySheet(form)).toEqual({
      vaultKey: VAULT_KEY,
      adminSeed: ADMIN_SEED,
      vaultId: sheet.vaultId,
      vaultName: sheet.vaultName,
      peers: sheet.peers,
      buckets: sheet.buckets,
    });
  }
});

test('the words alone are a sheet too', () => {
  expect(parseRecoverySheet(words.join('\n'))).toMatchObject({ vaultKey: VAULT_KEY, vaultId: undefined, peers: [] });
});

test('what is wrong with a sheet is named', () => {
  const text = formatRecoverySheet(sheet);
  const message = (changed: string) => errorOf(() => parseRecoverySheet(changed))?.message;
  expect(message(text.replace(words[6]!, 'ZZZZZ'))).toContain('word 7 (ZZZZZ)');
  expect(message(text.replace(/^code.*\n/gm, ''))).toContain('has no code');
  expect(message(text.replace('ab'.repeat(32), 'abab'))).toContain('"peer" line');
  expect(message(text.replace('s3://', 'ftp://'))).toContain('"bucket" line');
  expect(errorOf(() => parseRecoverySheet(text.replace('SHEET 1', 'SHEET 2')))?.code).toBe('E_NEWER_FORMAT');
  expect(errorOf(() => parseRecoverySheet('x'.repeat(1_000_000)))?.code).toBe('E_USAGE');
});

test('a name cannot add lines to a sheet', () => {
  const hostile = formatRecoverySheet({ ...sheet, vaultName: 'a\nbucket: s3://evil/' });
  expect(parseRecoverySheet(hostile).buckets).toEqual(sheet.buckets);
});

test('golden: the sheet of version 1', () => {
  const golden = goldenJson<{ readonly text: string }>(
    new URL('./golden/recovery-sheet-1.json', import.meta.url),
    () => ({
      text: formatRecoverySheet(sheet),
    }),
  );
  expect(parseRecoverySheet(golden.text)).toMatchObject({
    vaultKey: VAULT_KEY,
    adminSeed: ADMIN_SEED,
    peers: sheet.peers,
  });
  expect(formatRecoverySheet(sheet)).toBe(golden.text);
});
