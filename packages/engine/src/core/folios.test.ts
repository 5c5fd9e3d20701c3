import { expect, test } from 'vitest';
import { wholeFolios } from './folios.ts';

const MIB = 1024 * 1024;

test('a range is widened to all folios that it touches', () => {
  expect(wholeFolios(0, 1)).toEqual({ offset: 0, length: 2 * MIB });
  expect(wholeFolios(1000, 4096)).toEqual({ offset: 0, length: 2 * MIB });
  expect(wholeFolios(2 * MIB - 1, 2)).toEqual({ offset: 0, length: 4 * MIB });
  expect(wholeFolios(2 * MIB, 2 * MIB)).toEqual({ offset: 2 * MIB, length: 2 * MIB });
});
