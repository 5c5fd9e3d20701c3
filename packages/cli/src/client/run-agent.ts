/** `agent run`: the agent in this process until it is told to stop. */
import { isEdgeError } from '@edgestore/engine/errors';
import type { Session } from '../program/session.ts';
import { secretsOf } from '../unlock/secrets.ts';
import type { GlobalFlags } from './run-operation.ts';

/** Resolves with the exit code: 0 after `agent stop`, 143 or 130 after a signal. */
export async function runAgentInForeground(session: Session, globals: GlobalFlags): Promise<number> {
  const [{ runAgent, unlockVault }, { systemClock, systemRandom }] = await Promise.all([
    import('@edgestore/agent'),
    import('@edgestore/agent/operations/system'),
  ]);
  const { secret } = secretsOf(session, globals);
  await runAgent({
    place: { flagPath: globals.config, dataDir: globals['data-dir'], env: session.env },
    unlock: async (dir) => unlockVault(dir, await secret(dir.storedKeyFile)),
    clock: systemClock,
    random: systemRandom,
    env: session.env,
    signal: session.signal,
    onStarted: ({ socketPath, peerPort }) => {
      session.note(
        `the agent runs (${socketPath}${peerPort === undefined ? '' : `, peers on port ${peerPort}`}); Ctrl-C stops it`,
      );
    },
  });
  // A signal is how the agent is ended, and needs no word; that a time was over does.
  if (isEdgeError(session.signal.reason, 'E_TIMEOUT')) throw session.signal.reason;
  const { code, exitCode } = (session.signal.aborted ? session.signal.reason : {}) as {
    code?: string;
    exitCode?: number;
  };
  return code === undefined ? 0 : (exitCode ?? 0);
}
