/** `snapshot show`. */
import { z } from 'zod';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { snapshotCopies } from './snapshot-copies.ts';
import { type SnapshotShowData, snapshotData } from './snapshot-data.ts';
import { findSnapshot, snapshotFlags } from './snapshot-spec.ts';

const input = z.object({ snapshot: z.string(), ...snapshotFlags });

export const snapshotShow = defineOperation<z.output<typeof input>, SnapshotShowData>({
  name: 'snapshot.show',
  input,
  mutates: false,
  run: async (spec, context) => {
    const opened = openedOf(context);
    const row = findSnapshot(spec, opened);
    const copies = await snapshotCopies(row, opened);
    return { data: { snapshot: { ...snapshotData(row, opened), copies } } };
  },
});
