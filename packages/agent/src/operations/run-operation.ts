/** Runs an operation where it has to run: in the agent that has the data dir, or here under its lock. The outcome is the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataDir, dataDirAt, EdgeError, isEdgeError, isThere } from '@edgestore/engine';
import { loadConfig } from '../config/load-config.ts';
import { controlSocketPath } from '../http/control-socket.ts';
import type { OperationOutcome } from './operation.ts';
import { parseInput } from './parse-input.ts';
import { AGENT_OPERATIONS, loadOperation, loadSetup } from './registry.ts';
import { type RunHereContext, runHere } from './run-here.ts';

/** An agent that has just taken the lock opens its socket within this time. */
const AGENT_STARTS_MS = 15_000;
const LOOK_EVERY_MS = 100;

export async function runOperation(
  name: string,
  rawInput: unknown,
  context: RunHereContext,
): Promise<OperationOutcome> {
  const setup = await loadSetup(name);
  if (setup !== undefined) return await setup.run(parseInput(setup.input, rawInput), context);
  if (!AGENT_OPERATIONS.has(name)) {
    // Before anything is opened: a mistyped flag must not wait for a lock or ask for a passphrase.
    parseInput((await loadOperation(name)).input, rawInput);
  }
  const loaded = loadConfig(context.place);
  const dir = dataDirAt(loaded.dataDir, { packDir: loaded.config.agent.packDir });
  const outcome = await runInAgent(name, rawInput, dir, context);
  if (outcome !== undefined) return outcome;
  if (AGENT_OPERATIONS.has(name)) {
    throw new EdgeError('E_AGENT_UNREACHABLE', `no agent is running on ${dir.path}`, {
      hint: 'Start it with `edgestore agent run`.',
    });
  }
  try {
    return await runHere(name, rawInput, context);
  } catch (error) {
    if (!isEdgeError(error, 'E_BUSY') || !String(error.context.command).includes('agent run')) throw error;
    return await runInStartingAgent(name, rawInput, dir, context, error);
  }
}

/** Undefined when no agent answers. */
async function runInAgent(
  name: string,
  rawInput: unknown,
  dir: DataDir,
  context: RunHereContext,
): Promise<OperationOutcome | undefined> {
  if (!socketIsThere(dir, context.place.env)) return undefined;
  const { reachAgent } = await import('../http/control-client.ts');
  const agent = await reachAgent(dir, context.place.env);
  try {
    return await agent?.run(name, rawInput, context);
  } catch (error) {
    throw asIfHere(error);
  }
}

/** Where an error came from is no news to somebody who did not ask where the command runs. */
function asIfHere(error: unknown): unknown {
  if (!isEdgeError(error) || error.context.from !== 'the agent') return error;
  const { from: _, ...context } = error.context;
  const { code, message, hint, retryable } = error;
  return new EdgeError(code, message, { ...(hint === undefined ? {} : { hint }), retryable, context, cause: error });
}

/** The agent has the lock already and not yet a socket: it is a matter of moments. */
async function runInStartingAgent(
  name: string,
  rawInput: unknown,
  dir: DataDir,
  context: RunHereContext,
  busy: EdgeError,
): Promise<OperationOutcome> {
  const untilMs = context.clock.monotonicMs() + AGENT_STARTS_MS;
  while (context.clock.monotonicMs() < untilMs) {
    await sleep(LOOK_EVERY_MS, undefined, { signal: context.signal });
    const outcome = await runInAgent(name, rawInput, dir, context);
    if (outcome !== undefined) return outcome;
  }
  throw busy;
}

/** Looked at first: speaking HTTP costs a start of the command line more than all else. */
function socketIsThere(dir: DataDir, env: NodeJS.ProcessEnv): boolean {
  try {
    return isThere(controlSocketPath(dir, env));
  } catch (error) {
    // There is no place for a socket, so no agent has one.
    if (isEdgeError(error, 'E_CONFIG')) return false;
    // Who may not look there may not open the data dir either, which says what to do.
    if (isEdgeError(error) && (error.context.errno === 'EACCES' || error.context.errno === 'EPERM')) return false;
    throw error;
  }
}
