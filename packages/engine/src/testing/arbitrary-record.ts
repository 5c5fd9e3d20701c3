/** fast-check arbitraries of record bodies, settings and the keys to write them with. */
import fc from 'fast-check';
import type { Head, RecordBody, Settings, SnapshotBody } from '../log/record-body.ts';
import { arbitraryEntry } from './arbitrary-entry.ts';

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((list) => Buffer.from(list).toString('hex'));
const hash = hex(32);
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ maxLength: 30, unit: 'binary' }).filter((value) => value.isWellFormed());

const head: fc.Arbitrary<Head> = fc.record({
  incarnation: fc.integer({ min: 1, max: 0xffff_ffff }),
  seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  hash,
});

/** A snapshot of a folder or of a single file. */
export const arbitrarySnapshot: fc.Arbitrary<SnapshotBody> = fc
  .record({
    root: text,
    path: fc.uint8Array({ maxLength: 60 }),
    timeNs: fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
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

const checkpoint = fc.record({
  head,
  snapshots: fc.array(
    fc.record({ id: hash, incarnation: fc.integer({ min: 1, max: 9 }), seq: count, body: arbitrarySnapshot }),
    { maxLength: 3 },
  ),
  pins: fc.array(fc.record({ snapshot: hash, reason: text }), { maxLength: 3 }),
  settings: fc.option(arbitrarySettings, { nil: undefined }),
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

/** A body of any type of the log. */
export const arbitraryBody: fc.Arbitrary<RecordBody> = fc.oneof<fc.Arbitrary<RecordBody>[]>(
  arbitrarySnapshot,
  hash.map((snapshot) => ({ type: 'forget', snapshot })),
  hash.map((snapshot) => ({ type: 'unpin', snapshot })),
  fc.tuple(hash, text).map(([snapshot, reason]) => ({ type: 'pin', snapshot, reason })),
  arbitrarySettings.map((value) => ({ type: 'settings', settings: value })),
  fc
    .tuple(fc.uint8Array({ maxLength: 80 }), fc.option(head, { nil: undefined }))
    .map(([card, base]) => ({ type: 'takeover', card, base })),
  checkpoint.map((value) => ({ type: 'checkpoint', checkpoint: value })),
);
