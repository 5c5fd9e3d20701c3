import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toHex } from '../core/ids.ts';
import type { FrameRow, PackRow } from '../core/ports/index.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { openDatabase } from './database.ts';
import { openIndex } from './open-index.ts';

const VAULT = 'ab'.repeat(16);
const clock = createFakeClock();

test('the count that is kept is what counting gives, whatever is added, dropped, replaced and forgotten', () => {
  const dir = mkdtempSync(join(tmpdir(), 'chunk-count-'));
  const path = join(dir, 'index.sqlite');
  try {
    const index = openIndex(path, { clock, vault: VAULT });
    const { chunks } = index;
    const counted = (): number => {
      const { db } = openDatabase(path, VAULT, clock);
      const count = db.prepare<[], number>('SELECT count(DISTINCT key48) FROM frames').pluck().get();
      db.close();
      return count!;
    };
    const isRight = (expected: number): void => {
      expect(chunks.counts().chunks).toBe(expected);
      expect(counted()).toBe(expected);
    };
    const many = Array.from({ length: 100 }, (_, i) => frame(i));
    chunks.addPack(pack(1, many), many);
    isRight(100);
    // The same pack once more, and half of its chunks in a second one and in a bucket.
    chunks.addPack(pack(1, many), many);
    chunks.addPack(pack(2, many.slice(50)), many.slice(50));
    chunks.addPack({ ...pack(3, many.slice(0, 10)), store: 'archive' }, many.slice(0, 10));
    isRight(100);
    chunks.dropLocations(
      '',
      many.slice(40, 60).map(({ id }) => id),
    );
    isRight(80);
    // The last rows are gone, so their numbers are given anew: ranges of two packs overlap.
    chunks.dropLocations(
      'archive',
      many.slice(5, 10).map(({ id }) => id),
    );
    const others = Array.from({ length: 40 }, () => ({ ...frame(0), id: new Uint8Array(randomBytes(32)) }));
    chunks.addPack(pack(4, others), others);
    isRight(120);
    chunks.forgetPack(pack(3, []).name, 'archive');
    isRight(120);
    chunks.forgetPack(pack(2, []).name);
    isRight(120);
    chunks.forgetPack(pack(1, []).name);
    isRight(40);
    chunks.swapPacks([pack(4, []).name], [{ pack: pack(5, others), frames: others }]);
    isRight(40);
    expect(() => chunks.addPack(pack(6, many), [...many.slice(0, 40), frame(0, new Uint8Array(3))])).toThrow();
    isRight(40);
    index.close();
  } finally {
    rmSync(dir, { recursive: true });
  }
});

function pack(number: number, frames: readonly FrameRow[]): PackRow {
  const name = toHex(new Uint8Array(32).fill(number));
  return { name, store: '', packClass: 'data', bytes: 1000, frames: frames.length, createdNs: 1n };
}

function frame(number: number, id = new Uint8Array(32).fill(number + 1)): FrameRow {
  const sealedSha256 = new Uint8Array(32).fill(number);
  return { id, keyId: 1, offset: 64 + number, sealedBytes: 10, sealedSha256, identified: true };
}
