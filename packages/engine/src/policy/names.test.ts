import fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeName, jsonPath, unescapeName } from './escape-name.ts';
import { nearestName } from './nearest-name.ts';

const nameBytes = fc.array(fc.integer({ min: 1, max: 255 }), { maxLength: 60 }).map((list) => Uint8Array.from(list));

test('any name comes back from its text, which has no control characters in it', () => {
  const utf8 = fc
    .string({ unit: 'binary', minLength: 1 })
    .filter((text) => text.isWellFormed() && !text.includes('\0'))
    .map((text) => new Uint8Array(Buffer.from(text)));
  fc.assert(
    fc.property(fc.oneof(nameBytes, utf8), (name) => {
      const text = escapeName(name);
      expect(text).not.toMatch(/[\p{Cc}\u202e]/u);
      expect(unescapeName(text)).toEqual(name);
    }),
    { numRuns: 2000 },
  );
});

test.each<[number[] | string, string]>([
  ['plain ü 😀.txt', 'plain ü 😀.txt'],
  ['line\nbreak\t\x1b[31m', 'line\\x0abreak\\x09\\x1b[31m'],
  ['back\\slash', 'back\\x5cslash'],
  [[0x61, 0xff, 0x62], 'a\\xffb'],
  [[0xc3, 0xa4, 0xe2, 0x82], 'ä\\xe2\\x82'],
  ['\u202egpj.exe', '\\xe2\\x80\\xaegpj.exe'],
])('%j is shown as %j', (name, text) => {
  expect(escapeName(typeof name === 'string' ? Buffer.from(name) : Uint8Array.from(name))).toBe(text);
});

test('JSON has the bytes beside the text when the text loses them', () => {
  expect(jsonPath(Buffer.from('a\nb'))).toEqual({ path: 'a\nb' });
  expect(jsonPath(Uint8Array.of(0x61, 0xff))).toEqual({ path: 'a\\xff', path_b64: 'Yf8=' });
  expect(() => unescapeName('a\\x00b')).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
});

test('a mistyped name finds the one that was meant, and nonsense finds none', () => {
  const keys = ['name', 'site', 'data_dir', 'pack_dir', 'listen', 'storage_class'];
  expect(nearestName('nmae', keys)).toBe('name');
  expect(nearestName('datadir', keys)).toBe('data_dir');
  expect(nearestName('Storage-Class', keys)).toBe('storage_class');
  expect(nearestName('zzzzzzz', keys)).toBeUndefined();
  expect(nearestName('x', ['ab', 'cd'])).toBeUndefined();
  expect(nearestName('x', ['y'])).toBeUndefined();
  expect(nearestName('snap', ['sync', 'snapshot list'])).toBe('snapshot list');
});
