/** fast-check arbitraries of hold entries: few ids and forms, so that adds meet what is held. */
import fc from 'fast-check';
import type { Form } from '../chain/forms.ts';
import type { ChainWriter } from './chain-writer.ts';
import { makeForm, makeFormOfKey } from './chain-writer.ts';

export type HoldStep =
  | { readonly verb: 'add'; readonly shard: number; readonly forms: readonly Form[] }
  | { readonly verb: 'release'; readonly shard: number; readonly forms: readonly Form[] }
  | { readonly verb: 'record' };

const IDS = 12;
const forms = Array.from({ length: IDS * 7 }, (_, i) => {
  const number = Math.floor(i / IDS);
  // Two of seven forms of an id are deltas. Half of the ids have one key: together they may have more forms than are
  // listed.
  const make = i % IDS < IDS / 2 ? makeForm : makeFormOfKey;
  return make(i % IDS, number, { formClass: number >= 5 ? 'data-delta' : 'data' });
});
/** A form of one of twelve chunks. */
export const arbitrarySmallForm: fc.Arbitrary<Form> = fc.constantFrom(...forms);

const some = fc.array(arbitrarySmallForm, { minLength: 1, maxLength: 8 });
const shard = fc.integer({ min: 1, max: 2 });
const holdStep: fc.Arbitrary<HoldStep> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ verb: fc.constant('add' as const), shard, forms: some }) },
  { weight: 2, arbitrary: fc.record({ verb: fc.constant('release' as const), shard, forms: some }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('record' as const) }) },
);
export const arbitraryHoldSteps: fc.Arbitrary<HoldStep[]> = fc.array(holdStep, { maxLength: 25 });

/** Writes the steps as entries. */
export function writeSteps(writer: ChainWriter, steps: readonly HoldStep[]): void {
  for (const step of steps) {
    if (step.verb === 'record') writer.record();
    else if (step.verb === 'add') writer.add(step.shard, step.forms);
    else
      writer.release(
        step.shard,
        step.forms.map(({ id }) => id),
      );
  }
}
