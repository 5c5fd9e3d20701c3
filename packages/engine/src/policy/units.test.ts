import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTime } from './parse-time.ts';
import {
  formatBytes,
  formatDuration,
  parseDuration,
  parseDurationMs,
  parsePercent,
  parseRate,
  parseSize,
} from './units.ts';

const usage = expect.objectContaining({ code: 'E_USAGE' });

test.each([
  ['10MiB', 10 * 1024 * 1024],
  ['10MB', 10_000_000],
  ['1.5GiB', 1.5 * 1024 ** 3],
  ['64 KiB', 65_536],
  ['3kB', 3000],
  ['512B', 512],
  ['0B', 0],
])('size %s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each([
  ['50Mbit/s', 6_250_000],
  ['10MB/s', 10_000_000],
  ['1MiB/s', 1_048_576],
  ['64kbit/s', 8000],
])('rate %s', (text, rate) => expect(parseRate(text)).toBe(rate));

test.each([
  ['90s', 90_000],
  ['15m', 900_000],
  ['6h', 21_600_000],
  ['30d', 2_592_000_000],
  ['12w', 7_257_600_000],
  ['250ms', 250],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
])('duration %s', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
  expect(parseDuration(text)).toBe(BigInt(ms) * 1_000_000n);
});

test.each(['10', '', 'MiB', '10 M', '10mb', '-1MiB', '1e3MB', '10MiB/s', '99999999999PB', '0x10B'])(
  '%j is no size',
  (text) => {
    expect(() => parseSize(text)).toThrow(usage);
  },
);
test.each(['50', '50Mbit', '0B/s', 'fast/s'])('%j is no rate', (text) => expect(() => parseRate(text)).toThrow(usage));
test.each(['90', '1y', '-5s', 's', '5 minutes', '1h 30'])('%j is no duration', (text) =>
  expect(() => parseDurationMs(text)).toThrow(usage),
);

test('a bare number is told that it has no unit', () => {
  expect(() => parseSize('1000')).toThrow('1000 has no unit');
});

test('percentages', () => {
  expect(parsePercent('5%')).toBe(0.05);
  expect(() => parsePercent('5')).toThrow(usage);
  expect(() => parsePercent('101%')).toThrow(usage);
});

test('arbitrary text is parsed or refused, never NaN', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const parse of [parseSize, parseRate, parseDurationMs]) {
        try {
          expect(parse(text)).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toEqual(usage);
        }
      }
    }),
  );
});

test('sizes and durations as people read them', () => {
  expect([0, 512, 999, 1000, 1536, 10 * 1024 ** 2, 1.5 * 1024 ** 4].map(formatBytes)).toEqual([
    '0 B',
    '512 B',
    '999 B',
    '1.0 KiB',
    '1.5 KiB',
    '10 MiB',
    '1.5 TiB',
  ]);
  expect([0, 85, 1234, 12_345, 200_000, 7_500_000, 273_600_000].map(formatDuration)).toEqual([
    '0 ms',
    '85 ms',
    '1.2 s',
    '12 s',
    '3m20s',
    '2h5m',
    '3d4h',
  ]);
});

test.each([
  ['2026-11-20T22:00:00Z', 1_795_212_000n],
  ['2026-11-20 22:00', 1_795_212_000n],
  ['2026-11-20T23:00:00+01:00', 1_795_212_000n],
  ['2026-11-20', 1_795_132_800n],
  ['1969-12-31T23:59:59Z', -1n],
])('time %s', (text, seconds) => expect(parseTime(text, 0n)).toBe(seconds * 1_000_000_000n));

test('fractions and ages', () => {
  expect(parseTime('1970-01-01T00:00:00.000000001Z', 0n)).toBe(1n);
  expect(parseTime('2d', 10n ** 18n)).toBe(10n ** 18n - 172_800_000_000_000n);
  expect(parseTime('2d ago', 10n ** 18n)).toBe(10n ** 18n - 172_800_000_000_000n);
});

test.each(['', 'yesterday', '2026-02-30', '2026-13-01', '2026-01-01T25:00:00Z', '2026-01-01T00:00:00+99:00', '12'])(
  '%j is no time',
  (text) => {
    expect(() => parseTime(text, 0n)).toThrow(usage);
  },
);
