import type { CborReader } from '../tree/cbor-reader.ts';
import type { CborWriter } from '../tree/cbor-writer.ts';
import { UNKNOWN_FIELDS_MAX } from '../tree/entry-layout.ts';
import { readKey, type UnknownField, writeUnknownFields } from '../tree/unknown-fields.ts';
import type { RootSetting, Settings } from './record-body.ts';
import {
  CONFIG_BYTES_MAX,
  PATH_BYTES_MAX,
  ROOT_NAME_BYTES_MAX,
  ROOTS_MAX,
  SHORT_TEXT_BYTES_MAX,
} from './record-layout.ts';

const Key = { agentName: 0, site: 1, configJson: 2, roots: 3 } as const;
const KEY_MAX = 3;

export function writeSettings(writer: CborWriter, { agentName, site, configJson, roots, unknown }: Settings): void {
  writer
    .map(4 + (unknown?.length ?? 0))
    .int(Key.agentName)
    .text(agentName)
    .int(Key.site)
    .text(site);
  writer.int(Key.configJson).text(configJson).int(Key.roots).array(roots.length);
  for (const { name, path, shard } of roots) writer.array(3).text(name).bytes(path).int(shard);
  writeUnknownFields(writer, unknown);
}

export function readSettings(reader: CborReader, what: string): Settings {
  let agentName: string | undefined;
  let site: string | undefined;
  let configJson: string | undefined;
  let roots: Settings['roots'] | undefined;
  let unknown: UnknownField[] | undefined;
  let last = -1;
  for (let pairs = reader.map(KEY_MAX + 1 + UNKNOWN_FIELDS_MAX); pairs > 0; pairs--) {
    const key = readKey(reader, last, what);
    last = key;
    if (key === Key.agentName) agentName = reader.text(SHORT_TEXT_BYTES_MAX);
    else if (key === Key.site) site = reader.text(SHORT_TEXT_BYTES_MAX);
    else if (key === Key.configJson) configJson = reader.text(CONFIG_BYTES_MAX);
    else if (key === Key.roots) roots = readRoots(reader);
    else {
      unknown ??= [];
      unknown.push({ key, value: reader.raw() });
    }
  }
  if (agentName === undefined || site === undefined || configJson === undefined || roots === undefined) {
    throw reader.error('settings without name, site, config or roots');
  }
  return { agentName, site, configJson, roots, ...(unknown === undefined ? {} : { unknown }) };
}

function readRoots(reader: CborReader): RootSetting[] {
  const count = reader.array(ROOTS_MAX);
  const roots: RootSetting[] = [];
  const shards = new Set<number>();
  for (let i = 0; i < count; i++) {
    if (reader.array(3) !== 3) throw reader.error('a root is a name, a path and a shard');
    const root = {
      name: reader.text(ROOT_NAME_BYTES_MAX),
      path: reader.bytes(PATH_BYTES_MAX),
      shard: reader.uint(0xffff_ffff),
    };
    if (root.shard < 1 || shards.has(root.shard)) throw reader.error(`the shard ${root.shard} of a root`);
    shards.add(root.shard);
    roots.push(root);
  }
  return roots;
}
