import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { toHex } from '../core/ids.ts';
import type { FrameWatcher } from '../core/ports/frame-watcher.ts';
import type { FrameRow, PackRow } from '../core/ports/index.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { type Index, openIndex } from './open-index.ts';

const VAULT = 'ab'.repeat(16);
let dir: string;
let index: Index;
let heard: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'frame-watcher-'));
  heard = [];
  const name = (id: Uint8Array): string => toHex(id).slice(0, 2);
  const watcher: FrameWatcher = {
    gained: (frames, store) => {
      for (const frame of frames) heard.push(`+${name(frame.id)}@${store}`);
    },
    lost: (ids, store, why) => {
      for (const id of ids) heard.push(`-${name(id)}@${store} ${why}`);
    },
  };
  index = openIndex(join(dir, 'index.sqlite'), { clock: createFakeClock(), vault: VAULT, watcher });
});

afterEach(() => {
  index.close();
  rmSync(dir, { recursive: true });
});

test('each change of good copies is told: added, damaged, dropped, replaced, gone', () => {
  index.chunks.addPack(pack(1), [frame(1), frame(2), frame(3), frame(4)]);
  index.chunks.markBad(frame(1).id, pack(1).name, 'other bytes');
  index.chunks.dropLocations('', [frame(2).id]);
  expect(heard.splice(0)).toEqual(['+01@', '+02@', '+03@', '+04@', '-01@ damaged', '-02@ dropped']);

  // A merge moves the copies: nothing is lost by it.
  index.chunks.swapPacks([pack(1).name], [{ pack: pack(2), frames: [frame(1), frame(3), frame(4)] }]);
  expect(heard.splice(0)).toEqual(['+01@', '+03@', '+04@']);

  index.chunks.noteIdentified([{ id: frame(3).id, pack: pack(2).name }]);
  index.chunks.forgetPack(pack(2).name);
  expect(heard).toEqual(['+03@', '-01@ absent', '-03@ absent', '-04@ absent']);
});

test('a copy of other sealed bytes does not stand for the one that went; one of the same bytes does', () => {
  index.chunks.addPack(pack(1), [frame(1)]);
  index.chunks.addPack(pack(2), [{ ...frame(1), sealedSha256: new Uint8Array(32).fill(0xee) }]);
  index.chunks.addPack(pack(3), [frame(2)]);
  index.chunks.addPack(pack(4), [frame(2)]);
  heard.length = 0;
  index.chunks.forgetPack(pack(1).name);
  index.chunks.forgetPack(pack(3).name);
  expect(heard).toEqual(['-01@ absent']);
});

test('a watcher that throws undoes the change', () => {
  const other = openIndex(join(dir, 'other.sqlite'), {
    clock: createFakeClock(),
    vault: VAULT,
    watcher: {
      gained: () => {
        throw new Error('not now');
      },
      lost: () => {},
    },
  });
  expect(() => other.chunks.addPack(pack(1), [frame(1)])).toThrow('not now');
  expect(other.chunks.packs('')).toEqual([]);
  other.close();
});

function pack(n: number): PackRow {
  return { name: `0${n}`.repeat(32), store: '', packClass: 'data', bytes: 1000, frames: 4, createdNs: 1n };
}

function frame(n: number): FrameRow {
  return {
    id: new Uint8Array(32).fill(n),
    keyId: 1,
    offset: 100 * n,
    sealedBytes: 50,
    sealedSha256: new Uint8Array(32).fill(n + 0x80),
    identified: true,
  };
}
