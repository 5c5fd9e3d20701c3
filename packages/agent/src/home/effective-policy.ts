/** What the configuration means for this agent as a whole. */
import { type ReplicationPolicy, widestPolicy } from '@edgestore/engine';
import type { Config, ReplicationConfig, RootConfig, TieringConfig } from '../config/config.ts';

const NO_REPLICATION: ReplicationPolicy = { copies: 0, sites: 0, store: undefined };

/** The replication of a root: the one that it names, else `default`, else the only one; undefined when there is none. */
export function replicationOf(config: Config, root: RootConfig | undefined): ReplicationConfig | undefined {
  return pick(config.replication, root?.replication);
}

/** The tiering of a root, found in the same way. */
export function tieringOf(config: Config, root: RootConfig | undefined): TieringConfig | undefined {
  return pick(config.tiering, root?.tiering);
}

/** Of the whole owner: the most that any root asks for; without roots what a new one would get. */
export function ownerPolicy(config: Config): ReplicationPolicy {
  const roots: readonly (RootConfig | undefined)[] = config.roots.length === 0 ? [undefined] : config.roots;
  return widestPolicy(roots.map((root) => replicationOf(config, root) ?? NO_REPLICATION));
}

/** Stores that some tiering moves cold chunks to. */
export function coldStoresOf(config: Config): string[] {
  return [
    ...new Set(Object.values(config.tiering).flatMap((tiering) => (tiering.cold === undefined ? [] : [tiering.cold]))),
  ];
}

function pick<T>(named: Readonly<Record<string, T>>, name: string | undefined): T | undefined {
  const names = Object.keys(named);
  const chosen = name ?? (names.includes('default') ? 'default' : names.length === 1 ? names[0] : undefined);
  return chosen === undefined ? undefined : named[chosen];
}
