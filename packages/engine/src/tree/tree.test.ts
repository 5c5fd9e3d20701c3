import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEdgeError } from '../core/errors.ts';
import { INLINE_CONTENT_REFS_MAX, LIST_CHUNK_REFS_MAX } from '../core/limits.ts';
import { arbitraryEntry, arbitraryFolder } from '../testing/arbitrary-entry.ts';
import { checkPageOrder } from './check-page-order.ts';
import { compareNames } from './compare-names.ts';
import { decodeList, encodeContent, encodeList } from './content-list.ts';
import { decodeEntry } from './decode-entry.ts';
import { decodePage } from './decode-page.ts';
import { encodeEntry } from './encode-entry.ts';
import { encodeFolder } from './encode-pages.ts';
import type { ContentRef, Entry } from './entry.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
const file: Entry = {
  name: bytes('a'),
  type: 'file',
  mtimeNs: 0n,
  posix: { mode: 0o644, uid: 0, gid: 0 },
  size: 0,
  content: { form: 'inline', refs: [] },
};

test('a folder decodes to the entries that were encoded, in order of their name bytes', () => {
  fc.assert(
    fc.property(arbitraryFolder, (entries) => {
      const pages = encodeFolder(entries);
      const back = pages.flatMap((page) => decodePage(page));
      expect(back).toEqual([...entries].sort((a, b) => compareNames(a.name, b.name)));
      let last: Uint8Array | undefined;
      for (const page of pages) last = checkPageOrder(last, decodePage(page));
    }),
  );
});

test('the order of entries given does not change the pages', () => {
  fc.assert(
    fc.property(arbitraryFolder, (entries) => {
      expect(encodeFolder([...entries].reverse())).toEqual(encodeFolder(entries));
    }),
  );
});

test('the hand-written encoding is what cborg writes by RFC 8949', () => {
  fc.assert(
    fc.property(arbitraryEntry, (entry) => {
      expect(toHex(encodeEntry(entry))).toBe(toHex(encode(generalForm(entry), rfc8949EncodeOptions)));
    }),
  );
  fc.assert(
    fc.property(arbitraryFolder, (entries) => {
      for (const page of encodeFolder(entries)) {
        const general = decode(page, { useMaps: true });
        expect(toHex(page)).toBe(toHex(encode(general, rfc8949EncodeOptions)));
      }
    }),
  );
});

test('an entry of a later version keeps its unknown fields when it is written again, and a critical one is refused', () => {
  const later = (key: number) => {
    const map = generalForm(file);
    map.set(key, ['new', { x: 1 }, new Uint8Array(3), true, -5]);
    return encode(map, rfc8949EncodeOptions);
  };
  const encoded = later(200);
  const entry = decodeEntry(encoded);
  expect(entry.unknown).toHaveLength(1);
  expect(toHex(encodeEntry(entry))).toBe(toHex(encoded));
  expect(() => decodeEntry(later(-1))).toThrow(expect.objectContaining({ code: 'E_NEWER_FORMAT' }));
});

test.each<[string, Partial<Entry>]>([
  ['a path', { name: bytes('a/b') }],
  ['an absolute path', { name: bytes('/etc') }],
  ['the parent', { name: bytes('..') }],
  ['the folder itself', { name: bytes('.') }],
  ['an empty name', { name: bytes('') }],
  ['a NUL', { name: bytes('a\0') }],
  ['a name beyond the limit', { name: new Uint8Array(1025).fill(97) }],
  ['a size without content', { size: 5 }],
  ['a size of 2^53', { size: 2 ** 53 }],
  [
    'content of another length',
    { size: 5, content: { form: 'inline', refs: [{ id: new Uint8Array(32), length: 4 }] } },
  ],
  ['an empty chunk', { content: { form: 'inline', refs: [{ id: new Uint8Array(32), length: 0 }] } }],
  [
    'a chunk beyond the limit',
    { size: 2 ** 32 - 1, content: { form: 'inline', refs: [{ id: new Uint8Array(32), length: 2 ** 32 - 1 }] } },
  ],
  [
    'touching holes',
    {
      size: 4,
      holes: [
        { offset: 0, length: 2 },
        { offset: 2, length: 2 },
      ],
    },
  ],
  ['a hole beyond the end', { size: 4, holes: [{ offset: 2, length: 3 }] }],
  ['a target on a file', { target: bytes('x') }],
  ['pages on a file', { pages: [new Uint8Array(32)] }],
  ['device numbers on a file', { posix: { ...file.posix, rdev: { major: 1, minor: 2 } } }],
  ['a mode beyond 07777', { posix: { ...file.posix, mode: 0o100644 } }],
  [
    'attributes out of order',
    {
      posix: {
        ...file.posix,
        xattrs: [
          { name: bytes('b'), value: bytes('') },
          { name: bytes('a'), value: bytes('') },
        ],
      },
    },
  ],
])('%s is neither written nor read', (_, change) => {
  const hostile = { ...file, ...change } as Entry;
  expect(() => encodeEntry(hostile)).toThrow(expect.objectContaining({ code: 'E_FAILED' }));
  const encoded = encode(generalForm(hostile), rfc8949EncodeOptions);
  expect(() => decodeEntry(encoded)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  const page = encode([1, 0, 0, [generalForm(hostile)]], rfc8949EncodeOptions);
  expect(() => decodePage(page)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
});

test('duplicate and unsorted names are refused, within a page and across pages', () => {
  const named = (name: string): Entry => ({ ...file, name: bytes(name) });
  const page = (...names: string[]) =>
    encode([1, 0, 0, names.map((name) => generalForm(named(name)))], rfc8949EncodeOptions);
  expect(decodePage(page('a', 'b'))).toHaveLength(2);
  expect(() => decodePage(page('b', 'a'))).toThrow(/order/);
  expect(() => decodePage(page('a', 'a'))).toThrow(/order/);
  const last = checkPageOrder(undefined, decodePage(page('a', 'c')));
  expect(() => checkPageOrder(last, decodePage(page('b')))).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  expect(() => encodeFolder([named('a'), named('a')])).toThrow(/twice/);
});

test('claims of huge lengths fail before anything is allocated', () => {
  const huge = [
    '84010000' + '9bffffffffffffffff',
    '84010000' + '9a3fffffff' + 'a1',
    '84010000' + '81' + 'bb001fffffffffffff',
    '84010000' + '81' + 'a5' + '00' + '5b001fffffffffffff',
    '84010000' + '81' + 'a5' + '00' + '5a7fffffff' + '61',
    '9f01',
    '84010000' + '81' + 'a5' + '00' + '5801' + '61',
  ];
  for (const hex of huge)
    expect(() => decodePage(Buffer.from(hex, 'hex'))).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  expect(() => decodePage(new Uint8Array(4 * 1024 * 1024 + 1))).toThrow(/bytes/);
  expect(() => decodePage(Buffer.from('8402000080', 'hex'))).toThrow(
    expect.objectContaining({ code: 'E_NEWER_FORMAT' }),
  );
  expect(() => decodePage(Buffer.from('8401010080', 'hex'))).toThrow(
    expect.objectContaining({ code: 'E_NEWER_FORMAT' }),
  );
});

test('arbitrary and mutated bytes give a value or an E_FORMAT', () => {
  const mutated = arbitraryFolder
    .filter((entries) => entries.length > 0)
    .chain((entries) => {
      const page = encodeFolder(entries)[0]!;
      const edit = fc.tuple(fc.nat(page.length - 1), fc.nat(255), fc.constantFrom('set', 'insert', 'cut'));
      return fc.array(edit, { minLength: 1, maxLength: 6 }).map((edits) => edits.reduce(applyEdit, page));
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (page) => {
      for (const read of [decodePage, decodeEntry, decodeList]) {
        try {
          read(page);
        } catch (error) {
          if (!isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
        }
      }
    }),
    { numRuns: 1500 },
  );
});

test('mutated lists give references or an E_FORMAT', () => {
  const list = encodeList([
    { id: new Uint8Array(32), length: 5 },
    { id: new Uint8Array(32).fill(1), length: 4 },
  ]);
  const edits = fc.array(fc.tuple(fc.nat(list.length), fc.nat(255), fc.constantFrom('set', 'insert', 'cut')), {
    minLength: 1,
  });
  fc.assert(
    fc.property(edits, (changes) => {
      try {
        decodeList(changes.reduce(applyEdit, list));
      } catch (error) {
        if (!isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
      }
    }),
  );
});

test('what decodes encodes to the same bytes: a folder has one encoding', () => {
  fc.assert(
    fc.property(arbitraryEntry, fc.nat(), fc.nat(255), (entry, place, value) => {
      const encoded = encodeEntry(entry);
      encoded[place % encoded.length] = value;
      let back: Entry;
      try {
        back = decodeEntry(encoded);
      } catch {
        return;
      }
      expect(toHex(encodeEntry(back))).toBe(toHex(encoded));
    }),
    { numRuns: 3000 },
  );
});

test('one new entry in a large folder changes at most two pages', () => {
  const named = (i: number): Entry => ({ ...file, name: bytes(`entry-${String(i).padStart(6, '0')}`) });
  const entries = Array.from({ length: 20_000 }, (_, i) => named(i * 2));
  const before = encodeFolder(entries);
  expect(before.length).toBeGreaterThan(5);
  const known = new Set(before.map(toHex));
  for (const added of [1, 9_999, 20_001, 39_999]) {
    const fresh = encodeFolder([...entries, named(added)]).filter((page) => !known.has(toHex(page)));
    expect(fresh.length).toBeLessThanOrEqual(2);
  }
});

test('decoded byte strings do not keep the page alive', () => {
  const [entry] = decodePage(encodeFolder([file, { ...file, name: bytes('b'.repeat(200)) }])[0]!);
  expect(entry!.name.buffer.byteLength).toBe(entry!.name.length);
});

test('an entry that is larger than a page may be is an E_LIMIT', () => {
  const holes = Array.from({ length: 300_000 }, (_, i) => ({ offset: i * 1e9, length: 5e8 }));
  const sparse: Entry = {
    ...file,
    size: 300_000e9,
    holes,
    content: { form: 'lists', lists: [{ id: new Uint8Array(32), length: 52 }] },
  };
  expect(() => encodeEntry(sparse)).toThrow(expect.objectContaining({ code: 'E_LIMIT' }));
});

test('many content references go to lists that are cut by content', () => {
  const refs = (count: number): ContentRef[] =>
    fc
      .sample(fc.uint8Array({ minLength: 32, maxLength: 32 }), { numRuns: count, seed: 5 })
      .map((id) => ({ id, length: 7 }));
  expect(encodeContent(refs(INLINE_CONTENT_REFS_MAX)).form).toBe('inline');
  const many = refs(60_000);
  const content = encodeContent(many);
  if (content.form !== 'lists') throw new Error('lists wanted');
  expect(content.lists.flatMap((list) => decodeList(list))).toEqual(many);
  const shifted = encodeContent([{ id: new Uint8Array(32).fill(1), length: 9 }, ...many]);
  const known = new Set(content.lists.map(toHex));
  if (shifted.form === 'lists')
    expect(shifted.lists.filter((list) => !known.has(toHex(list))).length).toBeLessThanOrEqual(2);
  expect(() => decodeList(encodeList([]))).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  expect(() => decodeList(encodeList(Array(LIST_CHUNK_REFS_MAX + 1).fill(many[0])))).toThrow(/references/);
});

test('58,000 entries encode and decode in a fraction of a second', () => {
  const entries = Array.from(
    { length: 58_000 },
    (_, i): Entry => ({
      ...file,
      name: bytes(`file-${i}.module.js`),
      mtimeNs: 1_700_000_000_123_456_789n + BigInt(i),
      size: 5000,
      content: { form: 'inline', refs: [{ id: new Uint8Array(32).fill(i), length: 5000 }] },
    }),
  );
  const started = performance.now();
  const pages = encodeFolder(entries);
  const encoded = performance.now();
  expect(pages.reduce((sum, page) => sum + decodePage(page).length, 0)).toBe(58_000);
  // The aim is 0.3 s each; the bound is loose because tests share their cores.
  expect(encoded - started).toBeLessThan(3000);
  expect(performance.now() - encoded).toBeLessThan(3000);
});

function toHex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex');
}

function applyEdit(page: Uint8Array, [at, value, how]: [number, number, string]): Uint8Array {
  const place = Math.min(at, page.length);
  if (how === 'cut') return page.slice(0, place);
  if (how === 'insert') return Buffer.concat([page.subarray(0, place), Uint8Array.of(value), page.subarray(place)]);
  const out = new Uint8Array(page);
  if (place < out.length) out[place] = value;
  return out;
}

/** The same entry as maps and numbers for a general encoder, built from the format page and not from the encoder. */
function generalForm(entry: Entry): Map<number, unknown> {
  const { posix, content } = entry;
  const meta = new Map<number, unknown>([
    [0, posix.mode],
    [1, posix.uid],
    [2, posix.gid],
  ]);
  if (posix.rdev !== undefined) meta.set(3, [posix.rdev.major, posix.rdev.minor]);
  if (posix.xattrs !== undefined)
    meta.set(
      4,
      posix.xattrs.map(({ name, value }) => [name, value]),
    );
  const seconds =
    (entry.mtimeNs - (((entry.mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n;
  const map = new Map<number, unknown>([
    [0, entry.name],
    [1, ['file', 'dir', 'symlink', 'fifo', 'chardev', 'blockdev'].indexOf(entry.type) + 1],
    [2, seconds],
    [3, entry.mtimeNs - seconds * 1_000_000_000n],
    [4, meta],
  ]);
  const packed = (refs: readonly ContentRef[]) =>
    new Uint8Array(
      Buffer.concat(refs.map(({ id, length }) => Buffer.concat([id, Buffer.from(Uint32Array.of(length).buffer)]))),
    );
  if (entry.size !== undefined) map.set(5, BigInt(entry.size));
  if (content?.form === 'inline' && content.refs.length > 0) map.set(6, packed(content.refs));
  if (content?.form === 'lists') map.set(7, packed(content.lists));
  if (entry.holes !== undefined)
    map.set(
      8,
      entry.holes.flatMap(({ offset, length }) => [offset, length]),
    );
  if (entry.target !== undefined) map.set(9, entry.target);
  if (entry.pages !== undefined && entry.pages.length > 0) map.set(10, new Uint8Array(Buffer.concat(entry.pages)));
  if (entry.hardLink !== undefined) map.set(11, entry.hardLink);
  if (entry.changedWhileRead === true) map.set(12, true);
  return map;
}
