import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable } from './printable.ts';

test('nothing that a terminal acts on is left, and ordinary text is as it was', () => {
  expect(printable('a\x1b[31mb\r\u202e\u0085')).toBe('a\\x1b[31mb\\x0d\\xe2\\x80\\xae\\xc2\\x85');
  expect(printable('two\nlines', '\n')).toBe('two\nlines');
  expect(printable('ünï cödé 日本')).toBe('ünï cödé 日本');
  const acts = (text: string): boolean =>
    [...text].some((c) => c < ' ' || (c >= '\x7f' && c <= '\x9f') || (c >= '\u202a' && c <= '\u202e'));
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !acts(printable(text))));
});
