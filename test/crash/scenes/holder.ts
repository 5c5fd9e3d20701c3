/** Copies at another agent: the holder is killed while the owner sends, the owner while it sends, and the holder while it builds its index again. */
import { mkdirSync, readdirSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { edgestoreJson, finished, startEdgestore } from '../../support/edgestore-process.ts';
import { freePorts } from '../../support/free-port.ts';
import { AgentProcess } from '../agent-process.ts';
import { type Acknowledged, restoresExactly, treeOf } from '../journal.ts';
import { FailpointLog, failpointEnvironment, type Kill, type KilledRun, runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { toldBy, Vault } from '../vault.ts';

/** At the end, of what was acknowledged. */
const RESTORED_EVERY = 4;

/** An owner whose syncs run in processes of their own, and a holder of which the agent runs. */
class Pair {
  readonly vault = new Vault();
  readonly holderDir = join(this.vault.base, 'holder');
  readonly at: readonly string[] = ['--data-dir', this.holderDir];
  agent: AgentProcess | undefined;
  #port = 0;
  #recoveries = 0;

  get sync(): readonly string[] {
    return ['sync', this.vault.root, '--wait', 'peers=1', '--timeout', '60s', '--json', ...this.vault.at];
  }

  async make(): Promise<void> {
    const [ownerPort = 0, holderPort = 0] = await freePorts(2);
    this.#port = holderPort;
    await this.vault.make(`[agent]\nlisten = "127.0.0.1:${ownerPort}"\n[replication.default]\ncopies = 1\nsites = 1\n`);
    const owner = await AgentProcess.start(this.vault.at);
    try {
      const { token } = await edgestoreJson<{ token: string }>([
        'peer',
        'invite',
        '--role',
        'holder',
        ...this.vault.at,
      ]);
      const join = ['peer', 'join', '--name', 'holder', '--site', 'elsewhere', '--listen', `127.0.0.1:${holderPort}`];
      await edgestoreJson([...join, ...this.at], { stdin: token });
    } finally {
      await owner.kill();
    }
    await this.startHolder();
    await this.vault.sync('--wait', 'peers=1');
  }

  async startHolder(env: Readonly<Record<string, string>> = {}): Promise<AgentProcess> {
    this.agent = await AgentProcess.start(this.at, env);
    return this.agent;
  }

  async killHolder(): Promise<void> {
    await this.agent?.kill();
    this.agent = undefined;
  }

  /** The owner's disk is lost: what the holder gives must be the last acknowledged snapshot, exactly. */
  async holderHasLast(what: string): Promise<void> {
    await this.#holderGives(this.vault.journal.entries.slice(-1), what);
  }

  /**
   * The holder's newest record is that of the last acknowledged snapshot, and it has every chunk that any snapshot reaches. One process instead of two,
   * and all snapshots instead of one; their bytes are looked at in the end, as no later sync would send again what this holder acknowledged.
   */
  async holderLacksNothing(what: string): Promise<void> {
    const { head, snapshots } = await edgestoreJson<{ head: { hash: string } | null; snapshots: number }>([
      ...this.#recover,
      '--dry-run',
      ...['--data-dir', join(this.vault.base, 'never made')],
    ]);
    const { entries, last } = this.vault.journal;
    if (head?.hash !== last?.snapshot || snapshots < entries.length)
      throw new Error(`${what}: the holder has ${snapshots} of ${entries.length} snapshots, the newest ${head?.hash}`);
  }

  /** A reader: the owner is alive, and its life must not be taken over. */
  get #recover(): readonly string[] {
    const from = ['--from', `https://127.0.0.1:${this.#port}`, '--recovery-file', this.vault.sheet];
    return ['recover', ...from, '--agent', this.vault.ownerName, '--read-only'];
  }

  async #holderGives(entries: readonly Acknowledged[], what: string): Promise<void> {
    const recovered = join(this.vault.base, `recovered ${++this.#recoveries}`);
    await edgestoreJson([...this.#recover, '--data-dir', recovered]);
    try {
      for (const entry of entries)
        await restoresExactly(entry, ['--data-dir', recovered, '--agent', this.vault.ownerName], what);
    } catch (error) {
      throw new Error(`${(error as Error).message}\nthe holder said: ${this.agent?.said}`, { cause: error });
    }
    rmSync(recovered, { recursive: true });
  }

  async finish(): Promise<void> {
    if (this.agent === undefined) await this.startHolder();
    this.vault.edit();
    await this.vault.sync('--wait', 'peers=1');
    // Of all of them: every chunk is there, and (scrub) what is there is what it should be. Some of them come back through the whole path.
    await this.holderLacksNothing('at the end');
    this.vault.elsewhere.holders = [this.holderDir];
    this.vault.beliefsHold('peers=1');
    const { entries } = this.vault.journal;
    const some = entries.filter((entry, i) => i % RESTORED_EVERY === 0 || entry === this.vault.journal.last);
    await this.#holderGives(some, 'from the holder at the end');
    await this.killHolder();
    for (const at of [this.vault.at, this.at]) await edgestoreJson(['scrub', '--all', ...at]);
  }

  remove(): void {
    void this.agent?.kill();
    this.vault.remove();
  }
}

/** The holder dies while it takes what the owner sends, comes back, and the owner's sync gets its copy all the same. */
export async function holderScene(): Promise<Scene> {
  const pair = new Pair();
  await pair.make();
  await pair.killHolder();
  let manifest = treeOf(pair.vault.root);
  return {
    arrange: async () => {
      pair.vault.edit();
      manifest = treeOf(pair.vault.root);
    },
    run: (kill) => runKillingHolder(pair, kill),
    check: async (run) => {
      // Whatever became of the holder: the sync itself was not killed, and must have reached its copy.
      pair.vault.acknowledge(toldBy(run), manifest);
      await pair.holderLacksNothing('after the holder was killed');
      await pair.killHolder();
    },
    finish: () => pair.finish(),
    remove: () => pair.remove(),
  };
}

async function runKillingHolder(pair: Pair, kill: Kill): Promise<KilledRun> {
  const log = new FailpointLog();
  const holder = await pair.startHolder(failpointEnvironment(kill, log));
  let firstWrite: number | undefined;
  let lastWrite = 0;
  let timer: NodeJS.Timeout | undefined;
  const onChange = (): void => {
    lastWrite = performance.now();
    firstWrite ??= lastWrite;
    if (kill.afterMs !== undefined) timer ??= setTimeout(() => void holder.kill(), kill.afterMs);
  };
  const watchers = [pair.holderDir, ...['packs/.tmp', 'chains'].map((name) => join(pair.holderDir, name))].map(
    (folder) => {
      mkdirSync(folder, { recursive: true });
      return watch(folder, onChange);
    },
  );
  try {
    const owner = startEdgestore(pair.sync);
    owner.stdin?.end();
    let isOver = false;
    const ending = finished(owner).finally(() => {
      isOver = true;
    });
    await Promise.race([holder.ended, ending]);
    if (holder.hasEnded && !isOver) await pair.startHolder();
    const done = await ending;
    const writingMs = firstWrite === undefined ? undefined : lastWrite - firstWrite;
    clearTimeout(timer);
    const killed = holder.wasKilled;
    // What comes now must meet a holder that nothing kills.
    if (pair.agent === holder) {
      await pair.killHolder();
      await pair.startHolder();
    }
    return { ...done, killed, writingMs, hits: log.hits() };
  } finally {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
    log.remove();
  }
}

/** The owner dies while it sends; the holder stays. */
export async function ownerScene(): Promise<Scene> {
  const pair = new Pair();
  await pair.make();
  return {
    arrange: async () => pair.vault.edit(),
    run: (kill) => runAndKill({ args: pair.sync, folders: [pair.vault.dataDir, pair.vault.temporaryPacks], kill }),
    check: async (run) => {
      if (!run.killed) pair.vault.acknowledge(toldBy(run));
      await pair.vault.lastRestores('after the owner was killed');
      await pair.vault.sync('--wait', 'peers=1');
      await pair.holderHasLast('after the owner was killed');
    },
    finish: async () => {
      await pair.finish();
      await pair.vault.everythingRestores();
    },
    remove: () => pair.remove(),
  };
}

/** The holder has lost its index: the holds come out of its chains again, before it drops or gives anything. */
export async function holderRebuildScene(): Promise<Scene> {
  const pair = new Pair();
  await pair.make();
  return {
    arrange: async () => {
      await pair.killHolder();
      for (const name of readdirSync(pair.holderDir)) {
        if (name.startsWith('index.sqlite')) rmSync(join(pair.holderDir, name));
      }
    },
    run: (kill) => runAndKill({ args: ['status', ...pair.at], folders: [pair.holderDir], kill }),
    check: async () => {
      await pair.startHolder();
      await pair.holderHasLast('after the holder was killed in a rebuild');
    },
    finish: () => pair.finish(),
    remove: () => pair.remove(),
  };
}
