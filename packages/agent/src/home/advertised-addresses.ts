/** Where other agents reach this one. */
import { networkInterfaces } from 'node:os';
import type { AgentConfig } from '../config/config.ts';
import { splitListen } from '../http/listen-address.ts';

/** An invitation holds no more addresses than this. */
const ADDRESSES_MAX = 8;

/** `agent.advertise` when set; else the listen address, or this machine's own addresses when it listens on all. Empty for an agent that only calls. */
export function advertisedAddresses(agent: AgentConfig, boundPort?: number): string[] {
  if (agent.advertise.length > 0) return [...agent.advertise];
  if (agent.listen === undefined) return [];
  const { host, port } = splitListen(agent.listen);
  const shownPort = boundPort ?? port;
  if (shownPort === 0) return [];
  if (!isWildcard(host)) return [`https://${inUrl(host!)}:${shownPort}`];
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own
    .filter((address) => !address.internal && !address.address.startsWith('fe80:'))
    .sort((a, b) => a.family.localeCompare(b.family))
    .slice(0, ADDRESSES_MAX)
    .map((address) => `https://${inUrl(address.address)}:${shownPort}`);
}

/** What a joining agent says of itself: on every address, it lets the inviter fill in the one that it sees. */
export function joinAddresses(agent: AgentConfig): string[] {
  if (agent.advertise.length > 0 || agent.listen === undefined) return [...agent.advertise];
  const { host, port } = splitListen(agent.listen);
  if (port === 0) return [];
  return [isWildcard(host) ? `https://*:${port}` : `https://${inUrl(host!)}:${port}`];
}

function isWildcard(host: string | undefined): boolean {
  return host === undefined || host === '0.0.0.0' || host === '::' || host === '*';
}

function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
