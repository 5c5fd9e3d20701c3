import { encode } from 'cborg';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEdgeError } from '../core/errors.ts';
import { CborFields, decodeCborMap, encodeCborMap } from './bounded-cbor.ts';

function formatErrorOf(run: () => unknown): boolean {
  try {
    run();
  } catch (error) {
    return isEdgeError(error, 'E_FORMAT');
  }
  return false;
}

test('fields come back, absent ones stay absent', () => {
  const bytes = encodeCborMap(
    new Map<number, unknown>([
      [3, 'text'],
      [1, 2n ** 63n],
      [0, new Uint8Array([1, 2])],
      [2, undefined],
    ]),
  );
  const map = decodeCborMap(bytes, 'thing');
  const fields = new CborFields(map, 'thing');
  expect([...map.keys()]).toEqual([0, 1, 3]);
  expect(fields.bytes(0, 'bytes', 2)).toEqual(new Uint8Array([1, 2]));
  expect(fields.bigUint(1, 'number')).toBe(2n ** 63n);
  expect(fields.text(3, 'text', 10)).toBe('text');
  for (const miss of [
    () => fields.bytes(0, 'bytes', 3),
    () => fields.uint(1, 'number', 10),
    () => fields.text(2, 'text', 10),
    () => fields.text(3, 'text', 3),
    () => fields.array(3, 'list', 1, () => 1),
    () => fields.fields(3, 'map'),
  ]) {
    expect(formatErrorOf(miss)).toBe(true);
  }
});

test.each([
  ['keys out of order', 'a201000000'],
  ['a number longer than needed', 'a1001801'],
  ['an indefinite map', 'bf0000ff'],
  ['a tag', 'a100c000'],
  ['a duplicate key', 'a200000001'],
  ['text that is not UTF-8', 'a10061ff'],
  ['a text key', 'a1616100'],
  ['an array', '8100'],
  ['bytes after the end', 'a000'],
  ['a length beyond the end', 'a1005affffffff'],
  ['an array of four billion', 'a1009affffffff'],
  ['nothing', ''],
])('%s is E_FORMAT', (_name, hex) => {
  expect(formatErrorOf(() => decodeCborMap(Buffer.from(hex, 'hex'), 'thing'))).toBe(true);
});

test('deep nesting is E_FORMAT and no stack overflow', () => {
  const deep = Buffer.concat([Buffer.from('a100', 'hex'), Buffer.alloc(60_000, 0x81), Buffer.of(0)]);
  expect(formatErrorOf(() => decodeCborMap(deep, 'thing'))).toBe(true);
});

test('arbitrary bytes are E_FORMAT or a map that encodes to them', () => {
  const nearly = fc
    .tuple(fc.dictionary(fc.string(), fc.anything({ maxDepth: 2, withBigInt: true })), fc.nat(), fc.nat(255))
    .map(([value, at, byte]) => {
      let bytes: Uint8Array;
      try {
        bytes = encode(new Map(Object.values(value).map((each, index) => [index, each])));
      } catch {
        bytes = new Uint8Array(1);
      }
      const changed = new Uint8Array(bytes);
      changed[at % changed.length] = byte;
      return changed;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), nearly), (bytes) => {
      const refused = formatErrorOf(() => {
        expect(Buffer.compare(encodeCborMap(decodeCborMap(bytes, 'thing')), bytes)).toBe(0);
      });
      if (!refused) expect(bytes.length).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});
