/**
 * The agent: starts everything in the order in which parts need each other, and stops it the other way round. Data first, then what works on it, then
 * the doors; the doors close first.
 */
import { readFileSync, statSync } from 'node:fs';
import { EdgeError, formatTimeNs, toEdgeError } from '@edgestore/engine';
import type { Logger } from 'pino';
import type { AgentHome } from './home/agent-home.ts';
import { type ControlServer, openControlServer } from './http/control-server.ts';
import { controlSocketPath } from './http/control-socket.ts';
import { openPeerServer, type PeerServer } from './http/peer-server.ts';
import { serveHome } from './http/serve-home.ts';
import { renewOwnCard } from './membership/invite-peer.ts';
import { createAgentMetrics } from './metrics/agent-metrics.ts';
import { recordSettings } from './operations/record-settings.ts';
import { loadOperation, parseInput } from './operations/registry.ts';
import { createAgentEvents } from './work/agent-events.ts';
import { startCaptureWorker } from './work/capture-worker.ts';
import { collectReleases } from './work/collect-releases.ts';
import { createJobBoard } from './work/job-board.ts';
import { keepCheckpoints } from './work/keep-checkpoints.ts';
import { startReplicationWorker } from './work/replication-worker.ts';
import type { RunningAgent } from './work/running-agent.ts';
import { type BackgroundWorker, startWorker } from './work/worker.ts';

export interface Agent {
  readonly running: RunningAgent;
  readonly socketPath: string;
  /** Of the peer server; undefined when it does not listen. */
  readonly peerPort: number | undefined;
  readonly apiPort: number | undefined;
  /** Resolves when the agent was told to stop, by `agent stop`. */
  readonly stopRequested: Promise<void>;
  /** Ends within ten seconds. The home stays open: whoever opened it closes it. */
  stop(): Promise<void>;
}

/** Requests and jobs under way get this long; with what follows, the whole stays under ten seconds. */
const GRACE_MS = 3000;
/** Jobs are told to end so early that whoever waits for one hears it. */
const JOBS_GRACE_MS = 1500;
const STOP_MS_MAX = 8000;
const INTRODUCE_MS = 5 * 60_000;
/** What other agents released is collected so often; a frame waits for its grace and for so many collections. */
const COLLECT_MS = 3_600_000;
const TIER_MS = 3_600_000;
const MERGE_MS = 15 * 60_000;
/** Between two looks at hold checkpoints. A look that finds nothing due is a few look-ups in the index. */
const CHECKPOINTS_MS_MIN = 10_000;

export async function startAgent(
  home: AgentHome,
  deps: { readonly env: NodeJS.ProcessEnv; readonly log: Logger },
): Promise<Agent> {
  const { log } = deps;
  const { engine, config } = home;
  const { clock } = engine;
  const events = createAgentEvents(() => formatTimeNs(clock.nowNs()));
  events.listen(({ type, id: _id, time: _time, ...rest }) =>
    log[type === 'warning' || type.endsWith('_failed') ? 'warn' : 'info'](rest, type),
  );
  const metrics = createAgentMetrics(home);
  const jobs = createJobBoard(home, clock);
  const onError = (error: EdgeError, worker: string): void =>
    log.error({ code: error.code, worker, hint: error.hint }, error.message);
  const started: { stop(): Promise<void> }[] = [];
  const stopAll = async (): Promise<void> => {
    for (const one of started.splice(0).reverse()) await one.stop();
  };
  let capture: ReturnType<typeof startCaptureWorker> | undefined;
  let merge: BackgroundWorker | undefined;
  let checkpoints: BackgroundWorker | undefined;
  let replicationWorker: BackgroundWorker | undefined;
  let introductions: BackgroundWorker | undefined;
  let isFirstTierLook = true;
  let isFirstCollect = true;
  let isStopping = false;
  let requestStop = (): void => {};
  const stopRequested = new Promise<void>((resolve) => {
    requestStop = resolve;
  });

  try {
    const socketPath = controlSocketPath(home.dataDir, deps.env);
    const replication = startReplicationWorker({ home, events, metrics, onError });
    started.push(replication);
    replicationWorker = replication.worker;
    const peerServer = await listenToPeers();
    started.push({ stop: () => jobs.close() });
    const workers: BackgroundWorker[] = [replication.worker, ...startUpkeep()];
    capture = startCaptureWorker({ home, events, metrics, onError });
    started.push(capture);
    workers.push(capture.worker);
    const running: RunningAgent = {
      startedNs: clock.nowNs(),
      listens: peerServer === undefined ? undefined : `${peerServer.host}:${peerServer.port}`,
      jobs,
      workers: () => workers.map((worker) => worker.status()),
      watching: () => capture?.watching() ?? [],
      noteNewWork: () => {
        replication.worker.wake();
        checkpoints?.wake();
      },
      // The answer of the operation that asks for it has to leave first.
      stop: () => void setTimeout(requestStop, 50),
    };
    home.attach(running, peerServer?.port);
    home.onReload(() => {
      events.emit({ type: 'reloaded' });
      void capture?.reconfigure().catch((error: unknown) => onError(toEdgeError(error), 'watch'));
      void recordSettings(home).catch((error: unknown) => onError(toEdgeError(error), 'settings'));
      replication.worker.wake();
    });
    await announceAddresses();
    await recordSettings(home);
    const control = await openControl(socketPath);
    log.info(
      { socket: socketPath, listens: running.listens, roots: config.roots.map((root) => root.name), pid: process.pid },
      'agent started',
    );
    return {
      running,
      socketPath,
      peerPort: peerServer?.port,
      apiPort: control.port,
      stopRequested,
      stop: () => {
        isStopping = true;
        return within(STOP_MS_MAX, stopAll(), () =>
          log.warn('not everything ended in time; what was under way is done again at the next start'),
        );
      },
    };
  } catch (error) {
    await stopAll();
    throw error;
  }

  async function listenToPeers(): Promise<PeerServer | undefined> {
    if (config.agent.listen === undefined) return undefined;
    const { service } = serveHome(home, {
      onHeld: () => {
        merge?.wake();
        checkpoints?.wake();
      },
      onMembers: () => {
        replicationWorker?.wake();
        introductions?.wake();
      },
    });
    const server = await openPeerServer({
      listen: config.agent.listen,
      identity: home.peers.tls,
      service,
      onError: (error, request) => {
        const known = toEdgeError(error);
        // Port scans and callers that only look at our key end in the handshake; they are no news.
        const level = request.path === 'tls' ? 'debug' : known.exitCode === 1 ? 'warn' : 'info';
        log[level]({ code: known.code, ...request }, known.message);
      },
      onRequest: (request) => metrics.peerRequest(request),
    });
    started.push({ stop: () => server.close(GRACE_MS) });
    return server;
  }

  /** Where this agent is, in a card of its own, when it may sign one; others learn it with the next hello. */
  async function announceAddresses(): Promise<void> {
    const adminSeed = await home.adminSeed();
    if (adminSeed !== undefined && home.addresses.length > 0)
      await renewOwnCard(home.addresses, adminSeed, home.inviter);
  }

  function startUpkeep(): BackgroundWorker[] {
    introductions = startWorker({
      name: 'introductions',
      clock,
      onError,
      work: async (signal) => {
        for (const { name, error } of await home.peers.introduce(signal)) {
          log.info({ peer: name, code: error.code }, error.message);
        }
        return INTRODUCE_MS;
      },
    });
    const tiers = startWorker({
      name: 'tiers',
      clock,
      onError,
      work: async () => {
        // The first look is not at the start, when everything else wants the disk.
        if (isFirstTierLook) isFirstTierLook = false;
        else if (Object.values(home.config.tiering).some((tiering) => tiering.cold !== undefined)) {
          const operation = await loadOperation('tier.run');
          jobs.start(operation, parseInput(operation.input, {}));
        }
        return TIER_MS;
      },
    });
    merge = startWorker({
      name: 'merge',
      clock,
      onError,
      work: async (signal) => {
        await engine.chunks.mergeSmallPacks(signal);
        await clock.sleep(MERGE_MS, signal).catch(() => {});
        return undefined;
      },
    });
    const collect = startWorker({
      name: 'collect',
      clock,
      onError,
      work: async (signal) => {
        // Not at the start, when everything else wants the disk. The running time is noted then, too.
        if (isFirstCollect) isFirstCollect = false;
        else {
          const { deleted, bytesFreed, braked } = await collectReleases(home, signal);
          if (deleted > 0 || braked.length > 0)
            log.info({ deleted, bytesFreed, braked }, 'collected what other agents released');
        }
        return COLLECT_MS;
      },
    });
    checkpoints = startWorker({
      name: 'checkpoints',
      clock,
      onError,
      work: async (signal) => {
        const { made, proved } = await keepCheckpoints(home, signal);
        for (const one of made) log.info(one, 'hold checkpoint');
        for (const one of proved)
          log[one.verdict === 'false' ? 'warn' : 'info'](one, 'hold checkpoint of another agent');
        await clock.sleep(CHECKPOINTS_MS_MIN, signal).catch(() => {});
        return undefined;
      },
    });
    const upkeep = [introductions, tiers, merge, collect, checkpoints];
    started.push({ stop: async () => void (await Promise.all(upkeep.map((worker) => worker.stop()))) });
    return upkeep;
  }

  /** The home is open before anything else starts: the vault is unlocked, and the index was brought in line. What can still lack is here. */
  async function notReady(): Promise<readonly string[]> {
    if (isStopping) return ['the agent is stopping'];
    const index = engine.index.isBuilt() ? [] : ['the index is not built'];
    const roots = (await capture?.notReady()) ?? ['roots are not looked after yet'];
    return [...index, ...roots];
  }

  async function openControl(socketPath: string): Promise<ControlServer> {
    const { apiListen, apiTokenFile } = config.agent;
    const server = await openControlServer({
      socketPath,
      tcp: apiListen === undefined ? undefined : { listen: apiListen, token: readToken(apiTokenFile!) },
      context: { home, jobs, events, registry: metrics.registry, notReady },
      onError: (error, request) => {
        const known = toEdgeError(error);
        log[known.exitCode === 1 ? 'warn' : 'debug']({ code: known.code, ...request }, known.message);
      },
    });
    started.push({
      stop: async () => {
        // A job that is waited for over a connection learns that it has to end while there still is one to say so on.
        const tell = setTimeout(() => jobs.end(), JOBS_GRACE_MS);
        await server.close(GRACE_MS);
        clearTimeout(tell);
      },
    });
    return server;
  }
}

/** E_CONFIG when others can read it, or it is too short to be hard to guess. */
function readToken(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new EdgeError('E_CONFIG', `there is no token file ${file} (agent.api_token_file)`);
  if ((stat.mode & 0o077) !== 0)
    throw new EdgeError('E_CONFIG', `the token file ${file} can be read by others`, { hint: `chmod 600 ${file}` });
  const token = readFileSync(file, 'utf8').trim();
  if (token.length < 32) throw new EdgeError('E_CONFIG', `the token in ${file} has fewer than 32 characters`);
  return token;
}

async function within(ms: number, work: Promise<void>, onLate: () => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      onLate();
      resolve();
    }, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
