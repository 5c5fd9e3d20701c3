import { expect, test } from 'vitest';
import { facts, shownPath, shownTime, table } from './lines.ts';

test('columns are aligned, numbers to the right, colours not counted', () => {
  const rows = [
    ['\x1b[1mab\x1b[22m', '1'],
    ['abcd', '1000'],
  ];
  expect(table(['NAME', 'N'], rows, [1])).toEqual(['NAME     N', '\x1b[1mab\x1b[22m       1', 'abcd  1000']);
  expect(table(['NAME'], [])).toEqual([]);
});

test('facts leave out what is not known', () => {
  expect(
    facts([
      ['a', 'x'],
      ['longer', undefined],
      ['bcd', 'y'],
    ]),
  ).toEqual(['a:    x', 'bcd:  y']);
});

test('paths are shown so that they can be typed back; times without their fraction', () => {
  expect(shownPath({ path: 'a\nb\\c' })).toBe('a\\x0ab\\x5cc');
  expect(shownPath({ path: '\\xff', path_b64: '/w==' })).toBe('\\xff');
  expect(shownTime('2026-11-20T22:00:00.123Z')).toBe('2026-11-20 22:00:00Z');
  expect(shownTime(null)).toBe('-');
});
