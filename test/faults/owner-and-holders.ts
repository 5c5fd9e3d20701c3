/** An owner whose commands run in processes of their own, holders whose agents run, and a bucket folder: what the fault tests break. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AgentProcess } from '../crash/agent-process.ts';
import { type Acknowledged, restoresExactly } from '../crash/journal.ts';
import { type SyncData, Vault } from '../crash/vault.ts';
import { edgestoreJson, type Finished, runEdgestore } from '../support/edgestore-process.ts';
import { freePorts } from '../support/free-port.ts';
import { checkBeliefs, forgetKeys, keepKeys, type Level, whyNoBeliefs } from './belief/check-beliefs.ts';

export class Holder {
  readonly dataDir: string;
  readonly port: number;
  agent: AgentProcess | undefined;

  constructor(dataDir: string, port: number) {
    this.dataDir = dataDir;
    this.port = port;
  }

  get at(): readonly string[] {
    return ['--data-dir', this.dataDir];
  }

  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.agent ??= await AgentProcess.start(this.at, env);
  }

  async stop(): Promise<void> {
    await this.agent?.kill();
    this.agent = undefined;
  }
}

export interface Layout {
  readonly holders?: number;
  /** A folder store that gets a copy of everything. */
  readonly bucket?: boolean;
  /** False: the root is empty and nothing is synced yet. Default: 40 small files, synced once. */
  readonly files?: boolean;
  /** More lines of configuration. `BUCKET` is the folder of the store. */
  readonly config?: string;
}

export class OwnerAndHolders {
  readonly vault = new Vault();
  readonly holders: Holder[] = [];
  readonly bucket: string;
  /** What commands called safe, and where; kept by the test alone. */
  readonly acknowledged: { entry: Acknowledged; level: Level }[] = [];
  readonly #layout: Layout;
  #keys: string | undefined;
  #recoveries = 0;

  private constructor(layout: Layout) {
    this.#layout = layout;
    this.bucket = join(this.vault.base, 'bucket');
  }

  static async make(layout: Layout = {}): Promise<OwnerAndHolders> {
    const made = new OwnerAndHolders(layout);
    await made.#make();
    return made;
  }

  get at(): readonly string[] {
    return this.vault.at;
  }

  get root(): string {
    return this.vault.root;
  }

  get hasBucket(): boolean {
    return this.#layout.bucket === true;
  }

  async #make(): Promise<void> {
    const count = this.#layout.holders ?? 0;
    const [ownerPort = 0, ...ports] = await freePorts(count + 1);
    if (this.hasBucket) mkdirSync(this.bucket);
    if (this.#layout.files === false) {
      mkdirSync(this.root);
      await this.vault.init(this.#config(ownerPort));
    } else {
      await this.vault.make(this.#config(ownerPort));
      this.#note('local');
    }
    this.#keys = keepKeys(this.vault.dataDir);
    if (count === 0) return;
    const owner = await AgentProcess.start(this.at);
    try {
      for (const [at, port] of ports.entries()) await this.#join(at, port);
    } finally {
      await owner.kill();
    }
  }

  #config(port: number): string {
    const { holders = 0, config = '' } = this.#layout;
    const copies = holders + (this.hasBucket ? 1 : 0);
    const store = this.hasBucket ? `[stores.offsite]\nurl = "file://${this.bucket}"\n` : '';
    const named = this.hasBucket ? 'store = "offsite"\n' : '';
    const policy = copies === 0 ? '' : `[replication.default]\ncopies = ${copies}\nsites = ${copies}\n${named}`;
    return `[agent]\nlisten = "127.0.0.1:${port}"\n${store}${policy}${config.replaceAll('BUCKET', this.bucket)}`;
  }

  async #join(at: number, port: number): Promise<void> {
    const holder = new Holder(join(this.vault.base, `holder ${at + 1}`), port);
    const invite = ['peer', 'invite', '--role', 'holder', ...this.at];
    const { token } = await edgestoreJson<{ token: string }>(invite);
    const name = ['--name', `holder-${at + 1}`, '--site', `site-${at + 1}`, '--listen', `127.0.0.1:${port}`];
    await edgestoreJson(['peer', 'join', ...name, ...holder.at], { stdin: token });
    this.holders.push(holder);
    await holder.start();
  }

  /** Syncs, and notes what was acknowledged when the exit code is 0. */
  async sync(level: Level, ...args: readonly string[]): Promise<Finished & { readonly snapshot: string | undefined }> {
    const wait = level === 'local' ? [] : ['--wait', level, '--timeout', '30s'];
    const done = await runEdgestore(['sync', this.root, ...wait, '--json', ...args, ...this.at]);
    const said = done.exitCode === 0 ? (JSON.parse(done.stdout) as { data: SyncData }).data.roots[0] : undefined;
    if (said !== undefined) {
      this.vault.acknowledge(said.snapshot);
      this.#note(level);
    }
    return { ...done, snapshot: said?.snapshot };
  }

  async mustSync(level: Level, ...args: readonly string[]): Promise<string> {
    const done = await this.sync(level, ...args);
    if (done.snapshot === undefined) throw new Error(`sync ended with ${done.exitCode}\n${done.stdout}${done.stderr}`);
    return done.snapshot;
  }

  #note(level: Level): void {
    const entry = this.vault.journal.last;
    if (entry !== undefined) this.acknowledged.push({ entry, level });
  }

  run(args: readonly string[], at: readonly string[] = this.at): Promise<Finished> {
    return runEdgestore([...args, ...at]);
  }

  json<T = Record<string, unknown>>(args: readonly string[], exitCodes: readonly number[] = [0]): Promise<T> {
    return edgestoreJson<T>([...args, ...this.at], { exitCodes });
  }

  /** Acknowledgements that do not hold, by the independent checker. Throws where it cannot run: a test that asks needs it. */
  brokenBeliefs(options: { readonly localIsIn?: readonly ('owner' | 'bucket' | 'holders')[] } = {}): readonly string[] {
    const why = whyNoBeliefs();
    if (why !== undefined) throw new Error(`beliefs cannot be checked: ${why}`);
    const acknowledged = this.acknowledged.map(({ entry, level }) => ({ snapshot: entry.snapshot, level }));
    return checkBeliefs({
      ...(this.#keys === undefined ? {} : { keys: this.#keys }),
      ...(existsSync(this.vault.dataDir) ? { owner: this.vault.dataDir } : {}),
      ...(this.hasBucket ? { bucket: this.bucket } : {}),
      holders: this.holders.map(({ dataDir }) => dataDir),
      acknowledged,
      ...options,
    }).problems;
  }

  /** Every acknowledged snapshot comes back exactly from here. */
  async everythingRestores(what: string, ...args: readonly string[]): Promise<void> {
    for (const entry of new Set(this.acknowledged.map(({ entry }) => entry)))
      await restoresExactly(entry, [...this.at, ...args], what);
  }

  /** The last acknowledged snapshot, from a store alone, on a machine that has nothing else. */
  async lastComesFrom(from: string, what: string): Promise<void> {
    const last = this.vault.journal.last;
    if (last === undefined) throw new Error('nothing was acknowledged yet');
    const recovered = join(this.vault.base, `recovered ${++this.#recoveries}`);
    const who = ['--agent', this.vault.ownerName];
    await edgestoreJson([
      ...['recover', '--from', from, '--recovery-file', this.vault.sheet, '--read-only', ...who],
      ...['--data-dir', recovered],
    ]);
    await restoresExactly(last, ['--data-dir', recovered, ...who], what);
    rmSync(recovered, { recursive: true });
  }

  async remove(): Promise<void> {
    for (const holder of this.holders) await holder.stop();
    if (this.#keys !== undefined) forgetKeys(this.#keys);
    this.vault.remove();
  }
}
