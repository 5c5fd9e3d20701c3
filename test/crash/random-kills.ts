/** How many kills at random moments each scene gets; the rest of the kills is at failpoints. */
import type { SceneName } from './coverage.ts';

/** In a normal run. A scene that is not here is killed at its failpoints only. */
const NORMAL: Partial<Record<SceneName, number>> = {
  sync: 20,
  merge: 10,
  demote: 8,
  recover: 8,
  rebuild: 8,
  restore: 8,
  'restore inside': 4,
  bucket: 4,
  'log repair': 4,
  'log repair, whole': 2,
  holder: 8,
};

export const NORMAL_RANDOM_KILLS = Object.values(NORMAL).reduce((sum, kills) => sum + kills, 0);

/** `EDGESTORE_CRASH_KILLS` asks for another number of random kills in all; each scene keeps its share. */
export function randomKillsOf(scene: SceneName, env: NodeJS.ProcessEnv = process.env): number {
  const normal = NORMAL[scene] ?? 0;
  const asked = env.EDGESTORE_CRASH_KILLS;
  if (asked === undefined) return normal;
  if (!/^[0-9]{1,7}$/.test(asked)) throw new Error(`EDGESTORE_CRASH_KILLS=${asked} is not a number of kills`);
  return Math.ceil((normal * Number(asked)) / NORMAL_RANDOM_KILLS);
}
