import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '../core/ids.ts';
import { arbitraryHoldSteps, writeSteps } from '../testing/arbitrary-chain.ts';
import { chainWriter, makeForm } from '../testing/chain-writer.ts';
import { encodeHoldCheckpoint, PARTS, summaryOf } from './checkpoint-parts.ts';
import { EntryKind } from './entry-head.ts';
import { type HeldForm, isDelta } from './forms.ts';
import { applyEntry, EMPTY_HOLDS, holdStateOf, isHeldAnywhere } from './hold-state.ts';

const idOf = (number: number) => toHex(makeForm(number).id);

test('the first form of an id makes it held, with the seq of its entry', () => {
  const owner = chainWriter('first');
  owner.takeover();
  owner.add(1, [makeForm(1, 1, { formClass: 'data-delta' }), makeForm(2)]);
  const state = holdStateOf(owner.entries);
  expect(state.get(1)?.get(idOf(1))).toEqual({ addedSeq: 2, forms: [makeForm(1, 1, { formClass: 'data-delta' })] });
  expect(state.get(1)?.get(idOf(2))?.addedSeq).toBe(2);
});

test('a held id takes full forms up to four; a fifth, a listed one and a delta change nothing', () => {
  const owner = chainWriter('forms');
  for (const form of [1, 2, 2, 3]) owner.add(1, [makeForm(1, form)]);
  owner.add(1, [makeForm(1, 9, { formClass: 'data-delta' })]);
  owner.add(1, [makeForm(1, 10, { formClass: 'meta-delta' })]);
  owner.add(1, [makeForm(1, 4), makeForm(1, 5)]);
  owner.add(1, [makeForm(1, 6)]);
  const held = holdStateOf(owner.entries).get(1)?.get(idOf(1));
  expect(held).toEqual({ addedSeq: 1, forms: [1, 2, 3, 4].map((form) => makeForm(1, form)) });
});

test('a release takes the id with all its forms; of an id that is not held it changes nothing', () => {
  const owner = chainWriter('release');
  owner.add(1, [makeForm(1), makeForm(1, 2)]);
  owner.release(1, [makeForm(1).id, makeForm(2).id]);
  expect(holdStateOf(owner.entries).get(1)?.size).toBe(0);
  owner.add(1, [makeForm(1, 2)]);
  expect(holdStateOf(owner.entries).get(1)?.get(idOf(1))).toEqual({ addedSeq: 3, forms: [makeForm(1, 2)] });
});

test('shards are apart; records and hold checkpoints change nothing, whatever the parts are', () => {
  const owner = chainWriter('apart');
  owner.add(1, [makeForm(1)]);
  owner.add(2, [makeForm(1)]);
  const before = holdStateOf(owner.entries);
  expect(applyEntry(before, owner.record())).toBe(before);
  const empty = encodeHoldCheckpoint({ asOfSeq: 1, parts: Array(PARTS).fill(summaryOf(new Uint8Array(0))) });
  expect(applyEntry(before, owner.clear(EntryKind.holdCheckpoint, empty, 1))).toBe(before);
  owner.release(1, [makeForm(1).id]);
  const after = holdStateOf(owner.entries);
  expect(after.get(1)?.size).toBe(0);
  expect(isHeldAnywhere(after, makeForm(1).id)).toBe(true);
  expect(isHeldAnywhere(after, makeForm(2).id)).toBe(false);
});

/** The rules of the page, said another way: from the list of all adds since the last release. */
test('the state is what the page says: the first form, then distinct full ones, up to four', () => {
  fc.assert(
    fc.property(arbitraryHoldSteps, (steps) => {
      const owner = chainWriter('page');
      writeSteps(owner, steps);
      const state = holdStateOf(owner.entries);
      const adds = new Map<string, HeldForm[]>();
      steps.forEach((step, i) => {
        if (step.verb === 'record') return;
        for (const form of step.forms) {
          const key = `${step.shard} ${toHex(form.id)}`;
          if (step.verb === 'release') adds.delete(key);
          else adds.set(key, [...(adds.get(key) ?? []), { ...form, addedSeq: i + 1 }]);
        }
      });
      for (const [key, list] of adds) {
        const [shard = '', id = ''] = key.split(' ');
        const full = list.filter((form, i) => i === 0 || !isDelta(form));
        const distinct = new Set(full.map(({ sealedSha256 }) => toHex(sealedSha256)));
        const held = state.get(Number(shard))?.get(id);
        expect(held?.addedSeq).toBe(list[0]?.addedSeq);
        expect(held?.forms.map(({ sealedSha256 }) => toHex(sealedSha256))).toEqual([...distinct].slice(0, 4));
      }
      expect([...state.values()].reduce((sum, holds) => sum + holds.size, 0)).toBe(adds.size);
    }),
  );
  expect(holdStateOf([])).toBe(EMPTY_HOLDS);
});
