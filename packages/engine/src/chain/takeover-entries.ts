/** The first entries of a new incarnation: its takeover, everything that the records before it say, and new shards where holds are lost. */

import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import type { AgentIdentity } from '../keys/identity.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { Settings } from '../log/record-body.ts';
import { EntryKind, encodeEntry, placeAfter, positionOf } from './entry-head.ts';
import type { Position } from './position.ts';
import { encodeCheckpointEntries, type RecordCheckpoint } from './record-checkpoint.ts';
import { encodeRecordEntry, type WholeEntry } from './record-entry.ts';

export interface TakeoverInput {
  readonly keys: VaultKeys;
  readonly identity: Pick<AgentIdentity, 'agentId' | 'incarnation' | 'signSeed'>;
  /** Admin-signed; it names the base. */
  readonly card: Uint8Array;
  readonly base: Position | undefined;
  /** Everything that the records before it say and that still holds. */
  readonly state: RecordCheckpoint;
  /** Shards whose holds are not known any more. All of them, when the chain begins anew. */
  readonly brokenShards: readonly number[];
  readonly random: RandomBytes;
}

/** The takeover entry alone: of a first incarnation too. */
export function takeoverEntry(
  sodium: Sodium,
  { keys, identity, card, base }: Pick<TakeoverInput, 'keys' | 'identity' | 'card' | 'base'>,
): WholeEntry {
  const place = placeAfter(base, writerOf(keys, identity), { kind: EntryKind.takeover, shard: 0, keyId: 0 });
  return encodeEntry(sodium, { ...place, body: card, signSeed: identity.signSeed });
}

/** Takeover, record checkpoint, and settings that give roots of broken shards new ones (docs/chain.md 9.1). */
export function takeoverEntries(sodium: Sodium, input: TakeoverInput): WholeEntry[] {
  const { keys, identity, state, random } = input;
  const writer = writerOf(keys, identity);
  const entries = [takeoverEntry(sodium, input)];
  const end = (): Position => positionOf(entries.at(-1)!.head);
  entries.push(
    ...encodeCheckpointEntries(sodium, {
      writer,
      after: end(),
      checkpoint: state,
      keys,
      signSeed: identity.signSeed,
      random,
    }),
  );
  const settings = withNewShards(state.settings, input);
  if (settings !== undefined) {
    const place = placeAfter(end(), writer, { kind: EntryKind.record, shard: 0, keyId: keys.currentKeyId });
    const { kind: _kind, shard: _shard, ...rest } = place;
    const body = { type: 'settings' as const, settings };
    entries.push(encodeRecordEntry(sodium, { ...rest, body, keys, signSeed: identity.signSeed, random24: random(24) }));
  }
  return entries;
}

/** Undefined where every root keeps its shard. */
function withNewShards(settings: Settings | undefined, { brokenShards, base }: TakeoverInput): Settings | undefined {
  if (settings === undefined) return undefined;
  const isBroken = (shard: number): boolean => base === undefined || brokenShards.includes(shard);
  if (!settings.roots.some(({ shard }) => isBroken(shard))) return undefined;
  let next = Math.max(0, ...brokenShards, ...settings.roots.map(({ shard }) => shard)) + 1;
  return {
    ...settings,
    roots: settings.roots.map((root) => (isBroken(root.shard) ? { ...root, shard: next++ } : root)),
  };
}

function writerOf(keys: VaultKeys, { agentId, incarnation }: TakeoverInput['identity']) {
  return { vault: keys.vaultId, agent: agentId, incarnation };
}
