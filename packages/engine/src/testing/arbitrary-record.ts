/** fast-check arbitraries of record bodies, settings and the keys to write them with. */
import fc from 'fast-check';
import type { RecordBody, Settings, SnapshotBody } from '../log/record-body.ts';
import { arbitraryEntry } from './arbitrary-entry.ts';

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((list) => Buffer.from(list).toString('hex'));
const hash = hex(32);
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ maxLength: 30, unit: 'binary' }).filter((value) => value.isWellFormed());

/** A snapshot of a folder or of a single file. */
export const arbitrarySnapshot: fc.Arbitrary<SnapshotBody> = fc
  .record({
    root: text,
    path: fc.uint8Array({ maxLength: 60 }),
    timeNs: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    entry: arbitraryEntry.map((entry) => ({ ...entry, name: new Uint8Array(0) })),
    stats: fc.record({ files: count, dirs: count, others: count, bytes: count, newBytes: count, storedBytes: count }),
    failed: count,
    program: text,
    parent: fc.option(hash, { nil: undefined }),
    tags: fc.option(fc.dictionary(text, text, { minKeys: 1, maxKeys: 4, noNullPrototype: true }), { nil: undefined }),
    unfinished: fc.boolean(),
  })
  .map(({ parent, tags, unfinished, ...rest }) => ({
    type: 'snapshot',
    ...rest,
    ...(parent === undefined ? {} : { parent }),
    ...(tags === undefined ? {} : { tags }),
    ...(unfinished ? { unfinished } : {}),
  }));

export const arbitrarySettings: fc.Arbitrary<Settings> = fc.record({
  agentName: text,
  site: text,
  configJson: fc.json(),
  roots: fc
    .array(fc.record({ name: text, path: fc.uint8Array({ maxLength: 40 }) }), { maxLength: 3 })
    .map((roots) => roots.map((root, i) => ({ ...root, shard: i + 1 }))),
});

/** A record of any type, as the chain has it. */
export const arbitraryRecord: fc.Arbitrary<RecordBody> = fc.oneof<fc.Arbitrary<RecordBody>[]>(
  arbitrarySnapshot,
  hash.map((snapshot) => ({ type: 'forget', snapshot })),
  hash.map((snapshot) => ({ type: 'unpin', snapshot })),
  fc.tuple(hash, text).map(([snapshot, reason]) => ({ type: 'pin', snapshot, reason })),
  arbitrarySettings.map((value) => ({ type: 'settings', settings: value })),
  fc.array(hash, { minLength: 1, maxLength: 4 }).map((snapshots) => ({ type: 'damaged', snapshots })),
);
