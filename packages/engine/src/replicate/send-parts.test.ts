import { expect, test } from 'vitest';
import type { PeerLink } from '../core/ports/peer.ts';
import type { WantedParts } from '../ports/checkpoints.ts';
import type { ReplicateDeps } from './replicate-deps.ts';
import { sendParts, shardsToConfirm } from './send-parts.ts';

const NEWEST = { seq: 9, asOfSeq: 8 };

/** A holder that answers so, an owner whose parts are their own numbers, and what was done. */
function scene(answer: WantedParts, isHere: (byte: number) => boolean = () => true) {
  const done: string[] = [];
  const facts = new Map<string, string>();
  const link = {
    agent: 'ee'.repeat(16),
    name: 'dc-a',
    wantedParts: async () => answer,
    sendPart: async (_owner: string, { shard, seq, byte }: { shard: number; seq: number; byte: number }) =>
      void done.push(`part ${shard}/${seq}/${byte}`),
    joinByParts: async (_owner: string, shard: number, seq: number) => void done.push(`joined ${shard}/${seq}`),
  } as unknown as PeerLink;
  const deps = {
    self: { agentId: 'aa'.repeat(16) },
    chains: {
      shards: () => [{ shard: 1 }, { shard: 2 }],
      parts: {
        newest: (_: string, shard: number) => (shard === 1 ? NEWEST : undefined),
        read: async (_agent: string, _shard: number, _seq: number, byte: number) =>
          isHere(byte) ? Uint8Array.of(byte) : undefined,
      },
    },
    index: { kv: { get: (key: string) => facts.get(key), set: (key: string, value: string) => facts.set(key, value) } },
    onFalseCheckpoint: ({ shard, seq, by }: { shard: number; seq: number; by: string }) =>
      void done.push(`false ${shard}/${seq} at ${by}`),
  } as unknown as ReplicateDeps;
  return { link, deps, done };
}

test('a holder gets the parts that it lacks, and is told when all are there', async () => {
  const { link, deps, done } = scene({ seq: 9, lacking: [3, 200], judged: undefined });
  await sendParts(link, 1, deps);
  expect(done).toEqual(['part 1/9/3', 'part 1/9/200', 'joined 1/9']);
  expect(shardsToConfirm(link.agent, deps)).toEqual([1]);
});

test('where a part is not here any more, or the holder means another checkpoint, nothing is joined', async () => {
  const gone = scene({ seq: 9, lacking: [3, 4], judged: undefined }, (byte) => byte !== 4);
  await sendParts(gone.link, 1, gone.deps);
  expect(gone.done).toEqual(['part 1/9/3']);
  const older = scene({ seq: 5, lacking: [3], judged: undefined });
  await sendParts(older.link, 1, older.deps);
  expect(older.done).toEqual([]);
});

test.each(['proved', 'taken'] as const)(
  'a holder that says %s is not asked again for this checkpoint',
  async (verdict) => {
    const { link, deps, done } = scene({ seq: 0, lacking: [], judged: { seq: 9, verdict } });
    await sendParts(link, 1, deps);
    expect(shardsToConfirm(link.agent, deps)).toEqual([]);
    expect(shardsToConfirm('another', deps)).toEqual([1]);
    expect(done).toEqual([]);
  },
);

test('a checkpoint that a holder calls false is told, and asked for again; what it said of an older one is nothing', async () => {
  const { link, deps, done } = scene({ seq: 0, lacking: [], judged: { seq: 9, verdict: 'false' } });
  await sendParts(link, 1, deps);
  expect(done).toEqual(['false 1/9 at dc-a']);
  expect(shardsToConfirm(link.agent, deps)).toEqual([1]);
  const older = scene({ seq: 0, lacking: [], judged: { seq: 5, verdict: 'false' } });
  await sendParts(older.link, 1, older.deps);
  expect(older.done).toEqual([]);
});
