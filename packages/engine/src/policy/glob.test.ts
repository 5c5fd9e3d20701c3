import fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeName } from './escape-name.ts';
import { compileGlob } from './glob.ts';

const matches = (pattern: string, path: string) => compileGlob(pattern)(Buffer.from(path, 'latin1'));

test.each<[string, string, boolean]>([
  ['*.js', 'a.js', true],
  ['*.js', 'src/deep/a.js', true],
  ['*.js', 'a.jsx', false],
  ['a?c', 'abc', true],
  ['[a-c]x', 'bx', true],
  ['[!a-c]x', 'bx', false],
  ['[]]x', ']x', true],
  ['[a\\]]', ']', true],
  ['src/*.js', 'src/a.js', true],
  ['src/*.js', 'src/b/a.js', false],
  ['src/**/*.js', 'src/a.js', true],
  ['src/**/*.js', 'src/b/c/a.js', true],
  ['**/b/**', 'a/b/c/d', true],
  ['a/**', 'a', false],
  ['/top', 'top', true],
  ['/top', 'deep/top', false],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'axb', false],
  ['\\xff*', '\xffz', true],
  ['*', '.hidden', true],
  ['a*b*c', 'aXbXbXc', true],
  ['a/**/b/**/c', 'a/x/b/b/y/c', true],
  ['', '', true],
])('%s on %s: %s', (pattern, path, expected) => expect(matches(pattern, path)).toBe(expected));

test('the escaped form of any name matches that name alone', () => {
  const name = fc.array(
    fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 0x2f && !'*?['.includes(String.fromCharCode(byte))),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(name, (bytes) => {
      const glob = compileGlob(escapeName(Uint8Array.from(bytes)));
      expect(glob(Uint8Array.from(bytes))).toBe(true);
      expect(glob(Uint8Array.from([...bytes, 0x61]))).toBe(false);
    }),
  );
});

test('a pattern of many stars takes no exponential time', () => {
  const started = performance.now();
  expect(matches(`${'a*'.repeat(200)}b`, 'a'.repeat(1000))).toBe(false);
  expect(matches(`${'**/a/'.repeat(60)}b`, 'a/'.repeat(500))).toBe(false);
  expect(performance.now() - started).toBeLessThan(2000);
});

test('a bracket that is not closed is a usage error, and no pattern crashes', () => {
  expect(() => compileGlob('[abc')).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  fc.assert(
    fc.property(fc.string(), fc.uint8Array(), (pattern, path) => {
      try {
        compileGlob(pattern)(path);
      } catch (error) {
        expect(error).toMatchObject({ code: 'E_USAGE' });
      }
    }),
  );
});
