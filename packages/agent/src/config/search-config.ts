/** Which files make up the configuration, and where the data dir is. */
import { readdirSync, readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { EdgeError, errnoOf } from '@edgestore/engine';

export interface ConfigText {
  readonly file: string;
  readonly text: string;
}

/** A configuration longer than this is a mistake (a log, an image), not a configuration. */
const CONFIG_BYTES_MAX = 1024 * 1024;

/**
 * The main file: `--config`, else `EDGESTORE_CONFIG`, else the first that exists of `$XDG_CONFIG_HOME/edgestore/edgestore.toml` and
 * `/etc/edgestore/edgestore.toml`. A file that was named has to exist (E_CONFIG); undefined when none is there.
 */
export function findMainConfig(flagPath: string | undefined, env: NodeJS.ProcessEnv): ConfigText | undefined {
  const named = flagPath ?? (env.EDGESTORE_CONFIG || undefined);
  if (named !== undefined) {
    const found = readConfigFile(resolve(named));
    if (found === undefined) {
      throw new EdgeError('E_CONFIG', `there is no configuration file ${named}`, {
        hint:
          flagPath === undefined
            ? 'EDGESTORE_CONFIG names it; set it right or unset it.'
            : 'Check the path after --config.',
      });
    }
    return found;
  }
  const home = env.HOME || homedir();
  const folders = [env.XDG_CONFIG_HOME || join(home, '.config'), '/etc'];
  for (const folder of folders) {
    const found = readConfigFile(join(folder, 'edgestore', 'edgestore.toml'));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The files that commands wrote, in the order of their names. */
export function findItemConfigs(dataDir: string): ConfigText[] {
  const folder = join(dataDir, 'conf.d');
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    // A data dir that is a file is no data dir; whoever needs one says so.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw new EdgeError('E_CONFIG', `the folder ${folder} cannot be read: ${errnoOf(error) ?? error}`, {
      hint: 'Run this as the user that the data dir belongs to.',
      cause: error,
    });
  }
  const out: ConfigText[] = [];
  for (const name of names.filter((n) => n.endsWith('.toml') && !n.startsWith('.')).sort()) {
    const found = readConfigFile(join(folder, name));
    if (found !== undefined) out.push(found);
  }
  return out;
}

/** `/var/lib/edgestore` for root, else `$XDG_DATA_HOME/edgestore`. */
export function defaultDataDir(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/var/lib/edgestore';
  const home = env.HOME || homedir() || join('/home', userInfo().username);
  return join(env.XDG_DATA_HOME || join(home, '.local', 'share'), 'edgestore');
}

function readConfigFile(file: string): ConfigText | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw new EdgeError('E_CONFIG', `the configuration file ${file} cannot be read: ${errnoOf(error) ?? error}`, {
      hint: errnoOf(error) === 'EISDIR' ? 'That is a folder: name the file.' : 'Run this as a user who may read it.',
      cause: error,
    });
  }
  if (bytes.length > CONFIG_BYTES_MAX) {
    throw new EdgeError(
      'E_CONFIG',
      `${file} has ${bytes.length} bytes; a configuration has at most ${CONFIG_BYTES_MAX}`,
      { hint: 'Is it the right file? Check --config and EDGESTORE_CONFIG.' },
    );
  }
  try {
    // TextDecoder takes a byte order mark away, which editors on some systems leave.
    return { file, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    throw new EdgeError('E_CONFIG', `${file} is not UTF-8 text`, { cause: error });
  }
}
