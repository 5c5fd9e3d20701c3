/** What `bin/run.js` calls once the Node version is known to be right: the compile cache first, then the program. */
import { mkdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { dirname, join } from 'node:path';

export async function start(): Promise<void> {
  const cache = compileCacheFolder(process.env);
  // Without the cache a start takes 0.2 s longer, which is no reason to fail.
  if (cache !== undefined) enableCompileCache(cache);
  // Crash tests kill the program at named places; nothing of it is loaded otherwise.
  if (process.env.EDGESTORE_FAILPOINT !== undefined || process.env.EDGESTORE_FAILPOINT_LOG !== undefined) {
    const { armFailpointsFrom } = await import('@edgestore/agent/arm-failpoints');
    armFailpointsFrom(process.env);
  }
  // `bin/run.js` has checked the version; the framework's own check would load a library for it.
  process.env.OCLIF_DISABLE_ENGINE_WARNING = '1';
  const { main } = await import('./program/main.ts');
  await main(process.argv.slice(2), dirname(import.meta.dirname));
}

/**
 * A folder of this user only: Node's default lies in the shared temporary folder, where another user could have put compiled code for us to
 * run. Undefined where none can be made (no home, a read-only one).
 */
function compileCacheFolder(env: NodeJS.ProcessEnv): string | undefined {
  if (env.NODE_COMPILE_CACHE) return env.NODE_COMPILE_CACHE;
  const base = env.XDG_CACHE_HOME?.startsWith('/')
    ? env.XDG_CACHE_HOME
    : env.HOME?.startsWith('/')
      ? join(env.HOME, '.cache')
      : undefined;
  if (base === undefined) return undefined;
  let folder = base;
  // Made level by level: where it cannot be made, the runtime's own recursive call may try for ever (seen below /proc).
  for (const name of ['', 'edgestore', 'compiled']) {
    folder = join(folder, name);
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return undefined;
    }
  }
  return folder;
}
