/** Runs an operation or a setup in this process: on the data dir itself, under its lock. */
import { openAgentHome } from '../home/agent-home.ts';
import { unlockVault } from '../home/unlock-vault.ts';
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
  const home = await openAgentHome({
    place: context.place,
    unlock: async (dir) => unlockVault(dir, await context.secret(dir.storedKeyFile)),
    command: `edgestore ${name.replace('.', ' ')}`,
    repairsLog: operation.repairsLog?.(input) === true,
    onlyReads: !operation.mutates || operation.onlyReads === true,
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
