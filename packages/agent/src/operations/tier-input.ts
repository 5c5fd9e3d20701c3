/** What the configuration and the opened data dir give to the tier flows. */
import { type ColdStore, type DemoteDeps, requireStoreId, type TierInput } from '@edgestore/engine';
import { replicationOf, tieringOf } from '../home/effective-policy.ts';
import { type Opened, openedOf } from './opened.ts';
import type { OperationContext } from './operation.ts';

export function tierInput({ engine, loaded: { config } }: Opened): TierInput {
  return {
    agent: engine.identity.agentId,
    policyOf: (name) => {
      // A root that was removed keeps its snapshots, and they the policy of a root that names none.
      const root = config.roots.find((one) => one.name === name);
      const tiering = tieringOf(config, root);
      if (tiering === undefined) return undefined;
      const replication = replicationOf(config, root);
      return {
        name: Object.entries(config.tiering).find(([, value]) => value === tiering)?.[0] ?? 'default',
        cold: tiering.cold,
        match: tiering.match,
        pin: tiering.pin,
        hotNs: tiering.hotNs,
        warmNs: tiering.warmNs,
        copies: replication?.copies ?? 0,
        sites: replication?.sites ?? 0,
      };
    },
  };
}

export function demoteDeps(context: OperationContext): DemoteDeps {
  const { engine, replicator, sources } = openedOf(context);
  const buckets = new Map<string, ColdStore>();
  for (const store of context.home.stores.values()) {
    const { name, objects, packs, source } = store;
    const check = { name, store: objects, vault: engine.vault.vaultId };
    const requireSame: ColdStore['requireStoreId'] = (storeId, signal) => requireStoreId(check, storeId, signal);
    buckets.set(name, { name, label: objects.label, packs, source, requireStoreId: requireSame });
  }
  return {
    clock: engine.clock,
    random: engine.random,
    sodium: engine.sodium,
    vault: engine.vault.vaultId,
    self: engine.identity,
    chains: engine.chains,
    isPutBack: () => context.home.putBack.get() !== undefined,
    witnesses: replicator.witnesses,
    asked: context.home.asked,
    index: engine.index,
    placed: replicator.placed,
    chunks: engine.chunks,
    sources,
    opener: engine.opener,
    buckets,
    peers: context.home.peers,
    warn: context.warn,
    progress: context.progress,
  };
}
