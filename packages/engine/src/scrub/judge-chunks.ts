/** Whether a chunk has a copy in any place that this agent knows of, or that it can ask. */
import { isEdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { ScrubDeps, ScrubPlace } from './scrub-types.ts';

/** `unknown`: no copy is known, but a place that may have one could not be asked. */
export type Verdict = 'kept' | 'lost' | 'unknown';

export interface Judge {
  /** At the positions of `ids`. `isOwn`: a snapshot of this agent needs them, so answers of targets say where they are. */
  judge(ids: readonly ChunkId[], isOwn: boolean): Promise<Verdict[]>;
  /** Places that could not be asked although they may know more. */
  unasked(): string[];
}

export function createJudge(deps: Pick<ScrubDeps, 'index' | 'places' | 'signal' | 'warn'>): Judge {
  // Each further try may cost a whole timeout.
  const away = new Set<ScrubPlace>();
  const unasked = new Set<string>();

  async function ask(source: SealedSource, ids: readonly ChunkId[]): Promise<Verdict[] | undefined> {
    try {
      return (await source.locate(ids, deps.signal)).map((found) => {
        if (found === undefined) return 'lost';
        return found.marked === undefined ? 'kept' : found.marked === 'unreadable' ? 'unknown' : 'lost';
      });
    } catch (error) {
      deps.signal?.throwIfAborted();
      if (!isEdgeError(error)) throw error;
      deps.warn({ code: error.code, message: `${source.label} could not be asked what it has: ${error.message}` });
      return undefined;
    }
  }

  return {
    unasked: () => [...unasked],
    async judge(ids, isOwn) {
      const copies = deps.index.allCopies(ids);
      const sealed = deps.index.unknownPacks()[0];
      const verdicts = ids.map<Verdict>((id, i) => {
        const own = copies[i]!;
        if (own.some(({ marked }) => marked === undefined) || deps.places.isPlaced(id)) return 'kept';
        const unread = own.find(({ marked }) => marked === 'unreadable');
        // An error of reading is not a loss: neither of the copy, nor of a pack of which nobody knows what is in it.
        const store = unread?.store ?? sealed?.store;
        if (store === undefined) return 'lost';
        unasked.add(store === '' ? 'this disk' : store);
        return 'unknown';
      });
      for (const place of deps.places.others) {
        const open = verdicts.flatMap((verdict, i) => (verdict === 'kept' ? [] : [i]));
        if (open.length === 0) break;
        const wanted = open.map((i) => ids[i]!);
        const answer = place.source === undefined || away.has(place) ? undefined : await ask(place.source, wanted);
        if (answer === undefined) {
          away.add(place);
          if (isOwn && !place.mayKnowMore) continue;
          unasked.add(place.label);
        }
        for (const [at, i] of open.entries()) {
          if (answer === undefined) verdicts[i] = 'unknown';
          else if (answer[at] !== 'lost') verdicts[i] = answer[at]!;
        }
      }
      return verdicts;
    },
  };
}
