import { type ChainEntry, EdgeError, type EntryBodies } from '@edgestore/engine';
import { decodeEntries } from './chain-wire.ts';

/** Entries of a chain, page by page. `get` answers the body for a path. */
export async function* fetchEntries(
  owner: string,
  options: {
    readonly afterSeq: number;
    readonly bodies: EntryBodies;
    readonly branch?: string;
    /** Takes what the peer has around damaged entries, instead of an error. */
    readonly leavesGaps?: boolean;
  },
  get: (path: string) => Promise<Uint8Array>,
): AsyncGenerator<ChainEntry> {
  let after = options.afterSeq;
  for (;;) {
    const branch = options.branch === undefined ? '' : `&branch=${options.branch}`;
    const gaps = options.leavesGaps === true ? '&gaps=1' : '';
    const path = `/peer/1/entries?owner=${owner}&after=${after}&bodies=${options.bodies}${branch}${gaps}`;
    const page = decodeEntries(await get(path));
    if (page.length === 0) return;
    for (const entry of page) {
      // A peer that repeats itself would keep us for ever.
      const { seq } = entry.head.header;
      if (seq <= after || (seq !== after + 1 && options.leavesGaps !== true))
        throw new EdgeError('E_FORMAT', 'a peer sent entries out of order');
      after = seq;
      yield entry;
    }
  }
}
