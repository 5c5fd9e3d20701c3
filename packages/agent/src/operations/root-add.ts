/** `root add`. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { compileGlob, EdgeError, errnoOf } from '@edgestore/engine';
import { z } from 'zod';
import type { RootConfig } from '../config/config.ts';
import { writeConfigItem } from '../config/config-items.ts';
import { addRoot, checkRootPath, nameForRoot } from './add-root.ts';
import { openedOf } from './opened.ts';
import { defineOperation, type OperationContext } from './operation.ts';
import { parseMaxDelete } from './parse-max-delete.ts';
import { recordSettings } from './record-settings.ts';
import type { RootData, RootJson } from './root-data.ts';
import { rootJson } from './root-json.ts';

const input = z.object({
  path: z.string(),
  name: z.string().optional(),
  exclude: z.array(z.string()).default([]),
  watch: z.boolean().default(true),
  maxDelete: z.string().optional(),
  oneFileSystem: z.boolean().default(false),
  replication: z.string().optional(),
  tiering: z.string().optional(),
  dryRun: z.boolean().default(false),
});

export const rootAdd = defineOperation<z.output<typeof input>, RootData>({
  name: 'root.add',
  input: input as z.ZodType<z.output<typeof input>>,
  mutates: true,
  run: async (given, context) => {
    const { loaded } = openedOf(context);
    checkRootPath(given.path, loaded);
    const there = loaded.config.roots.find((root) => root.path === given.path);
    if (there !== undefined) {
      if (given.name !== undefined && given.name !== there.name)
        throw new EdgeError('E_USAGE', `${given.path} is the root ${there.name} already`, {
          hint: 'A root keeps its name; leave --name out.',
        });
      if (given.watch && !there.watch) return { data: await startWatching(there, given.dryRun, context) };
      warnIfOthersWereMeant(there, given, context);
      return { data: { root: rootJson(there, loaded), added: false, dry_run: given.dryRun } };
    }
    warnIfUnreadable(given.path, context);
    requireNamed('replication', given.replication, loaded.config.replication);
    requireNamed('tiering', given.tiering, loaded.config.tiering);
    for (const pattern of given.exclude) compileGlob(pattern);
    if (given.maxDelete !== undefined) parseMaxDelete(given.maxDelete);
    const name = nameForRoot({ path: given.path, name: given.name }, loaded);
    const root = {
      path: given.path,
      name: given.name,
      watch: given.watch,
      values: {
        exclude: given.exclude.length > 0 ? given.exclude : undefined,
        max_delete:
          given.maxDelete === undefined
            ? undefined
            : /^\d+$/.test(given.maxDelete)
              ? Number(given.maxDelete)
              : given.maxDelete,
        one_file_system: given.oneFileSystem ? true : undefined,
        replication: given.replication,
        tiering: given.tiering,
      },
    };
    const origin = given.dryRun ? 'default' : `${addRoot(root, name, loaded)}:2`;
    if (!given.dryRun) {
      await context.home.reload();
      await recordSettings(context.home);
    }
    const json: RootJson = {
      name,
      path: given.path,
      watch: given.watch,
      exclude: given.exclude,
      one_file_system: given.oneFileSystem,
      replication: given.replication ?? null,
      tiering: given.tiering ?? null,
      origin,
    };
    return { data: { root: json, added: true, dry_run: given.dryRun } };
  },
});

/** The root stays as it is: one command does not undo what another, or the user's own file, has said. */
function warnIfOthersWereMeant(there: RootConfig, given: z.output<typeof input>, { warn }: OperationContext): void {
  const differing = [
    given.exclude.some((pattern) => !there.exclude.includes(pattern)) && '--exclude',
    given.maxDelete !== undefined && '--max-delete',
    given.oneFileSystem && !there.oneFileSystem && '--one-file-system',
    given.replication !== undefined && given.replication !== there.replication && '--replication',
    given.tiering !== undefined && given.tiering !== there.tiering && '--tiering',
    !given.watch && there.watch && '--no-watch',
  ].filter((flag) => flag !== false);
  if (differing.length === 0) return;
  warn({
    code: 'W_ROOT_UNCHANGED',
    message: `${there.name} was there before and keeps its settings; ${differing.join(', ')} changed nothing. To set them: edgestore root remove ${there.name}, then add it again (snapshots stay)`,
  });
}

function warnIfUnreadable(path: string, { warn }: OperationContext): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    const errno = errnoOf(error) ?? String(error);
    const why =
      errno === 'EACCES' || errno === 'EPERM'
        ? `may not be read by this user (uid ${process.getuid?.()}): nothing of it can be captured until it may`
        : `cannot be read now (${errno}): nothing of it can be captured until it can`;
    warn({ code: 'W_ROOT_UNREADABLE', message: `${path} ${why}` });
  }
}

/** `sync PATH` made it an unwatched root; adding it is how it gets watched. One that the user's own file keeps unwatched is left to the user. */
async function startWatching(there: RootConfig, dryRun: boolean, context: OperationContext): Promise<RootData> {
  const { loaded } = openedOf(context);
  const origin = loaded.origins.get(`roots.${there.name}`)?.file;
  if (origin === undefined || dirname(origin) !== context.home.dataDir.confDir) {
    throw new EdgeError('E_USAGE', `${there.path} is the root ${there.name} already, and is not to be watched`, {
      hint: `Set watch = true in ${origin ?? 'the configuration'}.`,
    });
  }
  if (!dryRun) {
    const values = (loaded.raw.roots as Record<string, Record<string, unknown>>)[there.name];
    writeConfigItem(loaded.dataDir, { kind: 'roots', name: there.name, values: { ...values, watch: true } });
    await context.home.reload();
    await recordSettings(context.home);
  }
  return { root: { ...rootJson(there, loaded), watch: true }, added: true, dry_run: dryRun };
}

function requireNamed(kind: string, name: string | undefined, known: Readonly<Record<string, unknown>>): void {
  if (name === undefined || Object.hasOwn(known, name)) return;
  const names = Object.keys(known);
  throw new EdgeError('E_USAGE', `there is no [${kind}.${name}] in the configuration`, {
    hint: names.length === 0 ? `Add one to the configuration first.` : `There are: ${names.join(', ')}`,
  });
}
