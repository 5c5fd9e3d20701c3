/** A chunk that its owner gave up is no finding at a holder that had lost its copy too: nothing wants it any more. */
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { edgestoreJson } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { faultTest } from './fault-test.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

/** Packs with the content of files: their eleventh byte says so (docs/formats/pack.md). */
function dataPacks(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pack') && readFileSync(join(folder, name))[10] === 1)
    .map((name) => join(folder, name));
}

interface Status {
  readonly findings: readonly { readonly code: string; readonly message: string }[];
}

faultTest(
  'after a giving up, a holder that had lost its copy has no finding: damaged or gone, at the holder and the owner',
  async () => {
    for (const how of ['cut', 'damaged', 'gone'] as const) {
      scene = await OwnerAndHolders.make({ holders: 1 });
      const [holder] = scene.holders as [(typeof scene.holders)[number]];
      await scene.mustSync('sites=1');
      const places = [scene.vault.dataDir, holder.dataDir];
      const before = new Set(places.flatMap(dataPacks));
      const only = join(scene.root, 'only in one snapshot');
      writeFileSync(only, pseudoRandom(50_000, 5));
      await scene.json(['sync', scene.root, '--wait', 'sites=1', '--timeout', '60s']);
      rmSync(only);
      await scene.mustSync('sites=1');
      await holder.stop();
      const packs = places.flatMap(dataPacks).filter((pack) => !before.has(pack));
      expect(packs.length).toBe(2);
      for (const pack of packs) {
        if (how === 'gone') rmSync(pack);
        else if (how === 'cut') truncateSync(pack, 1000);
        else {
          const bytes = readFileSync(pack);
          bytes.fill(0x5a, 200, 300);
          writeFileSync(pack, bytes);
        }
      }
      // The holder sees what it lost before the owner gives anything up.
      await edgestoreJson(['scrub', '--all', ...holder.at], { exitCodes: [0, 3, 7, 20] });
      await holder.start();
      const given = await scene.json<{ given_up: { chunks: number } }>(['scrub', '--all', '--repair'], [7]);
      expect(given.given_up.chunks, how).toBe(1);
      await scene.mustSync('sites=1');
      await holder.stop();

      const at = [['--data-dir', scene.vault.dataDir], holder.at];
      for (const [i, one] of at.entries()) {
        const who = `${how}, ${i === 0 ? 'owner' : 'holder'}`;
        const losses = async () =>
          (await edgestoreJson<Status>(['status', ...one])).findings.filter(({ code }) => /copies|chunks/.test(code));
        expect(await losses(), `${who}, at once`).toEqual([]);
        await edgestoreJson(['scrub', '--all', '--repair', ...one], { exitCodes: [0] });
        expect(await losses(), `${who}, after a scrub`).toEqual([]);
      }
      await scene.remove();
    }
  },
  { timeout: 900_000 },
);
