import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createChunker } from '../chunking/chunker.ts';
import { createIdentifier } from '../codec/identify.ts';
import { joinBytes } from '../core/joined-bytes.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import { ChunkBatches, type PlainChunk } from './chunk-batch.ts';
import type { FileOutcome } from './file-outcome.ts';
import type { FilesToRead } from './files-ahead.ts';
import { FolderStateReader, FolderStateWriter, StateFlag } from './folder-state.ts';
import { readFiles, SMALL_FILE_BYTES_MAX } from './read-files.ts';

/** Something happens between looking at a file and reading it. */
class DisturbedBatches extends ChunkBatches {
  disturb: (count: number) => void = () => {};
  #count = 0;

  override room(length: number): Uint8Array<ArrayBuffer> {
    this.disturb(++this.#count);
    return super.room(length);
  }
}

let folder: { readonly path: string; remove(): void };
let batches: DisturbedBatches;

beforeEach(() => {
  folder = temporaryFolder();
  batches = new DisturbedBatches();
});
afterEach(() => folder.remove());

const chunker = createChunker(new Uint8Array(32), { min: 1024, avg: 4096, max: 16_384 });
const identify = createIdentifier(new Uint8Array(32));

function read(...names: string[]): { outcomes: FileOutcome[]; chunks: PlainChunk[]; reader: FolderStateReader } {
  const chunks: PlainChunk[] = [];
  const records = new FolderStateWriter();
  records.start();
  const tools = { chunker, identify, batches, captureSeconds: 2_000_000_000 };
  const outcomes = readFiles(Buffer.from(folder.path), filesIn('', names), tools, chunks, records);
  return { outcomes, chunks, reader: FolderStateReader.open(records.take())! };
}

function filesIn(path: string, names: readonly string[]): FilesToRead {
  return {
    names: joinBytes(names.map((name) => Buffer.from(name))),
    folderOf: new Uint32Array(names.length),
    folders: joinBytes([Buffer.from(path)]),
    hardLinks: new Map(),
  };
}

const write = (name: string, content: string | Buffer): void => fs.writeFileSync(join(folder.path, name), content);

test('a file that changes once while it is read is read again, and is then as it is', () => {
  write('f', 'a'.repeat(5000));
  batches.disturb = (count) => {
    if (count === 1) write('f', 'changed');
  };
  const { outcomes, chunks, reader } = read('f');
  expect(outcomes).toMatchObject([{ kind: 'read', changedWhileRead: false }]);
  expect(Buffer.concat(chunks.map((chunk) => chunk.plain)).toString()).toBe('changed');
  reader.next();
  expect(decodeEntry(reader.encoded())).toMatchObject({ size: 7 });
});

test('a file that changes each time is marked, with a size that is that of its bytes, and read again next time', () => {
  write('f', 'a'.repeat(5000));
  let changes = 0;
  batches.disturb = () => write('f', 'b'.repeat(5000 - ++changes));
  const { outcomes, chunks, reader } = read('f');
  expect(changes).toBe(3);
  expect(outcomes).toMatchObject([{ kind: 'read', changedWhileRead: true }]);
  reader.next();
  const entry = decodeEntry(reader.encoded());
  expect(entry.changedWhileRead).toBe(true);
  expect(entry.size).toBe(chunks.reduce((sum, chunk) => sum + chunk.plain.length, 0));
  expect(reader.record.flags & StateFlag.stale).toBe(StateFlag.stale);
});

test('a sparse file that is cut short while it is read loses its last holes too', () => {
  const fd = fs.openSync(join(folder.path, 's'), 'w');
  fs.writeSync(fd, Buffer.alloc(8192, 1), 0, 8192, 1 << 16);
  fs.ftruncateSync(fd, 1 << 20);
  fs.closeSync(fd);
  let changes = 0;
  batches.disturb = () => fs.truncateSync(join(folder.path, 's'), (1 << 16) + 4096 - ++changes);
  const { outcomes, reader } = read('s');
  expect(outcomes).toMatchObject([{ kind: 'read', changedWhileRead: true }]);
  reader.next();
  const entry = decodeEntry(reader.encoded());
  expect(entry.size).toBe((entry.holes ?? []).reduce((sum, hole) => sum + hole.length, 0) + lengthOf(entry));
});

test('what is gone, what was swapped and what cannot be read does not keep the others from being read', () => {
  write('a', '1');
  write('z', '2');
  fs.symlinkSync('/etc/passwd', join(folder.path, 'link'));
  fs.mkdirSync(join(folder.path, 'dir'));
  write('large', Buffer.alloc(SMALL_FILE_BYTES_MAX + 1));
  const { outcomes } = read('a', 'absent', 'link', 'dir', 'large', 'z');
  expect(outcomes).toMatchObject([
    { kind: 'read' },
    { kind: 'gone' },
    { kind: 'failed', code: 'ECHANGED' },
    { kind: 'failed', code: 'ECHANGED' },
    { kind: 'large', size: SMALL_FILE_BYTES_MAX + 1 },
    { kind: 'read' },
  ]);
});

test('a folder that is gone takes its files with it', () => {
  const records = new FolderStateWriter();
  records.start();
  const tools = { chunker, identify, batches, captureSeconds: 0 };
  const outcomes = readFiles(Buffer.from(folder.path), filesIn('nowhere', ['f']), tools, [], records);
  expect(outcomes).toEqual([{ kind: 'gone' }]);
});

function lengthOf(entry: ReturnType<typeof decodeEntry>): number {
  return entry.content?.form === 'inline' ? entry.content.refs.reduce((sum, ref) => sum + ref.length, 0) : 0;
}
