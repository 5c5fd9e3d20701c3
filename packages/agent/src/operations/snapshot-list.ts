/** `snapshot list`. */
import { z } from 'zod';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { type SnapshotListData, snapshotData } from './snapshot-data.ts';
import { findAgent, requireKnownRoot } from './snapshot-spec.ts';

const input = z.object({
  root: z.string().optional(),
  agent: z.string().optional(),
  includeForgotten: z.boolean().default(false),
});

export const snapshotList = defineOperation<z.output<typeof input>, SnapshotListData>({
  name: 'snapshot.list',
  input: input as z.ZodType<z.output<typeof input>>,
  mutates: false,
  run: async ({ root, agent, includeForgotten }, context) => {
    const opened = openedOf(context);
    const { engine } = opened;
    const of = agent === 'all' ? undefined : agent === undefined ? engine.identity.agentId : findAgent(agent, opened);
    if (root !== undefined) requireKnownRoot(root, of, opened);
    const rows = engine.index.log.snapshots({
      ...(of === undefined ? {} : { agent: of }),
      ...(root === undefined ? {} : { root }),
      includeForgotten,
    });
    const byTime = rows.toSorted((a, b) =>
      a.body.timeNs < b.body.timeNs ? -1 : a.body.timeNs > b.body.timeNs ? 1 : 0,
    );
    return { data: { snapshots: byTime.map((row) => snapshotData(row, opened)) } };
  },
});
