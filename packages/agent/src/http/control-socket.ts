/** Where the agent of a data dir listens for its own machine's commands. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type DataDir, EdgeError } from '@edgestore/engine';

/** Linux's sockaddr_un has 108 bytes with the final NUL; a longer path would be cut short silently by some. */
const SOCKET_PATH_BYTES_MAX = 107;

/**
 * `DATA_DIR/run/agent.sock`; when that is too long, a name of fixed length under XDG_RUNTIME_DIR. E_CONFIG when there is no place for it.
 */
export function controlSocketPath(dataDir: DataDir, env: NodeJS.ProcessEnv): string {
  if (Buffer.byteLength(dataDir.socketFile) <= SOCKET_PATH_BYTES_MAX) return dataDir.socketFile;
  const digest = createHash('sha256').update(dataDir.path).digest('hex').slice(0, 16);
  const short = env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, `edgestore-${digest}`, 'agent.sock') : undefined;
  if (short !== undefined && Buffer.byteLength(short) <= SOCKET_PATH_BYTES_MAX) return short;
  throw new EdgeError(
    'E_CONFIG',
    `the socket path ${dataDir.socketFile} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`,
    {
      hint: 'Use a data dir with a shorter path, or set XDG_RUNTIME_DIR.',
    },
  );
}
