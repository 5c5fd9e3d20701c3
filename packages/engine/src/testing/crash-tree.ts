/** A tree with a bit of everything that a stopped restore can leave half-done; the same for the same fixture. */
import type { Entry, PosixMeta } from '../tree/entry.ts';
import { createSeededRandom } from './seeded-random.ts';
import type { TreeFixture } from './tree-fixture.ts';

export function makeCrashTree(f: TreeFixture, posix: Partial<PosixMeta> = {}): Entry {
  const random = createSeededRandom('crash tree');
  const hardLink = new Uint8Array(16).fill(3);
  const folders = Array.from({ length: 12 }, (_, d) =>
    f.dir(
      `d${d}`,
      [
        ...Array.from({ length: 30 }, (_, i) =>
          f.file(`f${i}`, random(200 + i * 37), { posix, mtimeNs: BigInt(d * 1000 + i) }),
        ),
        f.file('linked', 'the same', { posix, hardLink }),
        f.symlink('link', `../d${(d + 1) % 12}`, { posix }),
      ],
      { posix: { mode: d % 3 === 0 ? 0o555 : 0o755, ...posix }, mtimeNs: BigInt(d) },
    ),
  );
  const large = f.file('large', random(12_000_000), {
    chunkBytes: 500_000,
    holes: [{ offset: 1_000_000, length: 3_000_000 }],
  });
  const setuid = f.file('setuid', 'x', { posix: { mode: 0o4755, ...posix } });
  return f.dir('', [...folders, large, setuid], { mode: 0o711, mtimeNs: 77n });
}
