/** After an index was built from the disk alone: asks the buckets what lies there, so that nothing that was moved counts as lost. */
import {
  type AgentId,
  type Engine,
  isRelearned,
  learnPacks,
  noteRelearned,
  type ReportProgress,
  type ReportWarning,
  toEdgeError,
} from '@edgestore/engine';
import type { OpenStore } from './open-stores.ts';

/**
 * Does nothing when every store was asked since the index was built. A store that cannot be asked is warned of and asked again the next time; until
 * then its chunks are not known, and a sync stores them again rather than rely on them. `agent`: whose packs; of all agents when undefined.
 */
export async function relearnStores(
  engine: Pick<Engine, 'index' | 'clock'>,
  stores: ReadonlyMap<string, OpenStore>,
  agent: AgentId | undefined,
  deps: { readonly warn: ReportWarning; readonly progress?: ReportProgress; readonly signal?: AbortSignal },
): Promise<void> {
  const { index, clock } = engine;
  for (const [name, store] of stores) {
    if (isRelearned(index.kv, name)) continue;
    const { label } = store.objects;
    try {
      const learned = await learnPacks(
        { name, label, packs: store.packs, requireIdentity: store.requireIdentity },
        agent,
        {
          index: index.chunks,
          nowNs: clock.nowNs(),
          ...(deps.progress === undefined ? {} : { progress: deps.progress }),
        },
        deps.signal,
      );
      for (const { message } of learned.damaged) deps.warn({ code: 'store-damaged', message });
      noteRelearned(index.kv, name);
    } catch (error) {
      deps.signal?.throwIfAborted();
      deps.warn({
        code: 'store-not-learned',
        message: `what lies in ${label} is not known again yet: ${toEdgeError(error).message}`,
      });
    }
  }
}
