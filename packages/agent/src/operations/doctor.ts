/** `doctor`: looks at this machine, the configuration and the data dir for what will cause trouble. Opens no vault and changes nothing. */
import { constants } from 'node:fs';
import { access, readFile, stat, statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import {
  type DataDir,
  dataDirAt,
  dataDirExists,
  errnoOf,
  formatBytes,
  isEdgeError,
  openObjectStore,
  readLockHolder,
  toEdgeError,
} from '@edgestore/engine';
import { z } from 'zod';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';
import { readVaultFiles } from './read-vault-files.ts';
import { defineSetup, type SetupContext } from './setup.ts';

export interface DoctorCheck {
  readonly what: string;
  readonly result: 'ok' | 'warning' | 'problem';
  readonly message: string;
  readonly hint?: string;
}

export interface DoctorData {
  readonly checks: readonly DoctorCheck[];
  readonly problems: number;
}

const CONNECT_MS_MAX = 5000;
const OPEN_FILES_MIN = 1024;
const WATCHES_MIN = 65_536;
const FREE_BYTES_MIN = 1024 ** 3;

export const doctor = defineSetup<object, DoctorData>({
  name: 'doctor',
  input: z.object({}),
  run: async (_input, context) => {
    const checks: DoctorCheck[] = [checkRuntime(), await checkOpenFiles(), await checkWatches()];
    const loaded = checkConfig(context, checks);
    if (loaded !== undefined) {
      const dir = dataDirAt(loaded.dataDir, { packDir: loaded.config.agent.packDir });
      await checkDataDir(dir, context, checks);
      for (const root of loaded.config.roots) checks.push(await checkRoot(root.name, root.path));
      for (const name of Object.keys(loaded.config.stores)) checks.push(await checkStore(name, loaded, context));
      for (const peer of loaded.config.peers) checks.push(await checkPeer(peer.name, peer.address));
    }
    const problems = checks.filter((check) => check.result === 'problem').length;
    return { data: { checks, problems }, exitCode: problems > 0 ? 20 : 0 };
  },
});

function checkRuntime(): DoctorCheck {
  return {
    what: 'runtime',
    result: 'ok',
    message: `Node.js ${process.versions.node} on ${process.platform} ${process.arch}`,
  };
}

async function checkOpenFiles(): Promise<DoctorCheck> {
  const text = await readIfThere('/proc/self/limits');
  const limit = Number(/^Max open files\s+(\d+)/m.exec(text ?? '')?.[1] ?? Number.NaN);
  if (Number.isNaN(limit)) return { what: 'open files', result: 'ok', message: 'not limited, as far as can be seen' };
  if (limit >= OPEN_FILES_MIN) return { what: 'open files', result: 'ok', message: `up to ${limit}` };
  return {
    what: 'open files',
    result: 'warning',
    message: `only ${limit}`,
    hint: `Raise it: ulimit -n ${OPEN_FILES_MIN}`,
  };
}

async function checkWatches(): Promise<DoctorCheck> {
  const limit = Number((await readIfThere('/proc/sys/fs/inotify/max_user_watches')) ?? Number.NaN);
  if (Number.isNaN(limit) || limit >= WATCHES_MIN)
    return {
      what: 'watches',
      result: 'ok',
      message: Number.isNaN(limit) ? 'not limited, as far as can be seen' : `up to ${limit} folders`,
    };
  return {
    what: 'watches',
    result: 'warning',
    message: `only ${limit} folders can be watched; one watch a folder is needed`,
    hint: `Raise it: sysctl fs.inotify.max_user_watches=${WATCHES_MIN * 8}. Without it, changes are found by the rescan.`,
  };
}

function checkConfig({ place }: SetupContext, checks: DoctorCheck[]): LoadedConfig | undefined {
  try {
    const loaded = loadConfig(place);
    checks.push({
      what: 'configuration',
      result: 'ok',
      message: loaded.files.length === 0 ? 'none; the defaults hold' : loaded.files.join(', '),
    });
    for (const { message } of loaded.warnings) checks.push({ what: 'configuration', result: 'warning', message });
    return loaded;
  } catch (error) {
    if (!isEdgeError(error, 'E_CONFIG')) throw error;
    checks.push({
      what: 'configuration',
      result: 'problem',
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
    return undefined;
  }
}

async function checkDataDir(dir: DataDir, { warn }: SetupContext, checks: DoctorCheck[]): Promise<void> {
  const what = 'data dir';
  try {
    if (!(await dataDirExists(dir))) {
      checks.push({
        what,
        result: 'problem',
        message: `there is no vault at ${dir.path}`,
        hint: 'Make one: edgestore init',
      });
      return;
    }
    const { mode, uid } = await stat(dir.path);
    if ((mode & 0o077) !== 0)
      checks.push({
        what,
        result: 'warning',
        message: `${dir.path} can be read by others`,
        hint: `chmod 700 ${dir.path}`,
      });
    if (uid !== process.getuid?.())
      checks.push({ what, result: 'warning', message: `${dir.path} belongs to another user (uid ${uid})` });
    const files = await readVaultFiles(dir, warn);
    checks.push({
      what,
      result: 'ok',
      message: `vault ${files.vaultId.slice(0, 8)}, agent ${files.identity.name}, at ${dir.path}`,
    });
    for (const { file, why } of files.damagedSlots) {
      checks.push({
        what: 'key slots',
        result: 'problem',
        message: `${file}: ${why}`,
        hint: 'Take it from another store of the vault, or remove the file and add a new slot.',
      });
    }
    if (!files.slots.some((slot) => slot.type === 'recovery')) {
      checks.push({
        what: 'key slots',
        result: 'problem',
        message: 'there is no recovery slot: a lost disk could not be recovered',
      });
    }
    const holder = readLockHolder(dir.lockFile);
    if (holder !== undefined)
      checks.push({ what: 'lock', result: 'ok', message: `in use by process ${holder.pid} (${holder.command})` });
    checks.push(await checkSpace(dir.packDir));
  } catch (thrown) {
    const error = toEdgeError(thrown);
    checks.push({
      what,
      result: 'problem',
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

async function checkSpace(folder: string): Promise<DoctorCheck> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const message = `${formatBytes(free)} free for packs`;
  return free >= FREE_BYTES_MIN
    ? { what: 'space', result: 'ok', message }
    : { what: 'space', result: 'warning', message };
}

async function checkRoot(name: string, path: string): Promise<DoctorCheck> {
  const what = `root ${name}`;
  try {
    await access(path, constants.R_OK);
    return { what, result: 'ok', message: path };
  } catch (error) {
    const why = errnoOf(error) === 'ENOENT' ? 'is not there' : 'cannot be read';
    return { what, result: 'problem', message: `${path} ${why}` };
  }
}

/** Asks for something that is not there: shows whether bucket and credentials are right, and costs one request. */
async function checkStore(
  name: string,
  { config }: LoadedConfig,
  { clock, random, signal }: SetupContext,
): Promise<DoctorCheck> {
  const what = `store ${name}`;
  const store = config.stores[name]!;
  try {
    const objects = openObjectStore(
      {
        name,
        url: store.url,
        ...(store.endpoint === undefined ? {} : { endpoint: store.endpoint }),
        ...(store.region === undefined ? {} : { region: store.region }),
        ...(store.pathStyle === undefined ? {} : { pathStyle: store.pathStyle }),
      },
      { clock, random },
    );
    await objects.get('doctor-looks-for-nothing', {
      signal: AbortSignal.any([signal, AbortSignal.timeout(4 * CONNECT_MS_MAX)]),
    });
    return { what, result: 'ok', message: objects.label };
  } catch (thrown) {
    const error = toEdgeError(thrown);
    return {
      what,
      result: 'problem',
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    };
  }
}

async function checkPeer(name: string, address: string): Promise<DoctorCheck> {
  const { hostname, port } = new URL(address);
  const error = await new Promise<Error | undefined>((resolve) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || 443),
      timeout: CONNECT_MS_MAX,
    });
    const end = (why?: Error): void => {
      socket.destroy();
      resolve(why);
    };
    socket.once('connect', () => end());
    socket.once('timeout', () => end(new Error('no answer in time')));
    socket.once('error', end);
  });
  const what = `peer ${name}`;
  if (error === undefined) return { what, result: 'ok', message: `${address} can be reached` };
  return { what, result: 'warning', message: `${address}: ${error.message}` };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EACCES') return undefined;
    throw toEdgeError(error, `reading ${file}`);
  }
}
