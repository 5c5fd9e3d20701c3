/** Which roots a `sync` is about: all, or those of the paths; a path that is no root becomes one. */
import { EdgeError } from '@edgestore/engine';
import type { RootConfig } from '../config/config.ts';
import { addRoot, checkRootPath, nameForRoot } from './add-root.ts';
import { openedOf } from './opened.ts';
import type { OperationContext } from './operation.ts';

export async function rootsToSync(
  paths: readonly string[],
  dryRun: boolean,
  context: OperationContext,
): Promise<readonly RootConfig[]> {
  if (paths.length === 0) {
    const { roots } = openedOf(context).loaded.config;
    if (roots.length > 0) return roots;
    throw new EdgeError('E_USAGE', 'there are no roots to sync', {
      hint: 'Give a path, or add one: edgestore root add PATH',
    });
  }
  const wanted: RootConfig[] = [];
  for (const path of new Set(paths)) {
    wanted.push(
      openedOf(context).loaded.config.roots.find((root) => root.path === path) ??
        (await newRoot(path, dryRun, context)),
    );
  }
  return wanted;
}

async function newRoot(path: string, dryRun: boolean, context: OperationContext): Promise<RootConfig> {
  const { loaded } = openedOf(context);
  checkRootPath(path, loaded);
  const name = nameForRoot({ path, name: undefined }, loaded);
  if (dryRun) return unwatched(name, path);
  addRoot({ path, name: undefined, watch: false, values: {} }, name, loaded);
  await context.home.reload();
  const added = context.home.config.roots.find((root) => root.name === name);
  if (added === undefined) throw new EdgeError('E_FAILED', `the new root ${name} did not come into the configuration`);
  return added;
}

function unwatched(name: string, path: string): RootConfig {
  return {
    name,
    path,
    exclude: [],
    watch: false,
    rescanMs: 0,
    settleMs: 0,
    maxDelete: undefined,
    oneFileSystem: false,
    tiering: undefined,
    replication: undefined,
  };
}
