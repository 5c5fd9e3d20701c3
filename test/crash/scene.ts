/** What is killed, and what must hold afterwards. One scene is one command on state that lives on from run to run, as on a real machine. */
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manifestOf } from '../oracle/manifest.ts';
import { edgestoreJson, runEdgestore } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { Journal, restoresExactly } from './journal.ts';
import type { KilledRun } from './kill.ts';

export interface Scene {
  readonly name: string;
  /** Folders whose first change counts as the first written byte. */
  watched(): readonly string[];
  /** Gives the next run something to do. Nothing here is killed. */
  arrange(): Promise<void>;
  args(): readonly string[];
  /** Right after the command, killed or not: the next command works, and what was acknowledged before is there. */
  check(run: KilledRun): Promise<void>;
  /** At the end of all runs: everything that was ever acknowledged. */
  finish(): Promise<void>;
}

interface SyncData {
  readonly roots: readonly { readonly snapshot: string }[];
}

/** A data dir with one root, its journal, and the tools that every scene needs. */
export class Vault {
  readonly base = mkdtempSync(join(tmpdir(), 'edgestore-crash-'));
  readonly dataDir = join(this.base, 'data');
  readonly root = join(this.base, 'files');
  readonly sheet = join(this.base, 'sheet');
  readonly journal = new Journal();
  #edits = 0;

  get at(): readonly string[] {
    return ['--data-dir', this.dataDir];
  }

  async make(config = ''): Promise<void> {
    mkdirSync(this.root);
    for (let i = 0; i < 40; i++) {
      mkdirSync(join(this.root, `folder ${i % 7}`), { recursive: true });
      writeFileSync(join(this.root, `folder ${i % 7}`, `file ${i}`), pseudoRandom(200 + i * 997, i + 1));
    }
    await edgestoreJson(['init', ...this.at, '--recovery-out', this.sheet]);
    if (config !== '') writeFileSync(join(this.dataDir, 'conf.d', 'crash.toml'), config);
    await this.sync();
  }

  /** Changes a few files, a large one among them, and adds one. */
  edit(bytes = 700_000): void {
    const turn = ++this.#edits;
    appendFileSync(join(this.root, 'folder 1', 'file 1'), `edit ${turn}\n`);
    writeFileSync(join(this.root, 'folder 2', `added ${turn % 5}`), pseudoRandom(bytes, 1000 + turn));
    writeFileSync(join(this.root, `text ${turn % 3}`), `line of turn ${turn}\n`.repeat(5000));
    rmSync(join(this.root, `text ${(turn + 1) % 3}`), { force: true });
  }

  /** Syncs to the end and notes what was acknowledged. */
  async sync(): Promise<void> {
    const manifest = manifestOf(this.root);
    const { roots } = await edgestoreJson<SyncData>(['sync', this.root, ...this.at]);
    this.acknowledge(roots[0]?.snapshot, manifest);
  }

  acknowledge(snapshot: string | undefined, manifest = manifestOf(this.root)): void {
    if (snapshot === undefined) throw new Error('a sync acknowledged nothing');
    this.journal.note(snapshot, manifest);
  }

  /** The very next command must work by itself, and the last acknowledged snapshot must come back exactly. */
  async stillWhole(what: string, extra: readonly string[] = []): Promise<void> {
    const status = await runEdgestore(['snapshot', 'list', '--json', ...this.at, ...extra]);
    if (status.exitCode !== 0) throw new Error(`${what}: status ended with ${status.exitCode}\n${status.stdout}${status.stderr}`);
    const last = this.journal.last;
    if (last !== undefined) await restoresExactly(last, [...this.at, ...extra], what);
  }

  async everythingRestores(): Promise<void> {
    for (const entry of this.journal.entries) await restoresExactly(entry, this.at, 'at the end');
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** `sync` with changes each time; every eighth one merges the small packs of those before it. */
export async function syncScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  let manifest = manifestOf(vault.root);
  return {
    name: 'sync',
    watched: () => [join(vault.dataDir, 'packs', '.tmp'), vault.dataDir],
    arrange: async () => {
      vault.edit();
      manifest = manifestOf(vault.root);
    },
    args: () => ['sync', vault.root, ...vault.at, '--json'],
    check: async (run) => {
      if (!run.killed) vault.acknowledge(snapshotOf(run), manifest);
      await vault.stillWhole('sync');
    },
    finish: async () => {
      await vault.sync();
      await vault.everythingRestores();
      vault.remove();
    },
  };
}

/** Moving everything to a folder that stands for a mounted archive, then dropping it here. */
export async function demoteScene(): Promise<Scene> {
  const vault = new Vault();
  const archive = join(vault.base, 'archive');
  mkdirSync(archive);
  await vault.make(`[stores.archive]\nurl = "file://${archive}"\n[tiering.default]\nhot = "0s"\nwarm = "0s"\ncold = "archive"\n`);
  return {
    name: 'demote',
    watched: () => [archive, vault.dataDir, join(vault.dataDir, 'packs', '.tmp')],
    arrange: async () => {
      vault.edit();
      await vault.sync();
    },
    args: () => ['tier', 'run', '--yes', ...vault.at],
    check: () => vault.stillWhole('demote'),
    finish: async () => {
      await edgestoreJson(['tier', 'run', '--yes', ...vault.at]);
      await vault.everythingRestores();
      vault.remove();
    },
  };
}

/** The first command after the index was deleted builds it again. */
export async function rebuildScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  for (let i = 0; i < 4; i++) {
    vault.edit(100_000);
    await vault.sync();
  }
  return {
    name: 'rebuild',
    watched: () => [vault.dataDir],
    arrange: async () => {
      for (const name of readdirSync(vault.dataDir)) {
        if (name.startsWith('index.sqlite')) rmSync(join(vault.dataDir, name));
      }
    },
    args: () => ['status', ...vault.at],
    check: () => vault.stillWhole('rebuild'),
    finish: async () => {
      await vault.everythingRestores();
      vault.remove();
    },
  };
}

/** Recovering into an empty folder from a store that has everything; a killed one is run again and must come to the same end. */
export async function recoverScene(): Promise<Scene> {
  const vault = new Vault();
  const bucket = join(vault.base, 'bucket');
  mkdirSync(bucket);
  await vault.make(`[stores.offsite]\nurl = "file://${bucket}"\n[replication.default]\ncopies = 1\nsites = 1\nstore = "offsite"\n`);
  vault.edit();
  const manifest = manifestOf(vault.root);
  const { roots } = await edgestoreJson<SyncData>(['sync', vault.root, ...vault.at, '--wait', 's3']);
  vault.acknowledge(roots[0]?.snapshot, manifest);
  const pristine = join(vault.base, 'bucket as it was');
  cpSync(bucket, pristine, { recursive: true });
  const recovered = join(vault.base, 'recovered');
  const args = ['recover', '--from', `file://${bucket}`, '--recovery-file', vault.sheet, '--data-dir', recovered];
  return {
    name: 'recover',
    watched: () => [vault.base],
    arrange: async () => {
      rmSync(recovered, { recursive: true, force: true });
      rmSync(bucket, { recursive: true });
      cpSync(pristine, bucket, { recursive: true });
    },
    args: () => args,
    check: async (run) => {
      if (run.killed) {
        const again = await runEdgestore(args);
        if (again.exitCode !== 0) throw new Error(`recover after a kill ended with ${again.exitCode}\n${again.stdout}${again.stderr}`);
      } else if (run.exitCode !== 0) throw new Error(`recover ended with ${run.exitCode}\n${run.stdout}${run.stderr}`);
      const last = vault.journal.last;
      if (last !== undefined) await restoresExactly(last, ['--data-dir', recovered], 'recover');
    },
    finish: async () => vault.remove(),
  };
}

export function snapshotOf(run: KilledRun): string | undefined {
  return (JSON.parse(run.stdout) as { data: SyncData }).data.roots[0]?.snapshot;
}
