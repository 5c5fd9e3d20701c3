/** Registers the tests of one scene: killed at each of its failpoints, at random moments, and a look at everything in the end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAILPOINTS_OF, type SceneName } from './coverage.ts';
import { type KilledRun, seededRandom } from './kill.ts';
import { randomKillsOf } from './random-kills.ts';
import type { Scene } from './scene.ts';

/** A slow machine may take ten times as long as ours for a kill and the checks after it. */
const MS_A_KILL = 20_000;
/** A run that ended before its moment came is tried again this often. */
const TRIES = 4;
/** Else the seed decides whether a failpoint kills the first time or a later one. */
const RUNS_ALL = process.env.EDGESTORE_FAULT_LONG === '1';

export function crashTests(name: SceneName, make: () => Promise<Scene>): void {
  const failpoints = FAILPOINTS_OF[name];
  const wantedAtRandom = randomKillsOf(name);
  const seed = Number(process.env.EDGESTORE_CRASH_SEED ?? Date.now() % 2 ** 31);

  describe(`${name} (EDGESTORE_CRASH_SEED=${seed})`, () => {
    const random = seededRandom(seed);
    let scene: Scene;
    let whole: KilledRun;
    let kills = 0;
    beforeAll(async () => {
      scene = await make();
      await scene.arrange();
      whole = await scene.run({});
      await scene.check(whole);
    }, 15 * MS_A_KILL);
    afterAll(() => {
      scene?.remove();
      console.log(`crash tests: ${name}: ${kills} kills, seed ${seed}`);
    });

    for (const failpoint of failpoints) {
      test(`killed at ${failpoint}`, { timeout: 2 * TRIES * MS_A_KILL }, async () => {
        const hits = whole.hits.get(failpoint) ?? 0;
        expect(hits, `${name} passes ${failpoint} (see coverage.ts)`).toBeGreaterThan(0);
        const times = [1, hits === 1 ? 1 : 2 + Math.floor(random() * (hits - 1))];
        for (const nth of RUNS_ALL ? times : [times[Math.floor(random() * 2)]!]) await killAt(failpoint, nth);
      });
    }

    if (wantedAtRandom > 0) {
      test(`killed at ${wantedAtRandom} random moments`, { timeout: TRIES * wantedAtRandom * MS_A_KILL }, async () => {
        let writingMs = whole.writingMs ?? 0;
        expect(writingMs, `${name} writes something`).toBeGreaterThan(0);
        for (let i = 0, killed = 0; killed < wantedAtRandom; i++) {
          expect(i, 'runs that were to be killed').toBeLessThan(TRIES * wantedAtRandom);
          const afterMs = random() * writingMs;
          const run = await killedAndChecked({ afterMs }, `${Math.round(afterMs)} ms after the first written byte`);
          if (run.killed) killed++;
          // How long a run takes depends on what else the machine does just now.
          else if (run.writingMs !== undefined) writingMs = run.writingMs;
        }
      });
    }

    test('everything that was acknowledged restores', { timeout: 5 * 60_000 }, () => scene.finish());

    /** How often a place is passed depends on the state, so a later hit may not come; then an earlier one has to do. */
    async function killAt(failpoint: string, nth: number): Promise<void> {
      for (let at = nth; ; at = Math.ceil(at / 2)) {
        const run = await killedAndChecked({ failpoint: { name: failpoint, nth: at } }, `${failpoint}:${at}`);
        if (run.killed) return;
        if (at === 1) throw new Error(`${name} ended without passing ${failpoint}`);
      }
    }

    async function killedAndChecked(kill: Parameters<Scene['run']>[0], where: string): Promise<KilledRun> {
      await scene.arrange();
      const run = await scene.run(kill);
      if (run.killed) kills++;
      try {
        await scene.check(run);
      } catch (error) {
        throw new Error(`killed at ${where} (seed ${seed}): ${(error as Error).message}`, { cause: error });
      }
      return run;
    }
  });
}
