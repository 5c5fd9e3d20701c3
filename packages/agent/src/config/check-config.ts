/** Rules between values: references to names that exist, ages in order, roots that do not overlap. */
import { posix } from 'node:path';
import { nearestName } from '@edgestore/engine/nearest-name';
import { coldStoresOf, replicationOf } from '../home/effective-policy.ts';
import type { Config, Origin } from './config.ts';
import type { ConfigProblem } from './parse-config-file.ts';

export function checkConfig(config: Config, origins: ReadonlyMap<string, Origin>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const report = (key: string, problem: string, nearest?: string): void => {
    const origin = origins.get(key) ?? origins.get(key.slice(0, key.lastIndexOf('.'))) ?? { file: 'defaults', line: 1 };
    problems.push({ ...origin, key, problem, ...(nearest === undefined ? {} : { nearest }) });
  };
  const mustExist = (key: string, kind: string, wanted: string | undefined, known: readonly string[]): void => {
    if (wanted === undefined || known.includes(wanted)) return;
    report(key, `names ${kind} "${wanted}", which does not exist`, nearestName(wanted, known));
  };

  const stores = Object.keys(config.stores);
  for (const root of config.roots) {
    mustExist(`roots.${root.name}.tiering`, 'the tiering', root.tiering, Object.keys(config.tiering));
    mustExist(`roots.${root.name}.replication`, 'the replication', root.replication, Object.keys(config.replication));
  }
  for (const [i, root] of config.roots.entries()) {
    const twin = config.roots
      .slice(0, i)
      .find((other) => posix.normalize(`${other.path}/`) === posix.normalize(`${root.path}/`));
    if (twin !== undefined) report(`roots.${root.name}.path`, `is the folder of root "${twin.name}" too`);
  }
  for (const [name, replication] of Object.entries(config.replication)) {
    mustExist(`replication.${name}.store`, 'the store', replication.store, stores);
    if (replication.sites > replication.copies) {
      report(
        `replication.${name}.sites`,
        `is ${replication.sites}, more than copies (${replication.copies}): each site needs a copy`,
      );
    }
  }
  for (const [name, tiering] of Object.entries(config.tiering)) {
    mustExist(`tiering.${name}.cold`, 'the store', tiering.cold, stores);
    mustExist(`tiering.${name}.warm_to`, 'the store', tiering.warmTo, stores);
    if (tiering.warmNs < tiering.hotNs) report(`tiering.${name}.warm`, 'is shorter than hot: ages go hot, warm, cold');
  }
  mustExist('coordination.store', 'the store', config.coordination?.store, stores);
  const fingerprints = new Map<string, string>();
  for (const peer of config.peers) {
    const twin = fingerprints.get(peer.fingerprint);
    if (twin !== undefined) report(`peers.${peer.name}.fingerprint`, `is the key of peer "${twin}" too`);
    fingerprints.set(peer.fingerprint, peer.name);
  }
  if (config.agent.apiListen !== undefined) {
    const host = config.agent.apiListen.slice(0, config.agent.apiListen.lastIndexOf(':'));
    if (!/^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(host)) {
      report(
        'agent.api_listen',
        'has to be a loopback address (127.0.0.1 or [::1]): the control API is not for the network',
      );
    }
    if (config.agent.apiTokenFile === undefined)
      report('agent.api_listen', 'needs agent.api_token_file: a token is required over TCP');
  }
  return problems;
}

/** Keys that are accepted, since a shared configuration may have them, but change nothing yet. */
export function unusedKeys(config: Config): string[] {
  const out: string[] = [];
  if (config.limits.schedule.length > 0) out.push('limits.schedule');
  if (config.limits.memoryBytes !== undefined) out.push('limits.memory');
  if (config.limits.recallBytesPerDay !== undefined) out.push('limits.recall_per_day');
  if (Object.values(config.retention).some((value) => value !== undefined)) out.push('retention');
  if (config.coordination !== undefined) out.push('coordination');
  for (const [name, tiering] of Object.entries(config.tiering)) {
    for (const key of ['warmTo', 'low', 'high', 'budget'] as const) {
      if (tiering[key] !== undefined) out.push(`tiering.${name}.${key === 'warmTo' ? 'warm_to' : key}`);
    }
  }
  for (const [name, replication] of Object.entries(config.replication))
    if (replication.deadAfterMs !== undefined) out.push(`replication.${name}.dead_after`);
  for (const [name, store] of Object.entries(config.stores))
    if (store.lock !== undefined) out.push(`stores.${name}.lock`);
  return out;
}

/** Stores that nothing is sent to: no root's replication names them as `store`, and no tiering as `cold`. */
export function unusedStores(config: Config): string[] {
  const { roots, replication, coordination } = config;
  const chosen = roots.map((root) => replicationOf(config, root)?.store);
  // Before there is a root, each replication may be the one that it names.
  const named = roots.length === 0 ? Object.values(replication).map(({ store }) => store) : chosen;
  // All of an agent goes to one bucket: that of the first root which names one.
  const whole = roots.length === 0 ? named : named.filter((store) => store !== undefined).slice(0, 1);
  const used = new Set([...whole, ...coldStoresOf(config), coordination?.store]);
  return Object.keys(config.stores).filter((name) => !used.has(name));
}
