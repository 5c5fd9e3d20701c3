import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { concatBytes } from '../core/bytes.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import { createPackBuilder } from './pack-builder.ts';
import { decodePackTail, readPackFooter, verifyPackName } from './pack-tail.ts';

const VAULT = '000102030405060708090a0b0c0d0e0f';

/** Three frames; what is in them is not looked at by a pack. */
const chunks = [60, 80, 100].map((length, n): SealedChunk => {
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + n) & 0xff);
  const id = Uint8Array.from({ length: 32 }, (_, i) => n * 32 + i);
  const sha256 = new Uint8Array(createHash('sha256').update(bytes).digest());
  return { id, packClass: 'meta', keyId: n + 1, bytes, sha256, identified: true };
});

const STORED_NS = 1_767_225_600_123_456_789n;

test('a pack is written as version 1 always was', async () => {
  const builder = createPackBuilder(VAULT, 'meta');
  const parts = [builder.header()];
  for (const chunk of chunks) {
    parts.push(builder.frameHeader(chunk), chunk.bytes);
    builder.add(chunk);
  }
  const { tail, name, frames } = builder.finish(STORED_NS);
  const golden = {
    vault: VAULT,
    class: 'meta',
    stored_ns: STORED_NS.toString(),
    name,
    frames: Array.from(frames, ({ id, keyId, offset, sealedBytes }) => ({ id: hex(id), keyId, offset, sealedBytes })),
    pack: hex(concatBytes([...parts, tail])),
  };
  await expect(`${JSON.stringify(golden, null, 2)}\n`).toMatchFileSnapshot('golden/pack-1.json');
});

test('the golden pack is read', () => {
  const golden = JSON.parse(readFileSync(new URL('golden/pack-1.json', import.meta.url), 'utf8'));
  const pack = Buffer.from(golden.pack, 'hex');
  const { indexOffset } = readPackFooter(pack.subarray(-64));
  const read = decodePackTail(pack.subarray(indexOffset), pack.subarray(0, 64), pack.length);
  expect(read).toMatchObject({ vault: golden.vault, packClass: golden.class, name: golden.name });
  expect(read.storedNs).toBe(STORED_NS);
  expect(
    read.frames.map(({ id, keyId, offset, sealedBytes }) => ({ id: hex(id), keyId, offset, sealedBytes })),
  ).toEqual(golden.frames);
  verifyPackName(golden.name, pack.subarray(0, 64), pack.subarray(indexOffset));
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
