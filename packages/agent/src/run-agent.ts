/** `edgestore agent run`: the agent in the foreground, until it is told to stop. */
import { EdgeError, formatTimeNs } from '@edgestore/engine';
import { destination, type Level, type Logger, pino } from 'pino';
import { startAgent } from './agent.ts';
import { type OpenAgentHomeInput, openAgentHome } from './home/agent-home.ts';

export interface RunAgentInput extends Omit<OpenAgentHomeInput, 'command' | 'warn'> {
  readonly env: NodeJS.ProcessEnv;
  /** Aborted by SIGTERM or Ctrl-C. */
  readonly signal: AbortSignal;
  /** Called once it runs, with where it can be reached. */
  readonly onStarted?: (at: {
    readonly socketPath: string;
    readonly peerPort: number | undefined;
    readonly apiPort: number | undefined;
  }) => void;
}

const LEVELS = new Set<string>(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']);

/** Resolves when the agent was stopped (by the signal or by `agent stop`). Everything acknowledged is on disk then. */
export async function runAgent(input: RunAgentInput): Promise<void> {
  const log = createLogger(input.env);
  const home = await openAgentHome({
    ...input,
    command: 'edgestore agent run',
    warn: ({ code, message }) => log.warn({ code }, message),
  });
  try {
    const agent = await startAgent(home, { env: input.env, log });
    input.onStarted?.(agent);
    await Promise.race([agent.stopRequested, aborted(input.signal)]);
    log.info('stopping');
    await agent.stop();
  } finally {
    await home.close();
    log.info('stopped');
    log.flush();
  }
}

/** JSON lines on stderr; stdout is for results. E_CONFIG for a level that does not exist. */
function createLogger(env: NodeJS.ProcessEnv): Logger {
  const level = env.EDGESTORE_LOG_LEVEL || 'info';
  if (!LEVELS.has(level)) {
    throw new EdgeError('E_CONFIG', `EDGESTORE_LOG_LEVEL is ${JSON.stringify(level)}`, {
      hint: `Use one of ${[...LEVELS].join(', ')}.`,
    });
  }
  return pino(
    {
      level: level as Level,
      base: null,
      timestamp: () => `,"time":"${formatTimeNs(BigInt(Date.now()) * 1_000_000n)}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: ['token', 'secret', 'passphrase', 'authorization'],
    },
    // Written at once: a log that is lost with a crash is of no use.
    destination({ fd: 2, sync: true }),
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
