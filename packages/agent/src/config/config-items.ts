/**
 * The files that commands write: one item each under `DATA_DIR/conf.d`, with the same schema as the user's file, which is never written.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeError, errnoOf, toEdgeError } from '@edgestore/engine';
import { stringify } from 'smol-toml';
import { type ConfigItemWriter, firstLineBy } from './config-item-writer.ts';
import { parseConfigFile } from './parse-config-file.ts';

export type ConfigItemKind = 'roots' | 'peers' | 'stores' | 'replication' | 'tiering' | 'agent';

export interface ConfigItem {
  readonly kind: ConfigItemKind;
  /** The item's name; `agent` for the agent table. */
  readonly name: string;
  /** As in the file, without the name: `{ path: '/srv/photos' }`. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** Writes the item so that after a crash it is there as a whole or not at all. Replaces an item of the same kind and name. E_CONFIG when it is not valid. */
export function writeConfigItem(dataDir: string, item: ConfigItem, writer: ConfigItemWriter = 'command'): string {
  const text = `${firstLineBy(writer)}\n${stringify(asFile(item))}\n`;
  const file = itemPath(dataDir, item.kind, item.name);
  const problems = parseConfigFile({ file, text }).problems;
  if (problems.length > 0) {
    throw new EdgeError('E_CONFIG', problems.map((p) => `${p.key} ${p.problem}`).join('; '), { context: { problems } });
  }
  mkdirSync(join(dataDir, 'conf.d'), { recursive: true, mode: 0o700 });
  const temporary = `${file}.tmp-${process.pid}`;
  try {
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw toEdgeError(error, `writing ${file}`);
  }
  syncFolder(join(dataDir, 'conf.d'));
  return file;
}

/** Whether there was such an item among those that commands wrote. */
export function removeConfigItem(dataDir: string, kind: ConfigItemKind, name: string): boolean {
  const file = itemPath(dataDir, kind, name);
  try {
    readFileSync(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
  rmSync(file);
  syncFolder(join(dataDir, 'conf.d'));
  return true;
}

/** Items as `configWithoutSecrets` wrote them into a settings record, for `recover` to write them back. */
export function itemsOfSettings(configJson: string): ConfigItem[] {
  const raw = JSON.parse(configJson) as Record<string, Record<string, Record<string, unknown>>>;
  const out: ConfigItem[] = [];
  for (const kind of ['roots', 'peers', 'stores', 'replication', 'tiering'] as const) {
    for (const [name, values] of Object.entries(raw[kind] ?? {})) out.push({ kind, name, values });
  }
  return out;
}

/** Names of items are names of files too; the schema allows no character that a file name could not have. */
function itemPath(dataDir: string, kind: ConfigItemKind, name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new EdgeError(
      'E_USAGE',
      `${JSON.stringify(name)} is not a name: letters, digits, "." "_" "-", at most 64, beginning with a letter or digit`,
    );
  }
  const singular = {
    roots: 'root',
    peers: 'peer',
    stores: 'store',
    replication: 'replication',
    tiering: 'tiering',
    agent: 'agent',
  }[kind];
  return join(dataDir, 'conf.d', kind === 'agent' ? 'agent.toml' : `${singular}-${name}.toml`);
}

function asFile(item: ConfigItem): Record<string, unknown> {
  const { name: _, ...values } = item.values;
  if (item.kind === 'roots' || item.kind === 'peers') return { [item.kind]: [{ name: item.name, ...values }] };
  if (item.kind === 'agent') return { agent: values };
  return { [item.kind]: { [item.name]: values } };
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
