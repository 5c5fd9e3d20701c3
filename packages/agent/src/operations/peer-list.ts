/** `peer list`, and what `peer show` shows of one. */
import {
  EdgeError,
  formatTimeNs,
  isEdgeError,
  type Member,
  noteIfRoom,
  type TargetStatus,
  toEdgeError,
} from '@edgestore/engine';
import { z } from 'zod';
import type { PeerConfig } from '../config/config.ts';
import { defineOperation, type OperationContext } from './operation.ts';
import type { PeerData, PeerListData, PeerRefusal, PeerShowData } from './peer-data.ts';

/** Whoever lists peers waits no longer than this for those that are away. */
const ASK_MS_MAX = 5000;

export const peerList = defineOperation<object, PeerListData>({
  name: 'peer.list',
  input: z.object({}),
  mutates: false,
  run: async (_input, context) => ({ data: { peers: await allPeers(context) } }),
});

const showInput = z.object({ name: z.string().max(256) });

export const peerShow = defineOperation<z.output<typeof showInput>, PeerShowData>({
  name: 'peer.show',
  input: showInput,
  mutates: false,
  run: async ({ name }, context) => {
    const peers = await allPeers(context);
    const named = peers.filter((peer) => peer.name === name);
    const found = named.length > 0 ? named : peers.filter((peer) => peer.agent?.startsWith(name.toLowerCase()));
    const [peer] = found;
    if (peer !== undefined && found.length === 1) return { data: { peer }, exitCode: peer.refused?.exit ?? 0 };
    if (found.length > 1)
      throw new EdgeError('E_AMBIGUOUS', `${JSON.stringify(name)} is the beginning of ${found.length} ids`);
    throw new EdgeError('E_NOT_FOUND', `there is no peer ${JSON.stringify(name)}`, {
      hint: `There are: ${peers.map((peer) => peer.name).join(', ') || 'none'}`,
    });
  },
});

async function allPeers({ home, signal }: OperationContext): Promise<PeerData[]> {
  const { engine, peers, replicator } = home;
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS_MAX)]);
  const failed = new Map((await peers.introduce(deadline)).map(({ name, error }) => [name, error]));
  const members = peers.members();
  const targets = new Map(replicator.status().map((status) => [status.target, status]));
  const shown = await Promise.all(
    members.map((member) => shownMember(member, targets.get(member.agent), home, deadline)),
  );
  const met = new Set(members.map((member) => member.tlsSpkiSha256));
  const unmet = home.config.peers.filter(
    (peer) => !met.has(peer.fingerprint) && peer.fingerprint !== peers.tls.spkiSha256,
  );
  signal.throwIfAborted();
  // Seen just now: kept for the next time, when it may be away.
  for (const peer of shown)
    if (peer.reachable === true) noteIfRoom(() => engine.index.kv.set(`peer.seen.${peer.agent}`, peer.last_seen!));
  return [...shown, ...unmet.map((peer) => shownUnmet(peer, failed.get(peer.name)))].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

async function shownMember(
  member: Member,
  status: TargetStatus | undefined,
  home: OperationContext['home'],
  signal: AbortSignal,
): Promise<PeerData> {
  const { engine } = home;
  const link = home.peers.link(member.agent);
  let error: string | null = status?.lastError ?? null;
  let refused: PeerRefusal | null = null;
  let isReachable: boolean | null = null;
  if (link !== undefined) {
    try {
      await link.state(signal);
      isReachable = true;
    } catch (thrown) {
      isReachable = false;
      const known = toEdgeError(thrown);
      // What is so now says more than what was when something was sent last.
      error = known.message;
      refused = refusalOf(known);
    }
  }
  return {
    agent: member.agent,
    name: member.name,
    site: member.site,
    role: member.role,
    address: member.addresses[0] ?? null,
    addresses: member.addresses,
    fingerprint: member.tlsSpkiSha256,
    reachable: isReachable,
    last_seen:
      isReachable === true
        ? formatTimeNs(engine.clock.nowNs())
        : (engine.index.kv.get(`peer.seen.${member.agent}`) ?? null),
    pending: status?.pending ?? 0,
    last_error: error,
    refused,
    holds_ours: status !== undefined,
    held_here: engine.chains.shards(member.agent).reduce((sum, { held }) => sum + held, 0),
  };
}

/** Null for one that is only away. */
function refusalOf(error: EdgeError): PeerRefusal | null {
  if (!isEdgeError(error, 'E_DENIED', 'E_NEWER_FORMAT')) return null;
  const { code, message, exitCode, hint, context } = error;
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return {
    code,
    message,
    exit: exitCode,
    hint: hint ?? null,
    expected: text(context.expected),
    seen: text(context.seen),
  };
}

function shownUnmet(peer: PeerConfig, error: EdgeError | undefined): PeerData {
  return {
    agent: null,
    name: peer.name,
    site: peer.site ?? '',
    role: 'unknown',
    address: peer.address,
    addresses: [peer.address],
    fingerprint: peer.fingerprint,
    reachable: false,
    last_seen: null,
    pending: 0,
    last_error: error?.message ?? 'not met yet',
    refused: error === undefined ? null : refusalOf(error),
    holds_ours: false,
    held_here: 0,
  };
}
