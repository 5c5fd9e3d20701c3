/** What the agent tells Prometheus: names `edgestore_*`, base units, and no label that a path could get into. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { AgentHome } from '../home/agent-home.ts';
import { VERSION } from '../program.ts';

export interface AgentMetrics {
  readonly registry: Registry;
  captured(root: string, result: string, seconds: number): void;
  watchEvent(root: string): void;
  watchProblem(root: string, code: string): void;
  replicated(target: string, result: string, sentBytes: number): void;
  peerRequest(request: {
    readonly route: string;
    readonly status: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  }): void;
}

export function createAgentMetrics(home: AgentHome): AgentMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'edgestore_' });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `edgestore_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const { chain, chains, index, identity } = home.engine;
  new Gauge({
    name: 'edgestore_info',
    help: 'Version, agent and site.',
    labelNames: ['version', 'agent', 'site'],
    registers,
  }).set({ version: VERSION, agent: identity.name, site: identity.site }, 1);
  // All four of one count: whoever scrapes asks for them together.
  let counts = index.chunks.counts();
  gauge('packs', 'Packs known to the index, on disk and in buckets.', () => {
    counts = index.chunks.counts();
    return counts.packs;
  });
  gauge('chunks', 'Chunks known to the index.', () => counts.chunks);
  gauge('chunk_bytes', 'Sealed bytes of these chunks.', () => counts.bytes);
  gauge('bad_copies', 'Copies that were found damaged or missing.', () => counts.badCopies);
  const shardsOf = (agents: readonly string[]) => agents.flatMap((agent) => chains.shards(agent));
  const others = () => chains.agents().filter((agent) => agent !== identity.agentId);
  gauge('held_chunks', 'Chunks held for other agents.', () => sumOf(shardsOf(others()), ({ held }) => held));
  new Gauge({
    name: 'edgestore_unsatisfied_chunks',
    help: 'Held chunks without a good copy in this store, by the reason.',
    labelNames: ['owner', 'reason'],
    registers,
    collect() {
      const shards = { own: shardsOf([identity.agentId]), others: shardsOf(others()) };
      for (const owner of ['own', 'others'] as const)
        for (const reason of ['wanted', 'lost', 'unreadable'] as const)
          this.set(
            { owner, reason },
            sumOf(shards[owner], (shard) => shard[reason]),
          );
    },
  });
  gauge('log_seq', 'Sequence number of the newest entry of this agent.', () => chain.position()?.seq ?? 0);
  gauge('snapshots', 'Live snapshots of this agent.', () =>
    index.log.countSnapshots({ agent: identity.agentId, onTrail: true }),
  );
  gauge('newest_snapshot_timestamp_seconds', 'When the newest snapshot began.', () => {
    const newest = index.log
      .latestOfRoots(identity.agentId)
      .reduce((ns, row) => (row.timeNs > ns ? row.timeNs : ns), 0n);
    return Number(newest / 1_000_000n) / 1000;
  });
  new Gauge({
    name: 'edgestore_replication_pending',
    help: 'Entries that are owed to a target.',
    labelNames: ['target'],
    registers,
    collect() {
      this.reset();
      for (const target of home.replicator.status()) this.set({ target: target.name }, target.pending);
    },
  });
  new Gauge({
    name: 'edgestore_free_bytes',
    help: 'Free bytes where the packs lie.',
    registers,
    async collect() {
      this.set((await home.engine.chunks.freeSpace()).freeBytes);
    },
  });
  new Gauge({
    name: 'edgestore_store_requests_total',
    help: 'Requests to a store since the agent started.',
    labelNames: ['store', 'verb', 'result'],
    registers,
    collect() {
      for (const [store, counts] of home.storeCounts) {
        for (const [verb, calls] of Object.entries(counts.calls)) {
          const failed = counts.failed[verb as keyof typeof counts.failed];
          this.set({ store, verb, result: 'ok' }, calls - failed);
          this.set({ store, verb, result: 'failed' }, failed);
        }
      }
    },
  });
  const captures = new Counter({
    name: 'edgestore_captures_total',
    help: 'Captures by root and result.',
    labelNames: ['root', 'result'],
    registers,
  });
  const captureSeconds = new Histogram({
    name: 'edgestore_capture_duration_seconds',
    help: 'How long captures took.',
    labelNames: ['root'],
    buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200],
    registers,
  });
  const watchEvents = new Counter({
    name: 'edgestore_watch_events_total',
    help: 'File system events.',
    labelNames: ['root'],
    registers,
  });
  const watchProblems = new Gauge({
    name: 'edgestore_watch_incomplete',
    help: '1 when not every folder of a root is watched.',
    labelNames: ['root', 'reason'],
    registers,
  });
  const passes = new Counter({
    name: 'edgestore_replication_passes_total',
    help: 'Passes over a target by result.',
    labelNames: ['target', 'result'],
    registers,
  });
  const sent = new Counter({
    name: 'edgestore_replication_sent_bytes_total',
    help: 'Sealed bytes sent to a target.',
    labelNames: ['target'],
    registers,
  });
  const requests = new Counter({
    name: 'edgestore_peer_requests_total',
    help: 'Requests of other agents.',
    labelNames: ['route', 'status'],
    registers,
  });
  const peerBytes = new Counter({
    name: 'edgestore_peer_bytes_total',
    help: 'Bytes exchanged with other agents as a server.',
    labelNames: ['direction'],
    registers,
  });
  return {
    registry,
    captured: (root, result, seconds) => {
      captures.inc({ root, result });
      captureSeconds.observe({ root }, seconds);
    },
    watchEvent: (root) => watchEvents.inc({ root }),
    watchProblem: (root, reason) => watchProblems.set({ root, reason }, 1),
    replicated: (target, result, bytes) => {
      passes.inc({ target, result });
      sent.inc({ target }, bytes);
    },
    peerRequest: ({ route, status, bytesIn, bytesOut }) => {
      requests.inc({ route, status: String(status) });
      peerBytes.inc({ direction: 'in' }, Math.max(0, bytesIn));
      peerBytes.inc({ direction: 'out' }, Math.max(0, bytesOut));
    },
  };
}

function sumOf<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0);
}
