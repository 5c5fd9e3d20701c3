/** Mutants that the reviews of the chain ask for and that this version has no place for, each with the reason. `mutants.mjs` prints them. */
export const NOT_YET = [
  {
    name: 'a store jumps to a checkpoint without the trail',
    reason:
      'no store takes a hold checkpoint: each gets the whole chain, entry by entry (the mutant "an entry is taken although one before it is missing" is noticed)',
  },
  {
    name: 'a hold checkpoint changes the state that a store keeps',
    reason: 'the reference function has this mutant; the index reads no hold checkpoint',
  },
  {
    name: 'a checkpoint is believed against the chain',
    reason:
      'no store takes a hold checkpoint; chain/checkpoint-parts.test.ts compares parts with what the entries come to',
  },
  {
    name: 'ids in grace are left out of the branch',
    reason:
      'this version does leave them out: a branch holds what was held at its tip (docs/chain.md 9.2 asks for more)',
  },
  { name: 'the base of a held delta form is deleted', reason: 'no delta forms are made' },
  {
    name: 'the layout changes between the statements and the drop',
    reason: 'there is one layout; a statement under another one is refused, which has mutants',
  },
  {
    name: 'a pack of a bucket is deleted before the segment with its release is listed',
    reason: 'nothing is deleted in a bucket',
  },
  {
    name: 'a collection goes on after a restart without the snapshots that were recorded since its walk',
    reason: 'no command collects own chunks',
  },
];
