/** `policy show`: what holds for each root, and where it was said. */
import { z } from 'zod';
import type { RootConfig } from '../config/config.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';

export interface PolicyRule {
  readonly key: string;
  /** As a user would write it; null when there is none. */
  readonly value: unknown;
  /** `file:line`, or `default`. */
  readonly origin: string;
}

export interface PolicyData {
  readonly roots: readonly { readonly root: string; readonly path: string; readonly rules: readonly PolicyRule[] }[];
}

const input = z.object({});

export const policyShow = defineOperation<object, PolicyData>({
  name: 'policy.show',
  input,
  mutates: false,
  run: async (_input, context) => {
    const { loaded } = openedOf(context);
    return {
      data: {
        roots: loaded.config.roots.map((root) => ({ root: root.name, path: root.path, rules: rulesOf(root, loaded) })),
      },
    };
  },
});

function rulesOf(root: RootConfig, loaded: LoadedConfig): PolicyRule[] {
  const { config } = loaded;
  const own = `roots.${root.name}`;
  const rule = (key: string, value: unknown, table: string, entry: string): PolicyRule => {
    const raw = rawOf(loaded, table)?.[entry];
    const origin =
      raw === undefined ? undefined : (loaded.origins.get(`${table}.${entry}`) ?? loaded.origins.get(table));
    return {
      key,
      value: raw ?? value ?? null,
      origin: origin === undefined ? 'default' : `${origin.file}:${origin.line}`,
    };
  };
  const replicationName = nameOf(root.replication, config.replication);
  const tieringName = nameOf(root.tiering, config.tiering);
  const replication = replicationName === undefined ? undefined : config.replication[replicationName];
  const tiering = tieringName === undefined ? undefined : config.tiering[tieringName];
  const rules = [
    rule('watch', root.watch, own, 'watch'),
    rule('rescan', '6h', own, 'rescan'),
    rule('settle', '2s', own, 'settle'),
    rule('exclude', [], own, 'exclude'),
    rule('max_delete', '50% and more than 100', own, 'max_delete'),
    rule('one_file_system', root.oneFileSystem, own, 'one_file_system'),
    rule('replication', replicationName ?? null, own, 'replication'),
  ];
  const from = `replication.${replicationName}`;
  rules.push(
    rule('copies', replication?.copies ?? 0, from, 'copies'),
    rule('sites', replication?.sites ?? 0, from, 'sites'),
  );
  if (replication !== undefined) rules.push(rule('store', replication.store ?? null, from, 'store'));
  rules.push(rule('tiering', tieringName ?? null, own, 'tiering'));
  if (tiering !== undefined) {
    const table = `tiering.${tieringName}`;
    rules.push(
      rule('hot', '30d', table, 'hot'),
      rule('warm', '90d', table, 'warm'),
      rule('cold', tiering.cold ?? null, table, 'cold'),
    );
  }
  return rules;
}

/** The named one, else `default`, else the only one. */
function nameOf(named: string | undefined, tables: Readonly<Record<string, unknown>>): string | undefined {
  const names = Object.keys(tables);
  return named ?? (names.includes('default') ? 'default' : names.length === 1 ? names[0] : undefined);
}

function rawOf(loaded: LoadedConfig, table: string): Record<string, unknown> | undefined {
  const [top, name] = [table.slice(0, table.indexOf('.')), table.slice(table.indexOf('.') + 1)];
  const tables = loaded.raw[top] as Record<string, unknown> | undefined;
  return tables?.[name] as Record<string, unknown> | undefined;
}
