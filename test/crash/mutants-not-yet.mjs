/**
 * Mutants that the reviews of the chain ask for and that this version has no place for, each with the reason.
 * `mutants.mjs` prints them.
 */
export const NOT_YET = [
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
