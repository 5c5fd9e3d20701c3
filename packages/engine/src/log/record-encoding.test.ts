import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEdgeError } from '../core/errors.ts';
import { arbitraryRecord } from '../testing/arbitrary-record.ts';
import { CborWriter } from '../tree/cbor-writer.ts';
import { numberRoots } from './number-roots.ts';
import type { RecordBody } from './record-body.ts';
import { decodeRecordBody, encodeRecordBody } from './record-encoding.ts';
import { CONFIG_BYTES_MAX } from './record-layout.ts';

const code = (name: string) => expect.objectContaining({ code: name });
const path = new Uint8Array([47]);
const settings = (roots: { name: string; path: Uint8Array; shard: number }[], configJson = '{}'): RecordBody => ({
  type: 'settings',
  settings: { agentName: 'n', site: 's', configJson, roots },
});

test('a record reads back as it was written, in the bytes that RFC 8949 names', () => {
  fc.assert(
    fc.property(arbitraryRecord, (body) => {
      const encoded = encodeRecordBody(body);
      expect(decodeRecordBody(encoded)).toEqual(body);
      const general = encode(decode(encoded, { useMaps: true }), rfc8949EncodeOptions);
      expect(Buffer.from(general).equals(encoded)).toBe(true);
    }),
  );
});

test('damaged bytes are refused with a code, never with another error', () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(arbitraryRecord, changes, (body, bytes) => {
      const bad = new Uint8Array(encodeRecordBody(body));
      for (const [at, value] of bytes) bad[at % bad.length] = value;
      try {
        decodeRecordBody(bad);
      } catch (error) {
        expect(isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')).toBe(true);
      }
    }),
  );
});

test('types of a later version are E_NEWER_FORMAT', () => {
  for (const type of [7, 8, 200]) {
    const bytes = new CborWriter().map(1).int(0).int(type).take();
    expect(() => decodeRecordBody(bytes)).toThrow(code('E_NEWER_FORMAT'));
  }
});

test('a critical field of a later version is refused, an optional one passed over', () => {
  const body = (key: number) => {
    const writer = new CborWriter().map(3).int(0).int(2).int(1).bytes(new Uint8Array(32));
    return writer.int(key).int(5).take();
  };
  expect(decodeRecordBody(body(40))).toEqual({ type: 'forget', snapshot: '00'.repeat(32) });
  expect(() => decodeRecordBody(body(-1))).toThrow(code('E_NEWER_FORMAT'));
});

test('what no reader would take is not written', () => {
  const bad: RecordBody[] = [
    { type: 'damaged', snapshots: [] },
    { type: 'pin', snapshot: 'ab'.repeat(32), reason: 'x'.repeat(5000) },
    settings([{ name: 'a', path, shard: 0 }]),
    settings([
      { name: 'a', path, shard: 1 },
      { name: 'b', path, shard: 1 },
    ]),
    settings([], 'x'.repeat(CONFIG_BYTES_MAX + 1)),
  ];
  for (const body of bad) expect(() => encodeRecordBody(body)).toThrow(code('E_FAILED'));
});

test('roots keep their shards, and a number is never given twice', () => {
  const root = (name: string) => ({ name, path });
  const first = numberRoots([root('a'), root('b')], [], 0);
  expect(first.map(({ shard }) => shard)).toEqual([1, 2]);
  expect(numberRoots([root('c'), root('b')], first, 0).map(({ shard }) => shard)).toEqual([3, 2]);
  expect(numberRoots([root('c')], [], 7).map(({ shard }) => shard)).toEqual([8]);
  // No statement names more.
  expect(numberRoots([root('c')], [], 1023).map(({ shard }) => shard)).toEqual([1024]);
  expect(() => numberRoots([root('c')], [], 1024)).toThrow(code('E_LIMIT'));
});
