import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '../core/ids.ts';
import { arbitraryHoldSteps, writeSteps } from '../testing/arbitrary-chain.ts';
import { chainWriter, makeForm, makeFormOfKey } from '../testing/chain-writer.ts';
import { encodeHoldCheckpoint, PARTS, summaryOf } from './checkpoint-parts.ts';
import { EntryKind } from './entry-head.ts';
import { type Form, isDelta, isSameForm } from './forms.ts';
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

/** The rules of the page, said another way: from all rows of the shard in the order in which they were listed. */
test('the state is what the page says: the first form, then distinct full ones, up to four, and sixteen of one key', () => {
  fc.assert(
    fc.property(arbitraryHoldSteps, (steps) => {
      const owner = chainWriter('page');
      writeSteps(owner, steps);
      const state = holdStateOf(owner.entries);
      let rows: { readonly shard: number; readonly seq: number; readonly form: Form }[] = [];
      steps.forEach((step, i) => {
        if (step.verb === 'record') return;
        const { shard } = step;
        for (const form of step.forms) {
          const ofId = rows.filter((row) => row.shard === shard && toHex(row.form.id) === toHex(form.id));
          const ofKey = rows.filter((row) => row.shard === shard && keyOf(row.form) === keyOf(form));
          if (step.verb === 'release') rows = rows.filter((row) => !ofId.includes(row));
          else if (ofKey.length >= 16) continue;
          else if (ofId.length === 0) rows = [...rows, { shard, seq: i + 1, form }];
          else if (!isDelta(form) && ofId.length < 4 && !ofId.some((row) => isSameForm(row.form, form)))
            rows = [...rows, { shard, seq: ofId[0]!.seq, form }];
        }
      });
      const said = [...state].flatMap(([shard, holds]) =>
        [...holds.values()].flatMap(({ addedSeq, forms }) => forms.map((form) => ({ shard, seq: addedSeq, form }))),
      );
      const inOrder = (some: typeof rows) =>
        [1, 2].flatMap((shard) =>
          [
            ...Map.groupBy(
              some.filter((row) => row.shard === shard),
              ({ form }) => toHex(form.id),
            ),
          ]
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([id, list]) => [shard, id, list[0]!.seq, ...list.map(({ form }) => toHex(form.sealedSha256))]),
        );
      expect(inOrder(said)).toEqual(inOrder(rows));
    }),
  );
  expect(holdStateOf([])).toBe(EMPTY_HOLDS);
});

const keyOf = ({ id }: Form): string => toHex(id.subarray(0, 6));

test('ids that begin with the same six bytes are held up to sixteen forms; a release makes room', () => {
  const owner = chainWriter('key');
  const forms = Array.from({ length: 40 }, (_, n) => makeFormOfKey(n));
  owner.add(1, forms);
  const ids = forms.map(({ id }) => toHex(id));
  expect([...holdStateOf(owner.entries).get(1)!.keys()]).toEqual(ids.slice(0, 16));
  owner.release(1, [forms[3]!.id]);
  owner.add(1, [forms[30]!, forms[31]!, makeForm(1)]);
  const after = holdStateOf(owner.entries).get(1)!;
  expect([30, 31].map((n) => after.has(ids[n]!))).toEqual([true, false]);
  expect(after.size).toBe(17);
});
