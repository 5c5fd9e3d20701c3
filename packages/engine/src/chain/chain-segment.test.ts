import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitItems } from '../log/split-items.ts';
import { arbitraryHoldSteps, writeSteps } from '../testing/arbitrary-chain.ts';
import { chainWriter, makeForm } from '../testing/chain-writer.ts';
import {
  CHAIN_ITEM_FORMAT,
  decodeChainItem,
  decodeChainSegment,
  encodeChainItem,
  encodeChainSegment,
  formatSegmentKey,
  parseSegmentKey,
  requireSegment,
  segmentKey,
  segmentKeyFrom,
} from './chain-segment.ts';

const code = (name: string) => expect.objectContaining({ code: name });

function someChain() {
  const owner = chainWriter('segment');
  owner.takeover();
  owner.add(1, [makeForm(1), makeForm(2)]);
  owner.record();
  owner.release(1, [makeForm(1).id]);
  return owner;
}

test('a segment reads back', () => {
  fc.assert(
    fc.property(arbitraryHoldSteps, (steps) => {
      const owner = chainWriter('segments');
      owner.takeover();
      writeSteps(owner, steps);
      const bytes = encodeChainSegment(owner.entries);
      const key = segmentKey(owner.entries, bytes);
      expect(decodeChainSegment(bytes)).toEqual({ entries: owner.entries, damaged: [] });
      expect(requireSegment(key, bytes)).toEqual(owner.entries);
      expect(parseSegmentKey(formatSegmentKey(key))).toEqual(key);
    }),
  );
});

test('every flipped bit of a segment is refused, and whole entries around it are read', () => {
  const { entries } = someChain();
  const bytes = encodeChainSegment(entries);
  const key = segmentKey(entries, bytes);
  for (let place = 0; place < bytes.length * 8; place += 7) {
    const bad = new Uint8Array(bytes);
    bad[place >> 3]! ^= 1 << (place & 7);
    expect(() => requireSegment(key, bad)).toThrow(code('E_INTEGRITY'));
  }
  const second = encodeChainItem(entries[0]!).length;
  const third = second + encodeChainItem(entries[1]!).length;
  const bad = new Uint8Array(bytes);
  bad[second + 300]! ^= 1;
  const decoded = decodeChainSegment(bad);
  expect(decoded.entries.map(({ head }) => head.header.seq)).toEqual([1, 3, 4]);
  expect(decoded.damaged).toEqual([{ offset: second, length: third - second }]);
});

test('a segment that was put with other entries than its key says is refused', () => {
  const { entries } = someChain();
  const bytes = encodeChainSegment(entries);
  const key = segmentKey(entries, bytes);
  expect(() => requireSegment({ ...key, first: 2 }, bytes)).toThrow(code('E_INTEGRITY'));
  expect(() => requireSegment({ ...key, agent: 'ee'.repeat(16) }, bytes)).toThrow(code('E_INTEGRITY'));
  const torn = bytes.subarray(0, bytes.length - 1);
  expect(() => requireSegment(segmentKey(entries, torn), torn)).toThrow(code('E_INTEGRITY'));
});

test('a cut segment tells its torn end', () => {
  const { entries } = someChain();
  const bytes = encodeChainSegment(entries);
  const last = encodeChainItem(entries[3]!).length;
  expect(decodeChainSegment(bytes.subarray(0, bytes.length - 1))).toMatchObject({
    damaged: [],
    tornAt: bytes.length - last,
  });
  expect(() => requireSegment(segmentKey(entries, bytes), bytes.subarray(0, -1))).toThrow(code('E_INTEGRITY'));
});

test('entries of a segment follow one another within one incarnation', () => {
  const owner = someChain();
  expect(() => encodeChainSegment([owner.entries[0]!, owner.entries[2]!])).toThrow(code('E_FAILED'));
  expect(() => encodeChainSegment([])).toThrow(code('E_FAILED'));
  owner.incarnation = 2;
  owner.takeover();
  expect(() => encodeChainSegment(owner.entries)).toThrow(code('E_FAILED'));
  expect(encodeChainSegment(owner.entries.slice(4)).length).toBeGreaterThan(0);
});

test('a chain file may have hold entries without bodies, a segment may not, and no other kind is without one', () => {
  const { entries } = someChain();
  const bare = encodeChainItem({ head: entries[1]!.head, body: undefined });
  const item = splitItems(bare, CHAIN_ITEM_FORMAT).items[0]!;
  expect(decodeChainItem(item)).toEqual({ head: entries[1]!.head, body: undefined });
  expect(decodeChainSegment(bare).tornAt).toBe(0);
  expect(() => encodeChainItem({ head: entries[2]!.head, body: undefined })).toThrow(code('E_FAILED'));
  expect(() => decodeChainItem(entries[2]!.head.bytes)).toThrow(code('E_FORMAT'));
});

test('keys sort so that a listing from a place shows all that reaches it (K8)', () => {
  const agent = '0a'.repeat(16);
  const key = (incarnation: number, first: number, last: number) =>
    formatSegmentKey({ agent, incarnation, first, last, sha256: 'f'.repeat(16) });
  const from = segmentKeyFrom(agent, 1, 501);
  expect(key(1, 1, 1000) > from).toBe(true);
  expect(key(1, 501, 501) > from).toBe(true);
  expect(key(2, 400, 400) > from).toBe(true);
  expect(key(1, 400, 500) > from).toBe(false);
  expect(key(1, 1, 255)).toBe(`${agent}/log/00000001-00000000000000ff-0000000000000001-${'f'.repeat(16)}.seg`);
});

test('other names are not segments', () => {
  const agent = '0a'.repeat(16);
  const names = [
    `${agent}/log/00000001-0000000000000001-0000000000000002-${'f'.repeat(16)}.seg`,
    `${agent}/log/00000000-0000000000000001-0000000000000001-${'f'.repeat(16)}.seg`,
    `${agent}/log/00000001-0000000000000001-0000000000000000-${'f'.repeat(16)}.seg`,
    `${agent}/log/00000001-0001000000000000-0000000000000001-${'f'.repeat(16)}.seg`,
    `${agent}/log/00000001-0000000000000001-0000000000000001-${'F'.repeat(16)}.seg`,
    `${agent}/log/00000001-0000000000000001-0000000000000001.seg`,
    `x/${agent}/log/00000001-0000000000000001-0000000000000001-${'f'.repeat(16)}.seg`,
  ];
  for (const name of names) expect(parseSegmentKey(name), name).toBeUndefined();
});
