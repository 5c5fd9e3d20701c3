/**
 * Asks buckets before a capture counts what lies in them (docs/chain.md 6.1). Copies in a bucket that is not there now, or
 * is another one, do not count: the capture stores such chunks again when it reads a file with them.
 */
import { type Engine, type PackMark, type ReportWarning, type StoreName, toEdgeError } from '@edgestore/engine';
import type { OpenStore } from './open-stores.ts';

/** An edge without a line captures all the same: it waits no longer for its buckets. */
const ASK_MS_MAX = 3000;

interface AskDeps {
  readonly engine: Pick<Engine, 'index' | 'clock'>;
  readonly stores: ReadonlyMap<string, Pick<OpenStore, 'objects' | 'requireIdentity'>>;
}

/**
 * Packs in a store that the configuration does not name any more are marked as gone; they count again when a listing
 * has them.
 */
export async function askColdStores(
  { engine: { index, clock }, stores }: AskDeps,
  deps: { readonly warn: ReportWarning; readonly signal?: AbortSignal },
): Promise<void> {
  const { chunks } = index;
  const byStore = Map.groupBy(chunks.packs(), ({ store }) => store);
  byStore.delete('');
  const away = new Set<StoreName>();
  await Promise.all(
    [...byStore].map(async ([name, packs]) => {
      const store = stores.get(name);
      if (store === undefined) {
        away.add(name);
        const gone = packs
          .filter(({ marked }) => marked !== 'absent')
          .map(({ name: pack }): PackMark => ({ name: pack, reason: 'absent', why: `no store ${name} is configured` }));
        if (gone.length === 0) return;
        chunks.markPacks(gone, name);
        deps.warn({
          code: 'W_STORE_NOT_CONFIGURED',
          message: `the store ${name} is not configured any more: its ${gone.length} pack(s) count no more, and what files still have of them is stored again`,
        });
        return;
      }
      if (packs.every(({ marked }) => marked === 'absent')) return;
      const problem = await asked(store, clock, deps.signal);
      if (problem === undefined) return;
      away.add(name);
      deps.warn({
        code: 'W_STORE_AWAY',
        message: `what lies in ${store.objects.label} is not counted now, and is stored again where a file that needs it is read: ${problem}`,
      });
    }),
  );
  chunks.countAllBut(away);
}

/** Why the store cannot be counted on now; undefined when it can. */
async function asked(
  store: Pick<OpenStore, 'requireIdentity'>,
  clock: AskDeps['engine']['clock'],
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const timeUp = new AbortController();
  const stop = signal === undefined ? timeUp.signal : AbortSignal.any([timeUp.signal, signal]);
  const late = clock.sleep(ASK_MS_MAX, stop).then(
    () => `it did not answer within ${ASK_MS_MAX / 1000} s`,
    () => undefined,
  );
  try {
    const problem = await Promise.race([late, store.requireIdentity(stop).then(() => undefined)]);
    // A wait that was cut off says nothing of the store.
    signal?.throwIfAborted();
    return problem;
  } catch (error) {
    signal?.throwIfAborted();
    return toEdgeError(error).message;
  } finally {
    timeUp.abort();
  }
}
