import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeList, encodeList } from './content-list.ts';
import { decodePage } from './decode-page.ts';
import { encodeFolder } from './encode-pages.ts';
import type { ContentRef, Entry } from './entry.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
const fill = (value: number, length = 32) => new Uint8Array(length).fill(value);
const posix = { mode: 0o644, uid: 1000, gid: 1000 };
const refs: ContentRef[] = [
  { id: fill(0xa1), length: 524_288 },
  { id: fill(0xa2), length: 100 },
];

/** One entry of every kind, with every field. */
const entries: Entry[] = [
  {
    name: bytes('file'),
    type: 'file',
    mtimeNs: 1_700_000_000_123_456_789n,
    posix,
    size: 524_388,
    content: { form: 'inline', refs },
  },
  { name: bytes('empty'), type: 'file', mtimeNs: 0n, posix, size: 0, content: { form: 'inline', refs: [] } },
  {
    name: bytes('sparse'),
    type: 'file',
    mtimeNs: -1n,
    posix: { ...posix, mode: 0o4755 },
    size: 2 ** 40,
    content: { form: 'inline', refs: [{ id: fill(0xb1), length: 4096 }] },
    holes: [{ offset: 4096, length: 2 ** 40 - 4096 }],
    changedWhileRead: true,
  },
  {
    name: bytes('huge'),
    type: 'file',
    mtimeNs: 99_999_999_999_999_999_999n,
    posix,
    size: 2 ** 33,
    content: {
      form: 'lists',
      lists: [
        { id: fill(0xc1), length: 589_840 },
        { id: fill(0xc2), length: 52 },
      ],
    },
    hardLink: fill(0xdd, 16),
  },
  {
    name: bytes('folder'),
    type: 'dir',
    mtimeNs: 1n,
    posix: { ...posix, mode: 0o1777 },
    pages: [fill(0xe1), fill(0xe2)],
  },
  { name: bytes('none'), type: 'dir', mtimeNs: 1n, posix, pages: [] },
  { name: bytes('link'), type: 'symlink', mtimeNs: 1n, posix: { ...posix, mode: 0o777 }, target: bytes('../\xff\n') },
  { name: bytes('pipe'), type: 'fifo', mtimeNs: 1n, posix },
  { name: bytes('tty'), type: 'chardev', mtimeNs: 1n, posix: { ...posix, rdev: { major: 5, minor: 0 } } },
  { name: bytes('disk'), type: 'blockdev', mtimeNs: 1n, posix: { ...posix, rdev: { major: 8, minor: 65_536 } } },
  {
    name: bytes('\x01\xff\n'),
    type: 'file',
    mtimeNs: 1n,
    posix: {
      ...posix,
      uid: 4_294_967_295,
      xattrs: [
        { name: bytes('user.a'), value: bytes('') },
        { name: bytes('user.b'), value: bytes('\x00\xff') },
      ],
    },
    size: 0,
    content: { form: 'inline', refs: [] },
  },
];

test('a page and a list are written as version 1 always was', async () => {
  const pages = encodeFolder(entries);
  expect(pages.length).toBe(1);
  const golden = {
    page: hex(pages[0]!),
    entries: decodePage(pages[0]!).map(plain),
    list: hex(encodeList(refs)),
    refs: plain(refs),
  };
  await expect(`${JSON.stringify(golden, null, 2)}\n`).toMatchFileSnapshot('golden/tree-1.json');
});

test('the golden page and list are read', () => {
  const golden = JSON.parse(readFileSync(new URL('golden/tree-1.json', import.meta.url), 'utf8'));
  const read = decodePage(Buffer.from(golden.page, 'hex'));
  expect(read.map(plain)).toEqual(golden.entries);
  expect([...read].sort(byName)).toEqual([...entries].sort(byName));
  expect(decodeList(Buffer.from(golden.list, 'hex'))).toEqual(refs);
});

function byName(a: Entry, b: Entry): number {
  return Buffer.compare(a.name, b.name);
}

/** For JSON: byte strings as hex, big integers as decimal text. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex');
}
