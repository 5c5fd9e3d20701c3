/** What `bin/run.js` calls once the Node version is known to be right: the compile cache first, then the program. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

export async function start(): Promise<void> {
  const cache = compileCacheFolder(process.env);
  // Without the cache a start takes 0.1 s longer; a read-only home is no reason to fail, and Node reports it as a status only.
  if (cache !== undefined) enableCompileCache(cache);
  if (process.env.EDGESTORE_FAILPOINT !== undefined || process.env.EDGESTORE_FAILPOINT_LOG !== undefined) {
    const { armFailpointsFrom } = await import('@edgestore/agent/arm-failpoints');
    armFailpointsFrom(process.env);
  }
  const { main } = await import('./program/main.ts');
  await main(process.argv.slice(2));
}

/**
 * A folder of this user only. Node's default lies in the shared temporary folder, where another user could have put compiled code
 * for us to run.
 */
function compileCacheFolder(env: NodeJS.ProcessEnv): string | undefined {
  if (env.NODE_COMPILE_CACHE) return env.NODE_COMPILE_CACHE;
  if (env.XDG_CACHE_HOME?.startsWith('/')) return join(env.XDG_CACHE_HOME, 'edgestore', 'compiled');
  return env.HOME?.startsWith('/') ? join(env.HOME, '.cache', 'edgestore', 'compiled') : undefined;
}
