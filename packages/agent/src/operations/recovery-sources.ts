/** The places that `recover --from` names: peers, buckets, folders. */
import {
  EdgeError,
  openBucketRecovery,
  openObjectStore,
  type ParsedRecoverySheet,
  type RecoverySource,
  type Sodium,
  toEdgeError,
  type VaultBaseKeys,
} from '@edgestore/engine';
import type { LoadedConfig } from '../config/load-config.ts';
import type { TlsIdentity } from '../http/tls-certificate.ts';
import { openPeerRecovery } from '../membership/peer-recovery.ts';
import type { SetupContext } from './setup.ts';

export interface OpenedRecoverySource extends RecoverySource {
  close(): void;
}

export interface RecoverySecrets {
  readonly sheet: ParsedRecoverySheet;
  readonly keys: VaultBaseKeys;
  /** A key of this machine, made for the recovery. */
  readonly tls: TlsIdentity;
  readonly loaded: LoadedConfig;
  readonly sodium: Sodium;
}

interface Wanted {
  readonly from: readonly string[];
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
}

/** Those that answer, in the order given; one is enough. The first one's error when none does. */
export async function openRecoverySources(
  wanted: Wanted,
  secrets: RecoverySecrets,
  context: SetupContext,
): Promise<OpenedRecoverySource[]> {
  const opened: OpenedRecoverySource[] = [];
  const failed: EdgeError[] = [];
  for (const url of wanted.from) {
    try {
      opened.push(await open(url, wanted, secrets, context));
    } catch (error) {
      const known = toEdgeError(error);
      if (context.signal.aborted || known.code === 'E_USAGE' || known.code === 'E_CONFIG') {
        for (const source of opened) source.close();
        throw known;
      }
      failed.push(known);
    }
  }
  const [first] = failed;
  if (opened.length === 0 && first !== undefined) throw first;
  for (const { message } of failed)
    context.warn({ code: 'W_SOURCE_UNREACHABLE', message: `not recovered from: ${message}` });
  return opened;
}

async function open(
  url: string,
  wanted: Wanted,
  secrets: RecoverySecrets,
  context: SetupContext,
): Promise<OpenedRecoverySource> {
  const { sheet, keys, tls, sodium } = secrets;
  if (url.startsWith('https://')) {
    const address = url.replace(/\/+$/, '');
    const pin = sheet.peers.find((peer) => peer.address === address)?.pin;
    return await openPeerRecovery(
      { address, pin, keys, adminSeed: sheet.adminSeed, tls, signal: context.signal },
      { sodium },
    );
  }
  if (!/^(s3|file):\/\//.test(url)) {
    throw new EdgeError(
      'E_USAGE',
      `--from takes https://peer:port, s3://bucket/prefix or file:///dir, not ${JSON.stringify(url)}`,
    );
  }
  const store = openObjectStore(
    { name: 'recovery', url, ...optionsOf(url, wanted, secrets) },
    { clock: context.clock, random: context.random },
  );
  const source = await openBucketRecovery({ store, vault: sheet.vaultId }, { warn: context.warn }, context.signal);
  return { ...source, close: () => {} };
}

/** Endpoint and region as given, else as a configured store or the sheet has them for this bucket. */
function optionsOf(
  url: string,
  wanted: Wanted,
  { sheet, loaded }: RecoverySecrets,
): { endpoint?: string; region?: string; pathStyle?: boolean } {
  const configured = Object.values(loaded.config.stores).find((store) => store.url === url);
  const listed = sheet.buckets.find((bucket) => bucket.url === url);
  const endpoint = wanted.endpoint ?? configured?.endpoint ?? listed?.endpoint;
  const region = wanted.region ?? configured?.region ?? listed?.region;
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(configured?.pathStyle === undefined ? {} : { pathStyle: configured.pathStyle }),
  };
}
