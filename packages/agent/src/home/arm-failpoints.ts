/** Lets tests kill this process at a named place. Loaded only when one of the two variables is set, so it costs nothing otherwise. */
import { appendFileSync } from 'node:fs';
import { EdgeError } from '@edgestore/engine/errors';
import { armFailpoints, failpointHandler } from '@edgestore/engine/failpoint';

/**
 * `EDGESTORE_FAILPOINT=name[:nth]` ends the process with SIGKILL at the nth hit; `EDGESTORE_FAILPOINT_LOG=FILE` appends a line for every
 * hit, in order. E_USAGE for a setting that names no place.
 */
export function armFailpointsFrom(env: NodeJS.ProcessEnv): void {
  const { EDGESTORE_FAILPOINT: setting, EDGESTORE_FAILPOINT_LOG: log } = env;
  const kill = (): void => void process.kill(process.pid, 'SIGKILL');
  const handler = failpointHandler(
    setting,
    kill,
    log === undefined ? undefined : (name) => appendFileSync(log, `${name}\n`),
  );
  if (handler === undefined) {
    throw new EdgeError('E_USAGE', `EDGESTORE_FAILPOINT=${setting} is not NAME or NAME:NTH`);
  }
  armFailpoints(handler);
}
