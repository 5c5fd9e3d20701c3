import fs from 'node:fs';
import { expect, test } from 'vitest';
import type { BadCopy } from '../browse/copy-router.ts';
import { EdgeError } from '../core/errors.ts';
import { ChunkKind, toHex } from '../core/ids.ts';
import { refsOf } from '../testing/refs-of.ts';
import { setUpRestore } from '../testing/restore-setup.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import { restoreExitCode } from './failure-list.ts';

const { fixture, place, deps, inputFor, restore, warnings } = setUpRestore('damage');

function dataPack(source: { packs: Map<string, string> }): string {
  for (const path of source.packs.values()) if (fs.readFileSync(path)[10] === 1) return path;
  throw new Error('no pack of data');
}

test('a damaged chunk is healed from another source, and the bad copy is told', async () => {
  const f = fixture();
  const root = f.dir('', [f.file('a', 'A'.repeat(5000)), f.file('b', 'B'.repeat(5000))]);
  const local = f.localSource(place('packs'));
  const path = dataPack(local);
  const bytes = fs.readFileSync(path);
  bytes[140]! ^= 1;
  fs.writeFileSync(path, bytes);
  const bad: BadCopy[] = [];
  const sources = [local, f.source('peers', 'dc-a')];
  const report = await restore(inputFor(root), deps(sources, { onBadCopy: (copy) => bad.push(copy) }));
  expect(report.failures).toEqual([]);
  expect(fs.readFileSync(place('out/a'), 'utf8')).toBe('A'.repeat(5000));
  expect(report.bytes.from).toEqual({ local: 5000, peers: 5000, s3: 0 });
  expect(bad).toMatchObject([{ reason: 'damaged', source: { kind: 'local' } }]);
});

test('a damaged chunk without another copy names its file, and leaves nothing of it', async () => {
  const f = fixture();
  const lost = f.file('lost', 'L'.repeat(5000));
  const large = f.file('large', Buffer.alloc(5_000_000, 'x').fill('y', 3_000_000), { chunkBytes: 1_000_000 });
  const root = f.dir('', [f.file('fine', 'F'.repeat(5000)), lost, large]);
  const ids = new Set([lost, large].map((entry) => toHex(refsOf(entry)[0]!.id)));
  const source = f.source('peers', 'dc-a', {
    serve: (hex, sealed) => (ids.has(hex) ? sealed.map((byte) => byte ^ 1) : sealed),
  });
  const report = await restore(inputFor(root), deps([source]));
  expect(report.files).toEqual({ restored: 1, skipped: 0, failed: 2 });
  expect(report.failures.map(({ path, code }) => [Buffer.from(path).toString(), code]).sort()).toEqual([
    ['large', 'E_INTEGRITY'],
    ['lost', 'E_INTEGRITY'],
  ]);
  expect(report.failures[0]!.message).toMatch(/dc-a: damaged/);
  expect(fs.readdirSync(place('out'))).toEqual(['fine']);
  expect(report.bytes.written).toBe(5000);
  expect(restoreExitCode(report.failures)).toBe(3);
});

test('a source that cannot be asked is said once, and the next one serves', async () => {
  const f = fixture();
  const root = f.dir(
    '',
    Array.from({ length: 50 }, (_, i) => f.file(`f${i}`, `content ${i}`)),
  );
  const dead = f.source('peers', 'dead', {
    locate: () => {
      throw new EdgeError('E_TIMEOUT', 'no answer in 10 s', { retryable: true });
    },
  });
  const report = await restore(inputFor(root), deps([dead, f.source('s3', 'bucket')]));
  expect(report.files.restored).toBe(50);
  expect(report.bytes.from.s3).toBe(report.bytes.written);
  expect(warnings.filter((text) => text.includes('dead'))).toHaveLength(1);
});

test('when nothing gives a chunk the failure names every source and what it said', async () => {
  const f = fixture();
  const file = f.file('gone', 'G'.repeat(3000));
  const hex = toHex(refsOf(file)[0]!.id);
  const root = f.dir('', [file]);
  let trees = 0;
  const sources = [
    f.source('local', 'local', { has: (id) => id !== hex }),
    f.source('peers', 'dc-a', {
      has: (id) => id === hex,
      fetch: () => {
        trees++;
        throw new EdgeError('E_IO', 'connection reset', { retryable: true });
      },
    }),
    f.source('s3', 'bucket', { has: () => false }),
  ];
  const report = await restore(inputFor(root), deps(sources));
  expect(trees).toBe(1);
  expect(report.failures).toMatchObject([{ code: 'E_STORE' }]);
  const { message } = report.failures[0]!;
  for (const part of [hex, 'local: not there', 'dc-a: connection reset', 'bucket: not there'])
    expect(message).toContain(part);
});

test('several peers share the load', async () => {
  const f = fixture();
  const root = f.dir('', [
    f.file(
      'big',
      Buffer.alloc(20_000_000).map((_, i) => (i * i) >> 8),
      { chunkBytes: 500_000 },
    ),
  ]);
  const [a, b] = [f.source('peers', 'dc-a'), f.source('peers', 'dc-b')];
  const report = await restore(inputFor(root), deps([a, b]));
  expect(report.failures).toEqual([]);
  expect(a.asked.length).toBeGreaterThan(0);
  expect(b.asked.length).toBeGreaterThan(0);
});

test('a pack that is cut short costs only what lies behind the cut', async () => {
  const f = fixture();
  const root = f.dir(
    '',
    Array.from({ length: 20 }, (_, i) => f.file(`f${String(i).padStart(2, '0')}`, Buffer.alloc(3000, i))),
  );
  const local = f.localSource(place('packs'));
  const path = dataPack(local);
  fs.truncateSync(path, 1000);
  const report = await restore(inputFor(root), deps([local]));
  expect(report.files.restored).toBeGreaterThan(0);
  expect(report.files.restored + report.files.failed).toBe(20);
  fs.rmSync(path);
  const gone = await restore(inputFor(root, { target: Buffer.from(place('out2')) }), deps([local]));
  expect(gone.files).toEqual({ restored: 0, skipped: 0, failed: 20 });
  expect(gone.failures[0]!.message).toMatch(/absent/);
});

test('a lost page of the top ends the restore before anything is made; one below costs its folder', async () => {
  const f = fixture();
  const sub = f.dir('sub', [f.file('a', 'a')]);
  const root = f.dir('', [sub, f.file('b', 'b')]);
  const without = (entry: typeof root) => f.source('local', 'local', { has: (hex) => hex !== toHex(entry.pages![0]!) });
  await expect(restore(inputFor(root), deps([without(root)]))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  expect(fs.existsSync(place('out'))).toBe(false);
  const report = await restore(inputFor(root), deps([without(sub)]));
  expect(report.failures.map(({ path }) => Buffer.from(path).toString())).toEqual(['sub']);
  expect(fs.readdirSync(place('out')).sort()).toEqual(['b', 'sub']);
});

test('trees made by hand to leave the target are refused, and nothing is made outside', async () => {
  const f = fixture();
  const good = f.file('x', 'evil');
  const raw = (entries: Uint8Array[]) =>
    Buffer.concat([Buffer.from([0x84, 1, 0, 0, 0x80 + entries.length]), ...entries]);
  const rename = (name: string) => {
    const bytes = Buffer.from(encodeEntry({ ...good, name: Buffer.from('N'.repeat(name.length)) }));
    const at = bytes.indexOf('N'.repeat(name.length));
    bytes.write(name, at, 'latin1');
    return bytes;
  };
  for (const name of ['..', '.', '/etc/x', '../x', 'a/b', 'a\0b']) {
    const root = f.dir('', [f.rawDir('sub', [raw([rename(name)])]), f.file('ok', 'ok')]);
    const report = await restore(
      inputFor(root, { target: Buffer.from(place(`out-${toHex(Buffer.from(name))}`)) }),
      deps([f.source('local')]),
    );
    expect(report.failures, name).toMatchObject([{ code: 'E_FORMAT' }]);
    expect(restoreExitCode(report.failures)).toBe(7);
    expect(report.files.restored).toBe(1);
  }
  const twice = f.rawDir('', [raw([rename('a'), rename('a')])]);
  await expect(restore(inputFor(twice), deps([f.source('local')]))).rejects.toMatchObject({ code: 'E_FORMAT' });
  // The same name on two pages: one could be a link, the other a file below it.
  const pages = [raw([Buffer.from(encodeEntry(f.symlink('a', '/tmp')))]), raw([rename('a')])];
  const across = await restore(inputFor(f.rawDir('', pages)), deps([f.source('local')]));
  expect(across.failures).toMatchObject([{ code: 'E_FORMAT' }]);
  expect(fs.lstatSync(place('out/a')).isSymbolicLink()).toBe(true);
});

test('a chunk that opens to another length than the entry says is refused', async () => {
  const f = fixture();
  const id = f.put(ChunkKind.data, Buffer.from('12345'));
  const liar = { ...f.file('liar', ''), size: 9, content: { form: 'inline' as const, refs: [{ id, length: 9 }] } };
  const report = await restore(inputFor(f.dir('', [liar])), deps([f.source('local')]));
  expect(report.failures).toMatchObject([{ code: 'E_INTEGRITY' }]);
  expect(fs.readdirSync(place('out'))).toEqual([]);
});
