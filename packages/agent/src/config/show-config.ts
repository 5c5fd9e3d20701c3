/** The merged configuration as a flat list of keys, each with its value as written (or the default) and where it was set. */
import type { LoadedConfig } from './load-config.ts';

export interface ShownValue {
  /** `roots.photos.path` */
  readonly key: string;
  readonly value: unknown;
  /** `file:line`, or `default`. */
  readonly origin: string;
}

const SECRET_KEY = /pass(word|phrase)?$|secret|token$|credential/i;

/** Defaults of a key that was not set, as a user would write them. */
const DEFAULTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  roots: {
    exclude: [],
    watch: true,
    rescan: '6h',
    settle: '2s',
    max_delete: '50% and more than 100',
    one_file_system: false,
  },
  replication: { copies: 2, sites: 2 },
  peers: { weight: 1 },
  tiering: { hot: '30d', warm: '90d', match: [], pin: [] },
};

export function showConfig(loaded: LoadedConfig): ShownValue[] {
  const out: ShownValue[] = [
    { key: 'agent.data_dir', value: loaded.dataDir, origin: originOf(loaded, 'agent.data_dir') },
  ];
  for (const [top, table] of Object.entries(loaded.raw)) {
    for (const [name, value] of Object.entries(table as Record<string, unknown>)) {
      const defaults = DEFAULTS[top];
      if (['roots', 'peers', 'replication', 'stores', 'tiering'].includes(top)) {
        const item = { ...defaults, ...(value as Record<string, unknown>) };
        for (const [key, inner] of Object.entries(item)) push(`${top}.${name}.${key}`, inner);
      } else if (`${top}.${name}` !== 'agent.data_dir') {
        push(`${top}.${name}`, value);
      }
    }
  }
  return out.sort((a, b) => (a.key < b.key ? -1 : 1));

  function push(key: string, value: unknown): void {
    out.push({ key, value: mask(key, value), origin: originOf(loaded, key) });
  }
}

/** The merged values without secrets as JSON text: what a settings record keeps, so that `recover` can write them back. */
export function configWithoutSecrets(loaded: LoadedConfig): string {
  return JSON.stringify(loaded.raw, (key, value: unknown) => mask(key, value));
}

function originOf(loaded: LoadedConfig, key: string): string {
  const origin = loaded.origins.get(key);
  return origin === undefined ? 'default' : `${origin.file}:${origin.line}`;
}

/** Secrets have no key of their own in the schema; one inside a URL, or under a telling name, is still not shown. */
function mask(key: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (SECRET_KEY.test(key)) return '********';
  return value.replace(/^([a-z0-9+]+:\/\/)[^/@\s]+@/i, '$1********@');
}
