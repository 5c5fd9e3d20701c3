import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { PackRow } from '../../core/ports/index.ts';
import { makePack, makeSealedChunk } from '../../testing/make-pack.ts';
import { realClock } from '../../testing/real-clock.ts';
import { createSeededRandom } from '../../testing/seeded-random.ts';
import { openFolderObjectStore } from '../objects/folder.ts';
import { openBucketPacks } from './bucket-packs.ts';
import { learnPacks } from './learn-packs.ts';

const vault = 'aa'.repeat(16);
const agent = 'bb'.repeat(16);
const YEAR_S = 31_536_000;

it('a pack that is learned again is as old as its object, and never from the future', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgestore-learn-'));
  const random = createSeededRandom('learn');
  const store = openFolderObjectStore({ folder }, { random, clock: realClock });
  const packs = openBucketPacks({ store, vault, life: { agent, incarnation: 1 } });
  const made = [makePack(vault, [makeSealedChunk(random(300))]), makePack(vault, [makeSealedChunk(random(300))])];
  for (const { name, body } of made) await packs.put(name, body);
  const nowS = 50 * YEAR_S;
  const times = [nowS - YEAR_S, nowS + YEAR_S];
  for (const [i, { name }] of made.entries()) {
    const file = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((path) => path.includes(name))!;
    utimesSync(join(folder, file), times[i]!, times[i]!);
  }
  const learned = new Map<string, bigint>();
  const index = {
    packs: () => [],
    forgetPack: () => {},
    addPack: (pack: PackRow) => void learned.set(pack.name, pack.createdNs),
  };
  const nowNs = BigInt(nowS) * 1_000_000_000n;
  await learnPacks({ name: 'archive', label: 'file:///archive', packs }, agent, { index, nowNs });
  expect(made.map(({ name }) => learned.get(name))).toEqual([BigInt(times[0]!) * 1_000_000_000n, nowNs]);
  rmSync(folder, { recursive: true });
});
