/**
 * The belief test: every snapshot that a command called safe at a level must be restorable from exactly the stores that the level names. A program
 * of its own (belief.py) reads them; it shares nothing with the engine and reads no index.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingForReader } from '../../reader/python-reader.ts';

/** As `sync --wait` names them. */
export type Level = 'local' | 's3' | `peers=${number}` | `sites=${number}`;

export interface Acknowledgement {
  readonly snapshot: string;
  readonly level: Level;
}

export interface BeliefsToCheck {
  /** Where descriptor, slots, stored key and identity of the owner lie: `keepKeys` made it. Default: `owner`. */
  readonly keys?: string;
  /** Data dirs that still exist. An owner that was destroyed is left out. */
  readonly owner?: string;
  readonly holders?: readonly string[];
  /** The folder of a `file:///` store, or a copy of a bucket's objects below its prefix. */
  readonly bucket?: string;
  readonly acknowledged: readonly Acknowledgement[];
  /** Where `local` may have its chunks: P5 lets the owner drop what holders have. Default: the owner and the bucket. */
  readonly localIsIn?: readonly ('owner' | 'bucket' | 'holders')[];
}

export interface Beliefs {
  /** One line for each acknowledgement that does not hold; empty when all do. */
  readonly problems: readonly string[];
  /** Packs and chains that do not verify, by store. They are no problem as long as every acknowledgement holds. */
  readonly damaged: Readonly<Record<string, readonly string[]>>;
}

/** Why nothing can be checked here (no python3, no libzstd); undefined when it can. */
export const whyNoBeliefs = missingForReader;

/** Keeps what opens the vault, so that a check works when the owner's disk is gone. Returns the folder. */
export function keepKeys(dataDir: string): string {
  const kept = mkdtempSync(join(tmpdir(), 'edgestore-belief-keys-'));
  for (const name of ['key', 'vault.edge', 'slots', 'cards', 'agent']) {
    if (existsSync(join(dataDir, name))) cpSync(join(dataDir, name), join(kept, name), { recursive: true });
  }
  return kept;
}

export function checkBeliefs(asked: BeliefsToCheck): Beliefs {
  const keys = asked.keys ?? asked.owner;
  if (keys === undefined) throw new Error('beliefs cannot be checked without the keys of the owner');
  const stores = storesOf(asked);
  const copies = Object.keys(stores).filter((name) => name !== 'owner');
  const local = localStores(asked).filter((name) => name in stores);
  const { groups, damaged } = read(asked.keys, keys, stores, [...copies.map((name) => [name]), local]);
  const wholeAt = new Map(copies.map((name, at) => [name, groups[at] ?? {}]));
  const problems = asked.acknowledged.flatMap(({ snapshot, level }) => {
    const where =
      level === 'local' ? [{ name: local.join(' and '), answer: groups.at(-1) ?? {} }] : storesFor(level, wholeAt);
    const wanted = /^(?:peers|sites)=(\d+)$/.exec(level)?.[1];
    const wrong = where.flatMap(({ name, answer }) => lackAt(name, answer, snapshot, damaged[name]) ?? []);
    const holds = where.length - wrong.length >= Number(wanted ?? 1);
    return holds ? [] : [`${snapshot.slice(0, 8)} was called safe at ${level}: ${wrong.join(', ') || 'no such store'}`];
  });
  return { problems, damaged };
}

type Place = { readonly packs: string; readonly chains: string } | { readonly bucket: string };
/** Of each snapshot in a store's chain: null when it is whole there, else what is wrong. */
type Answer = Readonly<Record<string, string | null>>;

function storesOf({ owner, holders = [], bucket }: BeliefsToCheck): Record<string, Place> {
  const dataDir = (path: string): Place => ({ packs: join(path, 'packs'), chains: join(path, 'chains') });
  return {
    ...(owner === undefined ? {} : { owner: dataDir(owner) }),
    ...Object.fromEntries(holders.map((path, at) => [`holder ${at + 1}`, dataDir(path)])),
    ...(bucket === undefined ? {} : { bucket: { bucket } }),
  };
}

function localStores({ localIsIn = ['owner', 'bucket'], holders = [] }: BeliefsToCheck): string[] {
  return localIsIn.flatMap((name) => (name === 'holders' ? holders.map((_, at) => `holder ${at + 1}`) : [name]));
}

/** A bucket is a site and a copy; only agents are peers. */
function storesFor(level: Level, wholeAt: ReadonlyMap<string, Answer>): { name: string; answer: Answer }[] {
  const counts = (name: string): boolean =>
    level === 's3' ? name === 'bucket' : level.startsWith('sites=') || name !== 'bucket';
  return [...wholeAt].filter(([name]) => counts(name)).map(([name, answer]) => ({ name, answer }));
}

function lackAt(name: string, answer: Answer, snapshot: string, damaged: readonly string[] = []): string | undefined {
  const found = answer[snapshot];
  if (found === null) return undefined;
  return `${name}: ${found ?? ['no record of it', ...damaged].join('; ')}`;
}

/** Keys that a test keeps have room beside them for signatures that were verified once. */
function read(
  kept: string | undefined,
  keys: string,
  stores: Record<string, Place>,
  groups: readonly (readonly string[])[],
) {
  const script = fileURLToPath(new URL('./belief.py', import.meta.url));
  const input = JSON.stringify({
    keys,
    stores,
    groups,
    ...(kept === undefined ? {} : { verified: join(kept, 'verified') }),
  });
  const run = spawnSync('python3', ['-B', script], { input, encoding: 'utf8', maxBuffer: 1 << 28, timeout: 600_000 });
  if (run.status !== 0) throw new Error(`the belief checker failed: ${run.error?.message ?? run.stderr}`);
  return JSON.parse(run.stdout) as { groups: Answer[]; damaged: Record<string, string[]> };
}

export function forgetKeys(kept: string): void {
  rmSync(kept, { recursive: true, force: true });
}
