/** A data dir with one root, the journal of what it acknowledged, and the checks that every scene needs. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkBeliefs, type Level, whyNoBeliefs } from '../faults/belief/check-beliefs.ts';
import { edgestoreJson, runEdgestore } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { type Acknowledged, Journal, restoresExactly, treeOf } from './journal.ts';
import type { KilledRun } from './kill.ts';

export interface SyncData {
  readonly roots: readonly { readonly snapshot: string }[];
}

interface SnapshotList {
  readonly snapshots: readonly { readonly id: string; readonly unfinished?: boolean }[];
}

/** Snapshots that a killed sync recorded but did not tell of: so many are restored at the end. */
const UNTOLD_RESTORED = 2;

export class Vault {
  readonly base = mkdtempSync(join(tmpdir(), 'edgestore-crash-'));
  readonly dataDir = join(this.base, 'data');
  readonly root = join(this.base, 'files');
  readonly sheet = join(this.base, 'sheet');
  readonly journal = new Journal();
  readonly ownerName = 'owner';
  /** Where an acknowledged snapshot may have its chunks besides the data dir: a folder store that is the cold tier, or data dirs of holders. */
  readonly elsewhere: { bucket?: string; holders?: readonly string[] } = {};
  #edits = 0;

  get at(): readonly string[] {
    return ['--data-dir', this.dataDir];
  }

  get temporaryPacks(): string {
    return join(this.dataDir, 'packs', '.tmp');
  }

  /** A vault with a root of 40 small files that is synced once. */
  async make(config = ''): Promise<void> {
    mkdirSync(this.root);
    for (let i = 0; i < 40; i++) {
      mkdirSync(join(this.root, `folder ${i % 7}`), { recursive: true });
      writeFileSync(join(this.root, `folder ${i % 7}`, `file ${i}`), pseudoRandom(200 + i * 997, i + 1));
    }
    await this.init(config);
    await this.sync();
  }

  async init(config = ''): Promise<void> {
    await edgestoreJson(['init', ...this.at, '--name', this.ownerName, '--recovery-out', this.sheet]);
    if (config === '') return;
    mkdirSync(join(this.dataDir, 'conf.d'), { recursive: true });
    writeFileSync(join(this.dataDir, 'conf.d', 'crash.toml'), config);
  }

  /** Changes a few files, a large one among them, and adds one. */
  edit(bytes = 300_000): void {
    const turn = ++this.#edits;
    appendFileSync(join(this.root, 'folder 1', 'file 1'), `edit ${turn}\n`);
    writeFileSync(join(this.root, 'folder 2', `added ${turn % 5}`), pseudoRandom(bytes, 1000 + turn));
    writeFileSync(join(this.root, `text ${turn % 3}`), `line of turn ${turn}\n`.repeat(2000));
    rmSync(join(this.root, `text ${(turn + 1) % 3}`), { force: true });
  }

  /** Syncs to the end and notes what was acknowledged. */
  async sync(...args: readonly string[]): Promise<void> {
    const manifest = treeOf(this.root);
    const { roots } = await edgestoreJson<SyncData>(['sync', this.root, ...this.at, ...args]);
    this.acknowledge(roots[0]?.snapshot, manifest);
  }

  syncOf(root: string): Promise<SyncData> {
    return edgestoreJson<SyncData>(['sync', root, ...this.at]);
  }

  acknowledge(snapshot: string | undefined, manifest = treeOf(this.root)): void {
    if (snapshot === undefined) throw new Error('a sync acknowledged nothing');
    this.journal.note(snapshot, manifest);
  }

  /** The very next command must work by itself, and it is the one that brings the last acknowledged snapshot back exactly. */
  async lastRestores(what: string, ...args: readonly string[]): Promise<void> {
    const last = this.journal.last;
    if (last === undefined) throw new Error(`${what}: nothing was acknowledged yet`);
    await restoresExactly(last, [...this.at, ...args], what);
  }

  /** The same on another machine, so to say: in a data dir that was recovered. */
  async lastRestoresIn(dataDir: string, what: string, ...args: readonly string[]): Promise<void> {
    const last = this.journal.last;
    if (last === undefined) throw new Error(`${what}: nothing was acknowledged yet`);
    await restoresExactly(last, ['--data-dir', dataDir, ...args], what);
  }

  /**
   * All that was acknowledged, and of what was recorded untold the newest, comes back; the packs are sound and nothing
   * half-made is left. Those of `toldDamaged` count at no level any more, as a command has said; they still come back.
   */
  async everythingRestores(toldDamaged: readonly Acknowledged[] = []): Promise<void> {
    this.beliefsHold(
      'local',
      this.journal.entries.filter((entry) => !toldDamaged.includes(entry)),
    );
    for (const entry of this.journal.entries) await restoresExactly(entry, this.at, 'at the end');
    const told = new Set(this.journal.entries.map(({ snapshot }) => snapshot));
    const { snapshots } = await edgestoreJson<SnapshotList>(['snapshot', 'list', ...this.at]);
    for (const { snapshot } of this.journal.entries) {
      if (!snapshots.some(({ id }) => id === snapshot))
        throw new Error(`${snapshot} was acknowledged and is not listed`);
    }
    const untold = snapshots.filter(({ id, unfinished }) => !told.has(id) && unfinished !== true);
    for (const { id } of untold.slice(0, UNTOLD_RESTORED)) {
      const target = join(this.base, 'untold');
      await edgestoreJson(['restore', id, '--target', target, ...this.at]);
      rmSync(target, { recursive: true });
    }
    const scrub = await runEdgestore(['scrub', '--all', ...this.at]);
    if (scrub.exitCode !== 0) throw new Error(`scrub at the end: ${scrub.exitCode}\n${scrub.stdout}${scrub.stderr}`);
    const left = existsSync(this.temporaryPacks) ? readdirSync(this.temporaryPacks) : [];
    if (left.length > 0) throw new Error(`left over in packs/.tmp: ${left.join(', ')}`);
  }

  /** Every acknowledged snapshot (or these) is restorable from the stores that the level names, says a program that shares nothing with the engine. */
  beliefsHold(level: Level, entries: readonly Acknowledged[] = this.journal.entries): void {
    if (whyNoBeliefs() !== undefined) return;
    const acknowledged = entries.map(({ snapshot }) => ({ snapshot, level }));
    const localIsIn = ['owner', 'bucket', 'holders'] as const;
    const { problems } = checkBeliefs({ owner: this.dataDir, ...this.elsewhere, acknowledged, localIsIn });
    if (problems.length > 0) throw new Error(`acknowledged and not there:\n${problems.slice(0, 10).join('\n')}`);
  }

  /** Keeps the data dir as it is under a name; `backTo` puts it back. What is acknowledged after that is forgotten again. */
  keep(name: string): void {
    cpSync(this.dataDir, join(this.base, `kept ${name}`), { recursive: true });
  }

  backTo(name: string): void {
    rmSync(this.dataDir, { recursive: true, force: true });
    cpSync(join(this.base, `kept ${name}`), this.dataDir, { recursive: true });
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** The id that a `sync --json` that was not killed told on stdout. */
export function toldBy(run: KilledRun): string | undefined {
  if (run.exitCode !== 0) throw new Error(`ended with ${run.exitCode ?? run.signal}\n${run.stdout}${run.stderr}`);
  return (JSON.parse(run.stdout) as { data: SyncData }).data.roots[0]?.snapshot;
}

/** A run that nobody killed must have ended well. */
export function mustHaveWorked(run: KilledRun, what: string, exitCodes: readonly number[] = [0]): void {
  if (run.killed || (run.exitCode !== undefined && exitCodes.includes(run.exitCode))) return;
  throw new Error(`${what} ended with ${run.exitCode ?? run.signal}\n${run.stdout}${run.stderr}`);
}
