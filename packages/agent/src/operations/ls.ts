/** `ls`: what a snapshot holds at a path. */
import { listTree, openTreeReader } from '@edgestore/engine';
import { z } from 'zod';
import { type ListingData, listedEntry } from './listed-entry.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { readerDeps } from './reader-deps.ts';
import { findSnapshot, resolved, snapshotFlags, splitSpec } from './snapshot-spec.ts';

const input = z.object({ snapshot: z.string(), ...snapshotFlags, recursive: z.boolean().default(false) });

export const ls = defineOperation<z.output<typeof input>, ListingData>({
  name: 'ls',
  input: input as z.ZodType<z.output<typeof input>>,
  mutates: false,
  run: async (given, context) => {
    const opened = openedOf(context);
    const spec = splitSpec(given.snapshot);
    const row = findSnapshot({ ...given, snapshot: spec.snapshot }, opened);
    const reader = openTreeReader(readerDeps(opened, context));
    const options = { recursive: given.recursive, signal: context.signal };
    let count = 0;
    for await (const { path, entry } of listTree(reader, row.body.entry, spec.path, options)) {
      count++;
      await context.emit(listedEntry(path, entry));
    }
    return { data: { ...resolved(row), count } };
  },
});
