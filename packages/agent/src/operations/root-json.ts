/** A configured root as the commands show it. */
import type { RootConfig } from '../config/config.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import type { RootJson } from './root-data.ts';

export function rootJson(root: RootConfig, loaded: LoadedConfig): RootJson {
  const origin = loaded.origins.get(`roots.${root.name}`);
  return {
    name: root.name,
    path: root.path,
    watch: root.watch,
    exclude: root.exclude,
    one_file_system: root.oneFileSystem,
    replication: root.replication ?? null,
    tiering: root.tiering ?? null,
    origin: origin === undefined ? 'default' : `${origin.file}:${origin.line}`,
  };
}
