import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type MarkNote, notedKey } from '../core/ports/mark-notes.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { openMarksFile } from './marks-file.ts';

vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  return { ...real, fsyncSync: vi.fn(real.fsyncSync), default: real };
});

let folder: ReturnType<typeof temporaryFolder>;
const path = (): string => join(folder.path, 'marks');
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const pack = (n: number): string => n.toString(16).padStart(64, '0');
const id = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const mark = (n: number, atNs = 5n, store = ''): MarkNote => ({
  kind: 'mark',
  store,
  pack: pack(n),
  atNs,
  reason: 'unreadable',
  ids: [id(n)],
});
const noted = (n: number, store = '') =>
  openMarksFile(path())
    .read()
    .get(notedKey(store, pack(n)));

test('what was noted is read again, the time being that of the first mark', () => {
  const file = openMarksFile(path());
  file.append([mark(1), mark(2, 6n, 'archive')]);
  file.append([
    { ...mark(1, 9n), reason: 'damaged' } as MarkNote,
    { kind: 'verified', store: '', pack: pack(1), atNs: 7n },
  ]);
  file.append([
    { kind: 'mark-pack', store: '', pack: pack(3), atNs: 8n, reason: 'absent', frames: 4, bytes: 1000 },
    { kind: 'mark-pack', store: '', pack: pack(4), atNs: 8n, reason: 'absent', frames: 4, bytes: 1000 },
    { kind: 'lift-pack', store: '', pack: pack(4), atNs: 9n },
    { kind: 'lift', store: 'archive', pack: pack(2), atNs: 9n, ids: [id(2)] },
  ]);
  expect([...noted(1)!.copies.values()]).toEqual([{ reason: 'damaged', sinceNs: 5n }]);
  expect(noted(1)).toMatchObject({ verifiedNs: 7n });
  expect(noted(2, 'archive')).toBeUndefined();
  expect(noted(3)!.whole).toEqual({ reason: 'absent', sinceNs: 8n, frames: 4, bytes: 1000 });
  expect(noted(4)).toBeUndefined();
});

test('an unfinished end is cut off wherever it stops, and what comes next is kept', () => {
  openMarksFile(path()).append([mark(1)]);
  const first = fs.readFileSync(path());
  openMarksFile(path()).append([mark(2)]);
  const whole = fs.readFileSync(path());
  for (let length = first.length; length < whole.length; length += 5) {
    fs.writeFileSync(path(), whole.subarray(0, length));
    const file = openMarksFile(path());
    expect(file.problem).toBeUndefined();
    file.append([mark(3)]);
    expect([noted(1) !== undefined, noted(2), noted(3) !== undefined]).toEqual([true, undefined, true]);
  }
});

test('damage is said, the rest is kept, and so is the damaged file', () => {
  const file = openMarksFile(path());
  for (const n of [1, 2, 3]) file.append([mark(n)]);
  const bytes = fs.readFileSync(path());
  bytes.writeUInt8(bytes.readUInt8(8 + 12 + 20) ^ 1, 8 + 12 + 20);
  fs.writeFileSync(path(), bytes);
  const opened = openMarksFile(path());
  expect(opened.problem).toMatchObject({ code: 'E_INTEGRITY', context: { offset: 8 } });
  expect([noted(1), noted(2) !== undefined, noted(3) !== undefined]).toEqual([undefined, true, true]);
  expect(fs.readFileSync(`${path()}.damaged`)).toEqual(bytes);
  expect(openMarksFile(path()).problem).toBeUndefined();
});

test('a note of which the length is damaged takes none of those behind it along', () => {
  const file = openMarksFile(path());
  for (const n of [1, 2, 3]) file.append([mark(n)]);
  const sound = fs.readFileSync(path());
  for (const change of [0x01, 0x40]) {
    const bytes = Buffer.from(sound);
    // The highest byte: the note seems to end far behind the file.
    bytes.writeUInt8(bytes.readUInt8(8 + 3) ^ change, 8 + 3);
    fs.writeFileSync(path(), bytes);
    expect(openMarksFile(path()).problem).toMatchObject({ code: 'E_INTEGRITY', context: { offset: 8 } });
    expect([noted(1), noted(2) !== undefined, noted(3) !== undefined]).toEqual([undefined, true, true]);
  }
});

test('a file of which little holds is written anew', () => {
  const file = openMarksFile(path());
  const ids = Array.from({ length: 4000 }, (_, n) => new Uint8Array(32).fill(n & 0xff).fill(n >> 8, 1, 2));
  for (let round = 0; round < 10; round++) {
    file.append([{ ...mark(1), ids } as MarkNote]);
    file.append([{ kind: 'lift', store: '', pack: pack(1), atNs: 6n, ids }]);
  }
  file.append([mark(2)]);
  expect(fs.statSync(path()).size).toBeGreaterThan(2_000_000);
  openMarksFile(path());
  expect(fs.statSync(path()).size).toBeLessThan(1000);
  expect(noted(2)).toBeDefined();
});

test('after a failed fsync nothing is noted any more', async () => {
  const { fsyncSync } = await import('node:fs');
  const file = openMarksFile(path());
  vi.mocked(fsyncSync).mockImplementationOnce(() => {
    throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
  });
  expect(() => file.append([mark(1)])).toThrow(/EIO/);
  expect(() => file.append([mark(2)])).toThrow(/EIO/);
});
