/** Text of the `peer` commands. */
import type { InviteData, JoinData, PeerData, PeerListData, PeerShowData } from '@edgestore/agent/operations/peer-data';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';
import { facts, shortId, shownTime, table } from './lines.ts';

export type { InviteData, JoinData, PeerListData, PeerShowData };

/** The token alone is the result: it is made to be piped into a file. What to do with it goes to stderr. */
export function renderInvite(data: InviteData): string[] {
  if (data.token !== null) return [data.token];
  return [
    `An invitation for ${data.uses === 1 ? `one ${data.role}` : `${data.uses} of role ${data.role}`} would be made, good until ${shownTime(data.expires)}, for ${data.addresses.map((one) => printable(one)).join(', ')}`,
  ];
}

export function renderJoin(data: JoinData, { colours }: TextContext): string[] {
  if (data.dry_run) {
    const by = data.peers.map((peer) => printable(peer.address ?? '-')).join(', ');
    return [
      `${printable(data.name)} would join vault ${shortId(data.vault)} as ${data.role}, at site ${printable(data.site)}, in ${printable(data.data_dir)}, invited by ${by}`,
    ];
  }
  return [
    `${colours.green(printable(data.name))} joined vault ${shortId(data.vault)} as ${data.role}, at site ${printable(data.site)}`,
    ...data.peers.map((peer) => `  peer ${printable(peer.name ?? '-')} at ${printable(peer.address ?? '-')}`),
  ];
}

export function renderPeers({ peers }: PeerListData): string[] {
  if (peers.length === 0) return ['No peers: `edgestore peer invite` makes a token for one.'];
  const rows = peers.map((peer) => [
    printable(peer.name),
    printable(peer.site),
    peer.role,
    printable(peer.address ?? '-'),
    stateOf(peer),
    queueOf(peer),
  ]);
  return table(['NAME', 'SITE', 'ROLE', 'ADDRESS', 'STATE', 'QUEUE'], rows);
}

export function renderPeer({ peer }: PeerShowData, { colours }: TextContext): string[] {
  return [
    `peer ${colours.bold(printable(peer.name))} ${peer.agent ?? ''}`.trimEnd(),
    ...facts([
      ['site', printable(peer.site)],
      ['role', peer.role],
      ['address', peer.address === null ? undefined : printable(peer.address)],
      ['fingerprint', peer.fingerprint],
      ['state', stateOf(peer)],
      ['last seen', peer.last_seen === null ? undefined : shownTime(peer.last_seen)],
      ['queue', queueOf(peer)],
      ['expected', peer.refused?.expected ?? undefined],
      ['seen', peer.refused?.seen ?? undefined],
      ['last error', peer.last_error === null ? undefined : printable(peer.last_error)],
      ['way out', peer.refused?.hint == null ? undefined : printable(peer.refused.hint)],
    ]),
  ];
}

function stateOf(peer: PeerData): string {
  if (peer.refused !== null) return 'refused';
  return peer.reachable === null ? 'unknown' : peer.reachable ? 'reachable' : 'unreachable';
}

function queueOf(peer: PeerData): string {
  return peer.pending === 0 ? 'up to date' : `${peer.pending} waiting`;
}
