/** Runs an operation or a setup in this process: on the data dir itself, under its lock. */
import { loadConfig } from '../config/load-config.ts';
import { openAgentHome } from '../home/agent-home.ts';
import type { OperationOutcome } from './operation.ts';
import { parseInput } from './parse-input.ts';
import { loadOperation, loadSetup } from './registry.ts';
import type { SetupContext } from './setup.ts';

export interface RunHereContext extends SetupContext {
  readonly emit: (item: unknown) => Promise<void>;
}

export async function runHere(name: string, rawInput: unknown, context: RunHereContext): Promise<OperationOutcome> {
  const setup = await loadSetup(name);
  if (setup !== undefined) return await setup.run(parseInput(setup.input, rawInput), context);
  const operation = await loadOperation(name);
  // Before anything is opened: a mistyped flag must not wait for a lock or ask for a passphrase.
  const input = parseInput(operation.input, rawInput);
  const loadAgain = () => loadConfig(context.place);
  const loaded = loadAgain();
  for (const warning of loaded.warnings) context.warn(warning);
  const home = await openAgentHome({
    loaded,
    loadAgain,
    secret: context.secret,
    lock: 'exclusive',
    command: `edgestore ${name.replace('.', ' ')}`,
    clock: context.clock,
    random: context.random,
    warn: context.warn,
    progress: context.progress,
    signal: context.signal,
  });
  try {
    const { signal, progress, warn, emit } = context;
    return await operation.run(input, { home, signal, progress, warn, emit });
  } finally {
    await home.close();
  }
}
