/** Several checked files to one configuration: no value may be set twice, every absent one gets its default. */
import type { Config, Origin, RootConfig } from './config.ts';
import { lineOf } from './key-positions.ts';
import { type ConfigProblem, formatKeyPath, type ParsedConfigFile } from './parse-config-file.ts';
import type { ConfigFile } from './schema.ts';

const LISTS = ['roots', 'peers'] as const;
const NAMED_TABLES = ['replication', 'stores', 'tiering'] as const;
const TABLES = ['agent', 'limits', 'retention', 'coordination'] as const;

const HOUR_MS = 3_600_000;
const DAY_NS = 86_400_000_000_000n;

/**
 * The values as written, joined, where each came from (`roots.photos.path`, `agent.name`), and what was set twice. Works on files with
 * problems too, so that a user sees all of them at once.
 */
export function joinFiles(files: readonly ParsedConfigFile[]): {
  readonly raw: Record<string, unknown>;
  readonly origins: Map<string, Origin>;
  readonly problems: ConfigProblem[];
} {
  const origins = new Map<string, Origin>();
  const problems: ConfigProblem[] = [];
  const raw: Record<string, Record<string, unknown>> = {};

  const put = (
    file: ParsedConfigFile,
    path: readonly PropertyKey[],
    at: readonly string[],
    value: unknown,
  ): boolean => {
    const origin = { file: file.file, line: lineOf(file.positions, path) };
    const before = origins.get(at.join('.'));
    if (before !== undefined) {
      problems.push({
        ...origin,
        key: formatKeyPath(path),
        problem: `sets "${at.join('.')}" again; it is set at ${before.file}:${before.line}${whoWrote(file)}`,
      });
      return false;
    }
    origins.set(at.join('.'), origin);
    // Every value of an item has its origin, for `config show`.
    if (isTable(value))
      for (const key of Object.keys(value))
        origins.set([...at, key].join('.'), { file: file.file, line: lineOf(file.positions, [...path, key]) });
    return true;
  };

  const keep = (top: string, name: string, value: unknown): void => {
    const table = raw[top] ?? {};
    table[name] = value;
    raw[top] = table;
  };

  for (const file of files) {
    for (const list of LISTS) {
      const items = file.raw[list];
      if (!Array.isArray(items)) continue;
      for (const [i, item] of items.entries()) {
        if (!isTable(item) || typeof item.name !== 'string') continue;
        if (put(file, [list, i], [list, item.name], item)) keep(list, item.name, item);
      }
    }
    for (const top of NAMED_TABLES) {
      const table = file.raw[top];
      if (!isTable(table)) continue;
      for (const [name, item] of Object.entries(table)) {
        if (put(file, [top, name], [top, name], item)) keep(top, name, item);
      }
    }
    for (const top of TABLES) {
      const table = file.raw[top];
      if (!isTable(table)) continue;
      for (const [key, value] of Object.entries(table)) {
        if (put(file, [top, key], [top, key], value)) keep(top, key, value);
      }
    }
  }
  return { raw, origins, problems };
}

/** A file that a command wrote is in nobody's memory: what may be done with it is said. */
function whoWrote({ writer }: ParsedConfigFile): string {
  if (writer === undefined) return '';
  return writer === 'recover'
    ? '. `edgestore recover` wrote this file: remove it, and what is set there holds'
    : '. An edgestore command wrote this file: remove it, or what is set there';
}

/** The configuration of files without problems. */
export function mergeConfig(files: readonly ConfigFile[]): Config {
  const agent = Object.assign({}, ...files.map((f) => f.agent ?? {})) as NonNullable<ConfigFile['agent']>;
  const limits = Object.assign({}, ...files.map((f) => f.limits ?? {})) as NonNullable<ConfigFile['limits']>;
  const retention = Object.assign({}, ...files.map((f) => f.retention ?? {})) as NonNullable<ConfigFile['retention']>;
  const coordination = files.find((f) => f.coordination !== undefined)?.coordination;
  return {
    agent: {
      name: agent.name,
      site: agent.site,
      dataDir: agent.data_dir,
      packDir: agent.pack_dir,
      listen: agent.listen,
      advertise: agent.advertise ?? [],
      apiListen: agent.api_listen,
      apiTokenFile: agent.api_token_file,
    },
    roots: files.flatMap((f) => f.roots ?? []).map(rootOf),
    replication: mapTables(
      files.map((f) => f.replication),
      (r) => ({
        copies: r.copies ?? 2,
        sites: r.sites ?? Math.min(2, r.copies ?? 2),
        store: r.store,
        deadAfterMs: r.dead_after,
      }),
    ),
    peers: files
      .flatMap((f) => f.peers ?? [])
      .map((p) => ({
        name: p.name,
        site: p.site,
        address: p.address,
        fingerprint: p.fingerprint.replace(/^sha256:/, '').toLowerCase(),
        weight: p.weight ?? 1,
      })),
    stores: mapTables(
      files.map((f) => f.stores),
      (s) => ({
        url: s.url,
        endpoint: s.endpoint,
        region: s.region,
        pathStyle: s.path_style,
        storageClass: s.storage_class,
        lock: s.lock,
      }),
    ),
    tiering: mapTables(
      files.map((f) => f.tiering),
      (t) => ({
        match: t.match ?? [],
        hotNs: t.hot ?? 30n * DAY_NS,
        warmNs: t.warm ?? 90n * DAY_NS,
        cold: t.cold,
        warmTo: t.warm_to,
        low: t.low,
        high: t.high,
        pin: t.pin ?? [],
        budget: t.budget,
      }),
    ),
    limits: {
      uploadBytesPerS: limits.upload,
      downloadBytesPerS: limits.download,
      schedule: limits.schedule ?? [],
      workers: limits.workers,
      memoryBytes: limits.memory,
      compression: limits.compression ?? 'default',
      recallBytesPerDay: limits.recall_per_day,
      checkpointBytes: limits.checkpoint,
    },
    retention: {
      keepLast: retention.keep_last,
      keepHourly: retention.keep_hourly,
      keepDaily: retention.keep_daily,
      keepWeekly: retention.keep_weekly,
      keepMonthly: retention.keep_monthly,
      keepYearly: retention.keep_yearly,
      keepWithinNs: retention.keep_within,
    },
    coordination:
      coordination === undefined
        ? undefined
        : { kind: coordination.kind, endpoints: coordination.endpoints ?? [], store: coordination.store },
  };
}

function rootOf(root: NonNullable<ConfigFile['roots']>[number]): RootConfig {
  return {
    name: root.name,
    path: root.path,
    exclude: root.exclude ?? [],
    watch: root.watch ?? true,
    rescanMs: root.rescan ?? 6 * HOUR_MS,
    settleMs: root.settle ?? 2000,
    maxDelete: root.max_delete,
    oneFileSystem: root.one_file_system ?? false,
    tiering: root.tiering,
    replication: root.replication,
  };
}

function mapTables<In, Out>(
  tables: readonly (Readonly<Record<string, In>> | undefined)[],
  map: (value: In) => Out,
): Record<string, Out> {
  // Without a prototype, so that a table named `constructor` is a name like any other.
  const out: Record<string, Out> = Object.create(null) as Record<string, Out>;
  for (const table of tables) for (const [name, value] of Object.entries(table ?? {})) out[name] = map(value);
  return out;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
