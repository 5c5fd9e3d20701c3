/** The control API as the command line uses it. */
import { type DataDir, EdgeError, isEdgeError, type Progress, type Warning } from '@edgestore/engine';
import type { OperationOutcome } from '../operations/operation.ts';
import { readJson, withIdleDeadline } from './bounded-body.ts';
import { controlSocketPath } from './control-socket.ts';
import { httpCall } from './http-call.ts';
import { errorOfProblem } from './problem.ts';

export interface ControlClient {
  readonly socketPath: string;
  /** Runs the operation in the agent; the same answers as if it ran here. Aborting the signal cancels it there. */
  run(operation: string, input: unknown, options: ControlRunOptions): Promise<OperationOutcome>;
}

export interface ControlRunOptions {
  readonly signal: AbortSignal;
  readonly progress: (progress: Progress) => void;
  readonly warn: (warning: Warning) => void;
  readonly emit: (item: unknown) => Promise<void>;
}

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** An event of a job: the result of a long listing is the longest. */
const LINE_BYTES_MAX = 256 * 1024 * 1024;
/** A job may be silent for as long as it likes: the agent's death closes the socket. */
const SILENCE_MS_MAX = 24 * 3_600_000;
/** After a cancel the agent finishes the piece in hand. */
const CANCEL_MS_MAX = 60_000;

/** The agent of this data dir, or undefined when none answers. Throws when something is there that does not answer rightly. */
export async function reachAgent(dataDir: DataDir, env: NodeJS.ProcessEnv): Promise<ControlClient | undefined> {
  const socketPath = controlSocketPath(dataDir, env);
  try {
    const response = await httpCall({
      method: 'GET',
      path: '/healthz',
      socketPath,
      label: 'the agent',
      idleMs: 10_000,
    });
    await readJson(response, 4096);
  } catch (error) {
    if (isEdgeError(error, 'E_AGENT_UNREACHABLE')) return undefined;
    throw error;
  }
  return { socketPath, run: (operation, input, options) => runInAgent(socketPath, operation, input, options) };
}

/** E_AGENT_UNREACHABLE for commands that need one. */
export function noAgent(dataDir: DataDir): EdgeError {
  return new EdgeError('E_AGENT_UNREACHABLE', `no agent is running on ${dataDir.path}`, {
    hint: 'Start it with `edgestore agent run`.',
  });
}

async function runInAgent(
  socketPath: string,
  operation: string,
  input: unknown,
  options: ControlRunOptions,
): Promise<OperationOutcome> {
  options.signal.throwIfAborted();
  const body = Buffer.from(JSON.stringify({ operation, input }));
  const headers = { 'content-type': 'application/json' };
  const started = await httpCall({ method: 'POST', path: '/v1/jobs', socketPath, label: 'the agent', body, headers });
  const { job } = (await readJson(started, ANSWER_BYTES_MAX)) as { job: { id: string } };
  // With cancel=1 the job also ends when this process is killed.
  const stream = await httpCall({
    method: 'GET',
    path: `/v1/jobs/${job.id}/stream?cancel=1`,
    socketPath,
    label: 'the agent',
    idleMs: SILENCE_MS_MAX,
  });
  let timer: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    void httpCall({ method: 'DELETE', path: `/v1/jobs/${job.id}`, socketPath, label: 'the agent' }).then(
      (response) => response.resume(),
      () => stream.destroy(),
    );
    timer = setTimeout(() => stream.destroy(), CANCEL_MS_MAX);
  };
  options.signal.addEventListener('abort', cancel, { once: true });
  try {
    for await (const line of linesOf(withIdleDeadline(stream, SILENCE_MS_MAX))) {
      const event = JSON.parse(line) as { type: string; [key: string]: unknown };
      if (event.type === 'progress') options.progress(event.progress as Progress);
      else if (event.type === 'warning') options.warn(event.warning as Warning);
      else if (event.type === 'item') await options.emit(event.item);
      else if (event.type === 'result') return event.outcome as OperationOutcome;
      else if (event.type === 'error') throw errorOfJob(event.error, options.signal);
    }
  } catch (error) {
    if (options.signal.aborted && isEdgeError(error, 'E_STORE', 'E_TIMEOUT')) throw options.signal.reason;
    // A connection that broke off is an agent that was killed: said below.
    if (!isEdgeError(error, 'E_STORE')) throw error;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', cancel);
    stream.destroy();
  }
  throw new EdgeError('E_AGENT_UNREACHABLE', 'the agent went away before the job ended', {
    hint: 'See its log; run the command again, it goes on where it stopped.',
  });
}

/** A job that was cancelled from here ends with what the user did, not with what the agent calls it. */
function errorOfJob(problem: unknown, signal: AbortSignal): unknown {
  const error = errorOfProblem(500, JSON.stringify(problem), 'the agent');
  return signal.aborted && isEdgeError(error, 'E_INTERRUPTED') ? signal.reason : error;
}

async function* linesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    let from = 0;
    for (let at = piece.indexOf(10); at !== -1; at = piece.indexOf(10, from)) {
      yield Buffer.concat([...rest, piece.subarray(from, at)]).toString('utf8');
      rest = [];
      length = 0;
      from = at + 1;
    }
    rest.push(piece.subarray(from));
    length += piece.length - from;
    if (length > LINE_BYTES_MAX) throw new EdgeError('E_FORMAT', 'the agent sent a line that is too long');
  }
}
