/** One agent of the quickstart: its data dir, its configuration, and its process. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { edgestoreJson, startEdgestore, waitUntil } from '../support/edgestore-process.ts';

export interface Site {
  readonly name: string;
  readonly dataDir: string;
  readonly configFile: string;
  readonly env: Readonly<Record<string, string>>;
  agent: ChildProcess | undefined;
  /** What the agent wrote to stderr, kept for when something goes wrong. */
  log: string;
}

/** Makes the folder and the configuration file of an agent; nothing runs yet. */
export function layOutSite(
  base: string,
  name: string,
  site: string,
  port: number,
  toml: string,
  env: Record<string, string>,
): Site {
  const folder = join(base, name);
  mkdirSync(folder, { recursive: true });
  const configFile = join(folder, 'edgestore.toml');
  const dataDir = join(folder, 'data-dir');
  writeFileSync(
    configFile,
    `[agent]\nname = "${name}"\nsite = "${site}"\ndata_dir = "${dataDir}"\nlisten = "127.0.0.1:${port}"\n${toml}`,
  );
  return { name, dataDir, configFile, env, agent: undefined, log: '' };
}

/** Runs a command on the site and returns its JSON `data`. */
export function onSite<T = Record<string, unknown>>(
  site: Site,
  args: readonly string[],
  options: { stdin?: string; exitCodes?: readonly number[] } = {},
): Promise<T> {
  return edgestoreJson<T>([...args, '--config', site.configFile], { env: site.env, ...options });
}

/** Starts the agent and waits until it answers. */
export async function startAgent(site: Site): Promise<void> {
  const child = startEdgestore(['agent', 'run', '--config', site.configFile], { env: site.env });
  site.agent = child;
  child.stdout?.resume();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    site.log = (site.log + text).slice(-20_000);
  });
  await waitUntil(`the agent of ${site.name} answers`, 20_000, async () => {
    if (child.exitCode !== null)
      throw new Error(`the agent of ${site.name} ended with ${child.exitCode}:\n${site.log}`);
    const status = await onSite<{ running?: boolean }>(site, ['agent', 'status'], { exitCodes: [0, 4] });
    return status !== undefined && child.exitCode === null ? status : undefined;
  });
}

/** SIGKILL: what a power cut looks like to everyone else. */
export async function killAgent(site: Site): Promise<void> {
  await endAgent(site, 'SIGKILL');
}

export async function stopAgent(site: Site): Promise<void> {
  await endAgent(site, 'SIGTERM');
}

async function endAgent(site: Site, signal: NodeJS.Signals): Promise<void> {
  const child = site.agent;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
  site.agent = undefined;
}
