/** `find`: entries by a glob, in every snapshot or in some. */
import { EdgeError, findInTree, openTreeReader } from '@edgestore/engine';
import { z } from 'zod';
import { type ListedEntry, type ListingData, listedEntry } from './listed-entry.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { readerDeps } from './reader-deps.ts';
import { findAgent, findSnapshot, requireKnownRoot, resolved, snapshotFlags } from './snapshot-spec.ts';

export interface FoundEntry extends ListedEntry {
  readonly snapshot: string;
  readonly root: string;
}

const input = z.object({ glob: z.string(), snapshot: z.string().optional(), ...snapshotFlags });

const countOf = (snapshots: number): string => (snapshots === 1 ? 'one snapshot' : `${snapshots} snapshots`);

export const find = defineOperation<z.output<typeof input>, ListingData>({
  name: 'find',
  input,
  mutates: false,
  run: async ({ glob, ...spec }, context) => {
    const opened = openedOf(context);
    const { index, identity } = opened.engine;
    const one = spec.snapshot === undefined ? undefined : findSnapshot({ ...spec, snapshot: spec.snapshot }, opened);
    const agent = spec.agent === undefined ? identity.agentId : findAgent(spec.agent, opened);
    if (one === undefined && spec.root !== undefined) requireKnownRoot(spec.root, agent, opened);
    const rows =
      one === undefined
        ? index.log.snapshots({ agent, ...(spec.root === undefined ? {} : { root: spec.root }) })
        : [one];
    const reader = openTreeReader(readerDeps(opened, context));
    let count = 0;
    for (const row of rows) {
      for await (const { path, entry } of findInTree(reader, row.body.entry, glob, context.signal)) {
        count++;
        await context.emit({ snapshot: row.id, root: row.body.root, ...listedEntry(path, entry) } satisfies FoundEntry);
      }
    }
    if (rows.length === 0) context.warn({ code: 'W_NO_SNAPSHOTS', message: 'there are no snapshots to look in' });
    else if (count === 0) {
      throw new EdgeError('E_NOT_FOUND', `nothing matches ${JSON.stringify(glob)} in ${countOf(rows.length)}`, {
        hint: glob.startsWith('/')
          ? 'A pattern is compared with the path below the root, such as `albums/*.jpg`; for a path of this machine there is `edgestore where PATH`.'
          : 'A pattern without a slash is compared with names, one with a slash with whole paths below the root; * is any text.',
      });
    }
    return { data: { ...(one === undefined ? {} : resolved(one)), count } };
  },
});
