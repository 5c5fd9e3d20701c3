import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arbitraryHoldSteps, writeSteps } from '../testing/arbitrary-chain.ts';
import { chainWriter, makeForm } from '../testing/chain-writer.ts';
import {
  changesOfByte,
  decodeHoldCheckpoint,
  decodePart,
  encodeHoldCheckpoint,
  HOLD_CHECKPOINT_BYTES,
  mergePart,
  PARTS,
  partOfHolds,
  requirePart,
  summaryOf,
} from './checkpoint-parts.ts';
import { FORM_BYTES, type Form } from './forms.ts';
import { type HeldId, holdStateOf } from './hold-state.ts';
import type { WholeEntry } from './record-entry.ts';

const code = (name: string) => expect.objectContaining({ code: name });
const nothing = new Uint8Array(0);
const bytes = Array.from({ length: PARTS }, (_, byte) => byte);

/** All parts of a shard, made from files: the parts before and the bodies since then. */
function mergeAll(previous: readonly Uint8Array[], entries: readonly WholeEntry[], shard: number): Uint8Array[] {
  const ofShard = entries.filter(({ head }) => head.header.shard === shard);
  return bytes.map((byte) =>
    mergePart(
      previous[byte] ?? nothing,
      ofShard.flatMap((entry) => changesOfByte(entry, byte)),
    ),
  );
}

test('the hold state of all entries is that of checkpoint parts and the entries after them', () => {
  fc.assert(
    fc.property(arbitraryHoldSteps, fc.nat(25), fc.nat(25), (steps, first, second) => {
      const owner = chainWriter('merge');
      writeSteps(owner, steps);
      const [a, b] = [first, second].sort((x, y) => x - y) as [number, number];
      for (const shard of [1, 2]) {
        const early = mergeAll([], owner.entries.slice(0, a), shard);
        const late = mergeAll(early, owner.entries.slice(a, b), shard);
        const all = mergeAll(late, owner.entries.slice(b), shard);
        const holds = holdStateOf(owner.entries).get(shard) ?? new Map<string, HeldId>();
        expect(all.map((part) => Buffer.from(part).toString('hex'))).toEqual(
          bytes.map((byte) => Buffer.from(partOfHolds(holds, byte)).toString('hex')),
        );
        const rows = bytes.flatMap((byte) => decodePart(all[byte]!, byte, owner.entries.length));
        expect(rows.length).toBe([...holds.values()].reduce((sum, held) => sum + held.forms.length, 0));
        for (const row of rows) expect(holds.get(Buffer.from(row.id).toString('hex'))?.addedSeq).toBe(row.addedSeq);
      }
    }),
    { numRuns: 60 },
  );
});

test('a checkpoint reads back and names its parts', () => {
  const owner = chainWriter('names');
  owner.add(1, [makeForm(1), makeForm(2), makeForm(1, 2)]);
  const parts = mergeAll([], owner.entries, 1);
  const checkpoint = { asOfSeq: 1, parts: parts.map(summaryOf) };
  const body = encodeHoldCheckpoint(checkpoint);
  expect(body.length).toBe(HOLD_CHECKPOINT_BYTES);
  expect(body.length).toBe(9224);
  expect(decodeHoldCheckpoint(body, 2)).toEqual(checkpoint);
  parts.forEach((part, byte) => {
    requirePart(checkpoint, byte, part);
  });
  const byte = makeForm(1).id[0]!;
  expect(() => requirePart(checkpoint, byte, nothing)).toThrow(code('E_INTEGRITY'));
  for (let place = 0; place < parts[byte]!.length * 8; place++) {
    const bad = new Uint8Array(parts[byte]!);
    bad[place >> 3]! ^= 1 << (place & 7);
    expect(() => requirePart(checkpoint, byte, bad)).toThrow(code('E_INTEGRITY'));
  }
});

test('a checkpoint lies behind its as-of seq, and has 256 parts', () => {
  const parts = bytes.map(() => summaryOf(nothing));
  const body = encodeHoldCheckpoint({ asOfSeq: 7, parts });
  expect(decodeHoldCheckpoint(body, 8).asOfSeq).toBe(7);
  expect(() => decodeHoldCheckpoint(body, 7)).toThrow(code('E_FORMAT'));
  expect(() => decodeHoldCheckpoint(body.subarray(1))).toThrow(code('E_FORMAT'));
  expect(() => encodeHoldCheckpoint({ asOfSeq: 7, parts: parts.slice(1) })).toThrow(code('E_FAILED'));
  const huge = new Uint8Array(body);
  huge.fill(0xff, 0, 8);
  expect(() => decodeHoldCheckpoint(huge)).toThrow(code('E_FORMAT'));
});

/** A part that holds these rows, whether or not they may stand together. */
function partOf(rows: readonly (readonly [Form, number])[]): Uint8Array {
  const parts = rows.map(([form, addedSeq]) =>
    partOfHolds(new Map([[Buffer.from(form.id).toString('hex'), { addedSeq, forms: [form] }]]), form.id[0]!),
  );
  return Buffer.concat(parts);
}

test('parts that no chain makes are refused', () => {
  const id = (last: number) => {
    const out = new Uint8Array(32).fill(5);
    out[31] = last;
    return out;
  };
  const form = (last: number, number = 1, formClass: Form['formClass'] = 'data') =>
    makeForm(0, number, { id: id(last), formClass });
  const good = partOf([
    [form(1, 1, 'data-delta'), 3],
    [form(1, 2), 3],
    [form(2), 9],
  ]);
  expect(decodePart(good, 5, 9)).toHaveLength(3);
  const refused: [string, Uint8Array, number, number][] = [
    ['another byte', good, 6, 9],
    ['added after the as-of seq', good, 5, 8],
    ['a length that is not rows', good.subarray(1), 5, 9],
    ['not sorted', partOf([[form(2), 1], [form(1), 1]]), 5, 9], // biome-ignore format: pairs
    ['two added seqs of one id', partOf([[form(1, 1), 1], [form(1, 2), 2]]), 5, 9], // biome-ignore format: pairs
    ['one form twice', partOf([[form(1, 1), 1], [form(1, 1), 1]]), 5, 9], // biome-ignore format: pairs
    ['a delta behind another form', partOf([[form(1, 1), 1], [form(1, 2, 'meta-delta'), 1]]), 5, 9], // biome-ignore format: pairs
    ['five forms', partOf([1, 2, 3, 4, 5].map((number) => [form(1, number), 1] as const)), 5, 9],
    ['added seq 0', partOf([[form(1), 0]]), 5, 9],
  ];
  for (const [name, part, byte, asOfSeq] of refused)
    expect(() => decodePart(part, byte, asOfSeq), name).toThrow(code('E_FORMAT'));
  expect(good.length).toBe(3 * FORM_BYTES);
});
