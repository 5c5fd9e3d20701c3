/** The endpoints of the control API. Looking answers at once; whatever changes something is a job. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { EdgeError } from '@edgestore/engine';
import type { Registry } from 'prom-client';
import { z } from 'zod';
import type { AgentHome } from '../home/agent-home.ts';
import { loadOperation, parseInput } from '../operations/registry.ts';
import type { AgentEvents } from '../work/agent-events.ts';
import type { RunnableJobs } from '../work/job-board.ts';
import { readJson } from './bounded-body.ts';
import { jobJson } from './job-json.ts';
import { problemOf } from './problem.ts';
import { sendBytes, sendJson, writePieces } from './respond.ts';

export interface ControlContext {
  readonly home: AgentHome;
  readonly jobs: RunnableJobs;
  readonly events: AgentEvents;
  readonly registry: Registry;
  /** Why the agent is not ready; empty when it is. */
  readonly notReady: () => Promise<readonly string[]>;
}

export interface ControlRequest {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** What the path's group matched. */
  readonly id: string;
  readonly signal: AbortSignal;
}

interface ControlRoute {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: RegExp;
  readonly run: (request: ControlRequest, context: ControlContext) => Promise<void>;
}

const JOB_BODY_BYTES_MAX = 1024 * 1024;
const EVENTS_WAITING_MAX = 1000;
const jobRequest = z.strictObject({ operation: z.string().max(64), input: z.unknown().optional() });

/** Listings that are an operation of their own, under their public path. */
const LISTINGS: Readonly<Record<string, string>> = {
  status: 'status',
  roots: 'root.list',
  snapshots: 'snapshot.list',
  peers: 'peer.list',
  tiers: 'tier.status',
};

export const CONTROL_ROUTES: readonly ControlRoute[] = [
  { method: 'GET', path: /^\/healthz$/, run: async ({ response }) => sendJson(response, { status: 'ok' }) },
  { method: 'GET', path: /^\/readyz$/, run: readiness },
  { method: 'GET', path: /^\/metrics$/, run: metrics },
  { method: 'GET', path: /^\/v1\/(status|roots|snapshots|peers|tiers)$/, run: listing },
  { method: 'GET', path: /^\/v1\/events$/, run: events },
  {
    method: 'GET',
    path: /^\/v1\/jobs$/,
    run: async ({ response }, { jobs }) => sendJson(response, { jobs: jobs.list().map(jobJson) }),
  },
  { method: 'POST', path: /^\/v1\/jobs$/, run: startJob },
  { method: 'GET', path: /^\/v1\/jobs\/(\d{1,12})$/, run: showJob },
  { method: 'DELETE', path: /^\/v1\/jobs\/(\d{1,12})$/, run: cancelJob },
  { method: 'GET', path: /^\/v1\/jobs\/(\d{1,12})\/stream$/, run: streamJob },
];

async function readiness({ response }: ControlRequest, { notReady }: ControlContext): Promise<void> {
  const reasons = await notReady();
  sendJson(response, { ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
}

async function metrics({ response }: ControlRequest, { registry }: ControlContext): Promise<void> {
  sendBytes(response, Buffer.from(await registry.metrics()), registry.contentType);
}

async function listing({ response, id, query, signal }: ControlRequest, { home }: ControlContext): Promise<void> {
  const operation = await loadOperation(LISTINGS[id]!);
  const items: unknown[] = [];
  const warnings: unknown[] = [];
  const input = parseInput(operation.input, Object.fromEntries(query));
  const outcome = await operation.run(input, {
    home,
    signal,
    progress: () => {},
    warn: (warning) => void warnings.push(warning),
    emit: async (item) => void items.push(item),
  });
  sendJson(response, { data: outcome.data, ...(items.length === 0 ? {} : { items }), warnings });
}

async function startJob({ message, response }: ControlRequest, { jobs }: ControlContext): Promise<void> {
  // A form post of some web page has no such type, and a browser asks before it sends one to another origin.
  if (!/^application\/json\b/.test(message.headers['content-type'] ?? '')) {
    throw new EdgeError('E_USAGE', 'the body has to be application/json');
  }
  const parsed = jobRequest.safeParse(await readJson(message, JOB_BODY_BYTES_MAX));
  if (!parsed.success) throw new EdgeError('E_USAGE', `not a job: ${z.prettifyError(parsed.error).slice(0, 500)}`);
  const operation = await loadOperation(parsed.data.operation);
  const job = jobs.start(operation, parseInput(operation.input, parsed.data.input ?? {}));
  response.setHeader('location', `/v1/jobs/${job.id}`);
  sendJson(response, { job: jobJson(job) }, 202);
}

async function showJob({ response, id }: ControlRequest, { jobs }: ControlContext): Promise<void> {
  const job = jobs.find(id);
  if (job === undefined) throw new EdgeError('E_NOT_FOUND', `there is no job ${id}`);
  sendJson(response, { job: jobJson(job), ...(job.outcome === undefined ? {} : { outcome: job.outcome }) });
}

async function cancelJob({ response, id }: ControlRequest, { jobs }: ControlContext): Promise<void> {
  const isCancelled = jobs.cancel(id);
  sendJson(response, { cancelled: isCancelled }, isCancelled ? 202 : 200);
}

/** NDJSON, one event a line, to the end of the job. With `?cancel=1` the job ends with its reader. */
async function streamJob({ response, id, query, signal }: ControlRequest, { jobs }: ControlContext): Promise<void> {
  if (jobs.find(id) === undefined) throw new EdgeError('E_NOT_FOUND', `there is no job ${id}`);
  if (query.get('cancel') === '1') signal.addEventListener('abort', () => void jobs.cancel(id), { once: true });
  const stream = jobs.stream(id, signal);
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  response.flushHeaders();
  for await (const event of stream) {
    const line = event.type === 'error' ? { type: 'error', error: problemOf(event.error) } : event;
    await writePieces(response, [Buffer.from(`${JSON.stringify(line, plain)}\n`)], signal);
  }
  response.end();
}

/** Server-sent events; one that cannot keep up is cut off, so that it does not fill our memory. */
async function events({ response, signal }: ControlRequest, context: ControlContext): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(': edgestore\n\n');
  let waiting = 0;
  const send = (id: number, type: string, data: unknown): void => {
    if (++waiting > EVENTS_WAITING_MAX) {
      response.destroy();
      return;
    }
    response.write(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data, plain)}\n\n`, () => waiting--);
  };
  const forget = [
    context.events.listen((event) => send(event.id, event.type, event)),
    context.jobs.onChange((job) => send(0, 'job', jobJson(job))),
  ];
  // Proxies and clients take a silent stream for a dead one.
  const beat = setInterval(() => response.write(': still here\n\n'), 15_000);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  clearInterval(beat);
  for (const end of forget) end();
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
