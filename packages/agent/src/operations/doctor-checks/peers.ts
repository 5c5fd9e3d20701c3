/** The peers: a real hello with each, over a connection that both keys prove, and one question that only a member may ask. */
import { type DataDir, EdgeError, formatDuration, isEdgeError, loadSodium, toEdgeError } from '@edgestore/engine';
import type { LoadedConfig } from '../../config/load-config.ts';
import { STATE_BYTES_MAX } from '../../http/chain-wire.ts';
import { openPeerConnection } from '../../http/peer-connection.ts';
import { sayHello } from '../../http/say-hello.ts';
import { openRoster, type Roster } from '../../membership/roster.ts';
import { NOTHING_SHARED } from '../../membership/vault-sharing.ts';
import { PROGRAM } from '../../program.ts';
import type { VaultFiles } from '../read-vault-files.ts';
import type { SetupContext } from '../setup.ts';
import { type DoctorCheck, failed } from './check.ts';

const PEER_MS_MAX = 10_000;
/** What a bucket allows; a peer's clock that is further off is worth a word long before P8's day. */
const SKEW_MS_MAX = 15 * 60_000;

interface Endpoint {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly pin: string;
}

export async function checkPeers(
  dir: DataDir,
  files: VaultFiles,
  { config }: LoadedConfig,
  context: SetupContext,
): Promise<DoctorCheck[]> {
  const roster = await openRoster({
    dataDir: dir,
    sodium: await loadSodium(),
    clock: context.clock,
    vault: files.vaultId,
    adminPublicKey: files.adminPublicKey,
    identity: files.identity,
    peers: config.peers,
    program: PROGRAM,
    sharing: NOTHING_SHARED,
    // Damaged cards are a check of the data dir.
    warn: () => {},
  });
  try {
    const members = roster
      .members()
      .map(({ name, addresses, tlsSpkiSha256 }) => ({ name, addresses, pin: tlsSpkiSha256 }));
    const met = new Set(members.map(({ pin }) => pin));
    const unmet = config.peers
      .filter(({ fingerprint }) => !met.has(fingerprint) && fingerprint !== roster.tls.spkiSha256)
      .map(({ name, address, fingerprint }) => ({ name, addresses: [address], pin: fingerprint }));
    const endpoints = [...members, ...unmet].sort((a, b) => (a.name < b.name ? -1 : 1));
    return await Promise.all(endpoints.map((endpoint) => checkPeer(endpoint, roster, context)));
  } finally {
    roster.close();
  }
}

/** Each address by itself; one that works is enough. */
async function checkPeer(endpoint: Endpoint, roster: Roster, context: SetupContext): Promise<DoctorCheck> {
  const what = `peer ${endpoint.name}`;
  const failures: EdgeError[] = [];
  let reached: DoctorCheck | undefined;
  for (const address of endpoint.addresses) {
    try {
      reached ??= await greet(what, { ...endpoint, addresses: [address] }, roster, context);
    } catch (error) {
      context.signal.throwIfAborted();
      failures.push(toEdgeError(error));
    }
  }
  // Someone else at one of its addresses is worth knowing also when the peer answers at another.
  const refused = failures.find((error) => isEdgeError(error, 'E_DENIED', 'E_NEWER_FORMAT', 'E_FORMAT'));
  if (refused !== undefined) return failed(what, refused);
  if (reached !== undefined) return reached;
  if (failures.length > 0) return failed(what, failures[0]!, 'warning');
  return { what, result: 'ok', message: 'no address of it is known: it comes to us, or is added under [[peers]]' };
}

async function greet(
  what: string,
  endpoint: Endpoint,
  roster: Roster,
  { clock, signal }: SetupContext,
): Promise<DoctorCheck> {
  const timed = new AbortController();
  const timer = setTimeout(
    () =>
      timed.abort(
        new EdgeError(
          'E_TIMEOUT',
          `${endpoint.name} (${endpoint.addresses[0]}) did not answer in ${PEER_MS_MAX / 1000} s`,
          {
            hint: 'Check that the agent runs there and that its port is open.',
          },
        ),
      ),
    PEER_MS_MAX,
  );
  const connection = openPeerConnection(endpoint, roster.tls);
  const both = AbortSignal.any([signal, timed.signal]);
  try {
    const hello = await sayHello(connection, roster.hello(), both);
    await connection.bytes({ method: 'GET', path: '/peer/1/state', limit: STATE_BYTES_MAX, signal: both });
    const skewMs = Math.abs(hello.wallMs - Number(clock.nowNs() / 1_000_000n));
    if (skewMs > SKEW_MS_MAX)
      return {
        what,
        result: 'warning',
        message: `its clock and ours differ by ${formatDuration(skewMs / 1000)}`,
        hint: 'Put the one that is wrong right (NTP).',
      };
    return {
      what,
      result: 'ok',
      message: `${endpoint.addresses[0]} answers with its key, as a member of this vault (${hello.program})`,
    };
  } finally {
    clearTimeout(timer);
    connection.close();
  }
}
