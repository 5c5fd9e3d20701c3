/**
 * The merged configuration as the program uses it. Keys of the files are snake_case (see `schema.ts`); here they are camelCase, with units
 * in the names: bytes, milliseconds (`…Ms`) or nanoseconds for ages (`…Ns`).
 */

export interface Config {
  readonly agent: AgentConfig;
  readonly roots: readonly RootConfig[];
  readonly replication: Readonly<Record<string, ReplicationConfig>>;
  readonly peers: readonly PeerConfig[];
  readonly stores: Readonly<Record<string, StoreConfig>>;
  readonly tiering: Readonly<Record<string, TieringConfig>>;
  readonly limits: LimitsConfig;
  readonly retention: RetentionConfig;
  readonly coordination: CoordinationConfig | undefined;
}

export interface AgentConfig {
  /** Absent: the name in the agent's identity, which `init` wrote. */
  readonly name: string | undefined;
  readonly site: string | undefined;
  readonly dataDir: string | undefined;
  /** Where packs lie when not in the data dir. */
  readonly packDir: string | undefined;
  /** `host:port` of the peer server; absent: this agent only calls others. */
  readonly listen: string | undefined;
  /** What other agents call: `https://host:port`, when that is not the listen address. */
  readonly advertise: readonly string[];
  /** Optional TCP address of the control API: loopback only, bearer token required. */
  readonly apiListen: string | undefined;
  readonly apiTokenFile: string | undefined;
}

/** When a sync refuses to write a snapshot that lacks this much of the last one. */
export type MaxDelete = { readonly files: number } | { readonly percent: number };

export interface RootConfig {
  readonly name: string;
  readonly path: string;
  readonly exclude: readonly string[];
  readonly watch: boolean;
  readonly rescanMs: number;
  readonly settleMs: number;
  /** Absent: 50 % of the last snapshot's files and more than 100. */
  readonly maxDelete: MaxDelete | undefined;
  readonly oneFileSystem: boolean;
  /** Name of a `[tiering.<name>]`; absent: `default`, or the only one. */
  readonly tiering: string | undefined;
  readonly replication: string | undefined;
}

export interface ReplicationConfig {
  readonly copies: number;
  readonly sites: number;
  /** A `[stores.<name>]` that counts as one copy and one site. */
  readonly store: string | undefined;
  readonly deadAfterMs: number | undefined;
}

export interface PeerConfig {
  readonly name: string;
  readonly site: string | undefined;
  /** `https://host:port`. */
  readonly address: string;
  /** SHA-256 of the peer's SPKI, 64 hex digits. */
  readonly fingerprint: string;
  readonly weight: number;
}

export interface StoreConfig {
  readonly url: string;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly pathStyle: boolean | undefined;
  readonly storageClass: string | undefined;
  readonly lock: string | undefined;
}

export interface TieringConfig {
  readonly match: readonly string[];
  /** Younger than this is kept. */
  readonly hotNs: bigint;
  /** Younger than this may be dropped when space is short; older moves to the cold store. */
  readonly warmNs: bigint;
  readonly cold: string | undefined;
  readonly warmTo: string | undefined;
  readonly low: string | undefined;
  readonly high: string | undefined;
  readonly pin: readonly string[];
  readonly budget: string | undefined;
}

export interface LimitsConfig {
  readonly uploadBytesPerS: number | undefined;
  readonly downloadBytesPerS: number | undefined;
  readonly schedule: readonly string[];
  readonly workers: number | undefined;
  readonly memoryBytes: number | undefined;
  /** How hard new chunks are compressed: zstd 1, 3 or 9. */
  readonly compression: 'fast' | 'default' | 'high';
  readonly recallBytesPerDay: number | undefined;
  /** Bytes of hold entries from which on a hold checkpoint is made; undefined for the default. */
  readonly checkpointBytes: number | undefined;
}

export interface RetentionConfig {
  readonly keepLast: number | undefined;
  readonly keepHourly: number | undefined;
  readonly keepDaily: number | undefined;
  readonly keepWeekly: number | undefined;
  readonly keepMonthly: number | undefined;
  readonly keepYearly: number | undefined;
  readonly keepWithinNs: bigint | undefined;
}

export interface CoordinationConfig {
  readonly kind: 'etcd' | 's3';
  readonly endpoints: readonly string[];
  readonly store: string | undefined;
}

/** Where a value was set: a file and its line, or `default`. Keys are paths such as `roots.photos.path`. */
export type Origins = ReadonlyMap<string, Origin>;

export interface Origin {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
}
