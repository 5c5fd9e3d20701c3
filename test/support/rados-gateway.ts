/**
 * A RADOS gateway of Ceph on loopback: one monitor, one OSD in memory, one gateway, all children of this process and ended by it.
 * Nothing of it outlives the folder it was started in.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TEST_KEYS } from '../s3-server/test-keys.ts';
import { waitUntil } from './edgestore-process.ts';
import { freePorts } from './free-port.ts';

const run = promisify(execFile);
const PROGRAMS = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph', 'monmaptool', 'ceph-authtool'];
const PACKAGES = ['ceph-mon', 'ceph-osd', 'radosgw', 'ceph-common'];

export interface RadosGateway {
  readonly endpoint: string;
  /** Ends the gateway alone, as an outage does; the data stay. */
  stopGateway(): Promise<void>;
  startGateway(): Promise<void>;
  stop(): Promise<void>;
}

export function isRadosGatewayInstalled(): boolean {
  return PROGRAMS.every((program) => spawnSync('/bin/sh', ['-c', `command -v ${program}`]).status === 0);
}

/** Installs the Debian packages without starting any service. Needs root. */
export function installRadosGateway(): void {
  const policy = '/usr/sbin/policy-rc.d';
  const hadPolicy = existsSync(policy);
  if (!hadPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const apt = (...args: string[]) =>
      spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
        encoding: 'utf8',
      });
    const install = () => apt('install', '-y', '--no-install-recommends', ...PACKAGES);
    let done = install();
    if (done.status !== 0) {
      apt('update');
      done = install();
    }
    if (done.status !== 0)
      throw new Error(`apt-get install ${PACKAGES.join(' ')} failed:\n${done.stdout}\n${done.stderr}`.slice(-4000));
  } finally {
    if (!hadPolicy) rmSync(policy, { force: true });
  }
}

export async function startRadosGateway(dir: string): Promise<RadosGateway> {
  for (const name of ['run', 'log', 'mon', 'osd', 'crash']) mkdirSync(join(dir, name), { recursive: true });
  const [port = 0, monPort = 0, ...osdPorts] = await freePorts(8);
  const conf = join(dir, 'ceph.conf');
  const fsid = randomUUID();
  writeFileSync(conf, configuration({ dir, fsid, port, monPort, osdPorts }));
  const children: ChildProcess[] = [];
  const start = (program: string, ...args: string[]) => {
    const child = startDaemon(dir, program, ['-f', '-c', conf, ...args]);
    children.push(child);
    return child;
  };
  const stop = async () => {
    for (const child of children.splice(0).reverse()) await end(child);
  };
  const gateway = () => start('radosgw', '-n', 'client.rgw');
  const admin = (...args: string[]) =>
    run('radosgw-admin', ['-c', conf, '-n', 'client.rgw', ...args], { timeout: 120_000 });

  try {
    const keyring = join(dir, 'keyring');
    await run('ceph-authtool', ['--create-keyring', keyring, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *']);
    const caps = ['mon', 'osd', 'mgr'].flatMap((daemon) => ['--cap', daemon, 'allow *']);
    await run('ceph-authtool', [keyring, '--gen-key', '-n', 'client.admin', ...caps]);
    const monmap = join(dir, 'monmap');
    await run('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', `[v2:127.0.0.1:${monPort}]`, monmap]);
    await run('ceph-mon', ['-c', conf, '-i', 'a', '--mkfs', '--monmap', monmap, '--keyring', keyring]);
    start('ceph-mon', '-i', 'a');
    const osdUuid = randomUUID();
    await run('ceph', ['-c', conf, '--connect-timeout', '60', 'osd', 'new', osdUuid, '0'], { timeout: 90_000 });
    await run('ceph-osd', ['-c', conf, '-i', '0', '--mkfs', '--osd-uuid', osdUuid]);
    start('ceph-osd', '-i', '0');
    await waitUntil('the OSD is up', 60_000, async () => {
      const { stdout } = await run('ceph', ['-c', conf, 'osd', 'stat', '-f', 'json'], { timeout: 30_000 });
      return (JSON.parse(stdout) as { num_up_osds?: number }).num_up_osds === 1 ? true : undefined;
    });
    for (const [name, keys] of Object.entries(TEST_KEYS)) {
      await admin(
        'user',
        'create',
        `--uid=${name}`,
        `--display-name=${name}`,
        `--access-key=${keys.accessKeyId}`,
        `--secret-key=${keys.secretAccessKey}`,
      );
    }
    let rgw = gateway();
    await untilItAnswers(port, rgw, dir);
    return {
      endpoint: `http://127.0.0.1:${port}`,
      stopGateway: () => end(rgw),
      async startGateway() {
        rgw = gateway();
        await untilItAnswers(port, rgw, dir);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function untilItAnswers(port: number, child: ChildProcess, dir: string): Promise<true> {
  return waitUntil('the RADOS gateway answers', 90_000, async () => {
    if (child.exitCode !== null) throw new Error(`radosgw ended with ${child.exitCode}; see ${join(dir, 'log')}`);
    try {
      await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2000) });
      return true;
    } catch {
      return undefined;
    }
  });
}

/** In the foreground, as our child; told by the kernel to end when this process dies, where `setpriv` is there to ask for that. */
function startDaemon(dir: string, program: string, args: readonly string[]): ChildProcess {
  const log = openSync(join(dir, 'log', `${program}.out`), 'a');
  const tied = existsSync('/usr/bin/setpriv');
  const command = tied ? '/usr/bin/setpriv' : program;
  return spawn(command, tied ? ['--pdeathsig', 'KILL', program, ...args] : args, { stdio: ['ignore', log, log] });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(patience);
}

/** One small node: no authentication between its parts (loopback), one copy, few placement groups, nothing that waits. */
function configuration(input: {
  readonly dir: string;
  readonly fsid: string;
  readonly port: number;
  readonly monPort: number;
  readonly osdPorts: readonly number[];
}): string {
  const { dir } = input;
  const sections = {
    global: {
      fsid: input.fsid,
      mon_host: `v2:127.0.0.1:${input.monPort}`,
      mon_initial_members: 'a',
      auth_cluster_required: 'none',
      auth_service_required: 'none',
      auth_client_required: 'none',
      public_addr: '127.0.0.1',
      cluster_addr: '127.0.0.1',
      ms_bind_msgr1: 'false',
      ms_bind_port_min: Math.min(...input.osdPorts),
      ms_bind_port_max: Math.max(...input.osdPorts) + 40,
      keyring: join(dir, 'keyring'),
      run_dir: join(dir, 'run'),
      crash_dir: join(dir, 'crash'),
      admin_socket: '',
      log_file: join(dir, 'log', '$name.log'),
      log_to_syslog: 'false',
      osd_pool_default_size: 1,
      osd_pool_default_min_size: 1,
      osd_pool_default_pg_num: 2,
      osd_pool_default_pgp_num: 2,
      osd_pool_default_pg_autoscale_mode: 'off',
      osd_crush_chooseleaf_type: 0,
      mon_max_pg_per_osd: 2000,
      mon_allow_pool_size_one: 'true',
      rgw_rados_pool_pg_num_min: 2,
    },
    mon: {
      mon_data: join(dir, 'mon'),
      mon_data_avail_crit: 1,
      mon_data_avail_warn: 2,
      paxos_propose_interval: 0.05,
      paxos_min_wait: 0.01,
    },
    osd: {
      osd_data: join(dir, 'osd'),
      osd_objectstore: 'memstore',
      memstore_device_bytes: 4 * 1024 ** 3,
      osd_op_num_shards: 2,
      osd_op_num_threads_per_shard: 1,
      osd_class_update_on_start: 'false',
    },
    // The gateway overrides both for itself and would ask a monitor without keys for secure mode.
    'client.rgw': {
      ms_mon_client_mode: 'crc',
      auth_client_required: 'none',
      rgw_frontends: `beast endpoint=127.0.0.1:${input.port} tcp_nodelay=1`,
      rgw_thread_pool_size: 32,
      rgw_dynamic_resharding: 'false',
      rgw_override_bucket_index_max_shards: 1,
      rgw_enable_usage_log: 'false',
    },
  };
  return Object.entries(sections)
    .map(
      ([name, values]) =>
        `[${name}]\n${Object.entries(values)
          .map(([key, value]) => `${key} = ${value}\n`)
          .join('')}`,
    )
    .join('\n');
}
