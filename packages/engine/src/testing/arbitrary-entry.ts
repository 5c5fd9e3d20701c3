/** fast-check arbitraries of tree entries: every kind, hostile but legal names, times of any sign, all metadata. */
import fc from 'fast-check';
import type { Content, Entry, EntryType, Hole, PosixMeta, Xattr } from '../tree/entry.ts';

const sized = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hexOf = (value: Uint8Array): string => Buffer.from(value).toString('hex');

/** Any name that a file system could hand out: bytes without slash and NUL. */
export const arbitraryName: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 0x2f),
    { minLength: 1, maxLength: 40 },
  )
  .map((list) => Uint8Array.from(list))
  .filter((name) => !['2e', '2e2e'].includes(hexOf(name)));

const xattrs: fc.Arbitrary<Xattr[]> = fc
  .uniqueArray(fc.record({ name: arbitraryName, value: fc.uint8Array({ maxLength: 80 }) }), {
    minLength: 1,
    maxLength: 3,
    selector: ({ name }) => hexOf(name),
  })
  .map((list) => list.sort((a, b) => Buffer.compare(a.name, b.name)));

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });

const posix: fc.Arbitrary<PosixMeta> = fc
  .record({
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: uint32,
    gid: uint32,
    xattrs: fc.option(xattrs, { nil: undefined, freq: 3 }),
  })
  .map(({ xattrs: list, ...rest }) => (list === undefined ? rest : { ...rest, xattrs: list }));

const refs = fc.array(fc.record({ id: sized(32), length: fc.integer({ min: 1, max: 4 * 1024 * 1024 }) }), {
  maxLength: 5,
});

const holes: fc.Arbitrary<Hole[]> = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 40 })), { maxLength: 3 })
  .map((gaps) => {
    let end = 0;
    return gaps.map(([gap, length]) => {
      const hole = { offset: end + gap, length };
      end = hole.offset + length;
      return hole;
    });
  });

type Body = Omit<Entry, 'name' | 'mtimeNs' | 'posix'>;

const inlineFile: fc.Arbitrary<Body> = fc.tuple(refs, fc.boolean(), fc.boolean()).map(([list, changed, sparse]) => {
  const contentBytes = list.reduce((sum, { length }) => sum + length, 0);
  return {
    type: 'file',
    size: contentBytes + (sparse ? 1000 : 0),
    content: { form: 'inline', refs: list },
    ...(sparse ? { holes: [{ offset: contentBytes, length: 1000 }] } : {}),
    ...(changed ? { changedWhileRead: true } : {}),
  };
});

const listedFile: fc.Arbitrary<Body> = fc
  .tuple(
    refs.filter((list) => list.length > 0),
    holes,
    fc.integer({ min: 1, max: 2 ** 45 }),
  )
  .map(([lists, gaps, rest]) => {
    const last = gaps.at(-1);
    const content: Content = { form: 'lists', lists };
    const size = (last === undefined ? 0 : last.offset + last.length) + rest;
    return { type: 'file', size, content, ...(gaps.length > 0 ? { holes: gaps } : {}) };
  });

const dir: fc.Arbitrary<Body> = fc.array(sized(32), { maxLength: 3 }).map((pages) => ({ type: 'dir', pages }));
const symlink: fc.Arbitrary<Body> = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 100 })
  .map((target) => ({ type: 'symlink', target: Uint8Array.from(target) }));
const bare: fc.Arbitrary<Body> = fc.constantFrom<EntryType>('fifo', 'chardev', 'blockdev').map((type) => ({ type }));

/** One entry of any kind that may be written; decoding gives it back deeply equal. */
export const arbitraryEntry: fc.Arbitrary<Entry> = fc
  .record({
    name: arbitraryName,
    body: fc.oneof(inlineFile, listedFile, dir, symlink, bare),
    mtimeNs: fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    posix,
    hardLink: fc.option(sized(16), { nil: undefined, freq: 3 }),
    rdev: fc.record({ major: uint32, minor: uint32 }),
  })
  .map(({ name, body, mtimeNs, posix: meta, hardLink, rdev }) => ({
    name,
    ...body,
    mtimeNs,
    posix: body.type === 'chardev' || body.type === 'blockdev' ? { ...meta, rdev } : meta,
    ...(hardLink === undefined || body.type === 'dir' ? {} : { hardLink }),
  }));

/** Entries of one folder, names distinct, in any order. */
export const arbitraryFolder: fc.Arbitrary<Entry[]> = fc.uniqueArray(arbitraryEntry, {
  maxLength: 20,
  selector: ({ name }) => hexOf(name),
});
