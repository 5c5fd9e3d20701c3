import { expect, it } from 'vitest';
import { EdgeError } from '../core/errors.ts';
import { scrubSegments } from './scrub-segments.ts';

const segment = { agent: 'aa'.repeat(16), incarnation: 1, first: 1, last: 2, sha256: 'bb'.repeat(8), bytes: 200 };

it('a segment that is gone with its disk is no damage, and nothing is put in its stead', async () => {
  const put: unknown[] = [];
  const scrubbed = scrubSegments(
    { agent: segment.agent, repair: true },
    {
      vault: {
        label: 'file:///archive',
        async *segments() {
          yield segment;
        },
        getSegment: async () => {
          throw new EdgeError('E_INTEGRITY', 'it is gone');
        },
        putSegment: async (...args) => void put.push(args),
      },
      requireIdentity: async () => {
        throw new EdgeError('E_NO_BUCKET', 'another place');
      },
      chains: { entries: async function* () {} },
      signal: new AbortController().signal,
    },
  );
  await expect(scrubbed).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
  expect(put).toEqual([]);
});
