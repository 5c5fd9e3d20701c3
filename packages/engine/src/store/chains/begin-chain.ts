/** The first entry of a new agent's chain: the takeover of its first incarnation, which carries its card (docs/chain.md 1.4). */
import { EntryKind, encodeEntry, placeAfter } from '../../chain/entry-head.ts';
import type { Sodium } from '../../codec/sodium.ts';
import type { VaultId } from '../../core/ids.ts';
import type { AgentIdentity } from '../../keys/identity.ts';
import type { DataDir } from '../data-dir.ts';
import { makeFolderDurably, writeFileDurably } from '../durable-write.ts';
import { fileIsThere } from '../file-is-there.ts';
import { itemOf } from './chain-file.ts';
import { chainFile, chainFolder } from './chain-paths.ts';

export interface BeginChainInput {
  readonly vault: VaultId;
  readonly identity: Pick<AgentIdentity, 'agentId' | 'incarnation' | 'signSeed'>;
  /** Admin-signed; it names the log key, and no base. */
  readonly card: Uint8Array;
}

/** Durable when it resolves. A making that is run again finds the entry there and keeps it. */
export async function beginChain(
  dir: Pick<DataDir, 'chainsDir'>,
  { vault, identity, card }: BeginChainInput,
  sodium: Sodium,
): Promise<void> {
  const { agentId, incarnation, signSeed } = identity;
  const folder = chainFolder(dir.chainsDir, agentId);
  const path = chainFile(folder, { fileIncarnation: incarnation, file: 1 });
  if (await fileIsThere(path)) return;
  const place = placeAfter(
    undefined,
    { vault, agent: agentId, incarnation },
    { kind: EntryKind.takeover, shard: 0, keyId: 0 },
  );
  const entry = encodeEntry(sodium, { ...place, body: card, signSeed });
  await makeFolderDurably(folder);
  await writeFileDurably(path, itemOf(entry));
}
