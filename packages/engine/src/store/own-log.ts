/** The agent's own log: the only place where its records are numbered, sealed, signed, made durable and indexed. */
import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import type { AgentIdentity } from '../keys/identity.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import { headOf } from '../log/check-chain.ts';
import { nextEnvelope } from '../log/next-envelope.ts';
import { encodeRecord } from '../log/record.ts';
import type { Head, RecordBody, RecordEnvelope } from '../log/record-body.ts';
import type { LogStore } from './log-store.ts';

export interface OwnLog {
  /**
   * Writes one record. When it resolves the record is on stable storage and indexed. Everything that the record reaches must be durable
   * and indexed before (P2). E_ROLLBACK when a newer life of this agent exists: this machine was replaced.
   */
  append(body: RecordBody): Promise<Head>;
  head(): Head | undefined;
}

export interface OwnLogDeps {
  readonly sodium: Sodium;
  readonly keys: VaultKeys;
  readonly identity: AgentIdentity;
  readonly random: RandomBytes;
  readonly logs: LogStore;
  readonly index: { applyRecord(record: RecordEnvelope & { readonly hash: RecordHash }, body: RecordBody): void };
}

export function createOwnLog(deps: OwnLogDeps): OwnLog {
  const { agentId, incarnation, signSeed } = deps.identity;
  const { vaultId, currentKeyId } = deps.keys;
  let last: Promise<unknown> = Promise.resolve();

  const append = async (body: RecordBody): Promise<Head> => {
    const head = deps.logs.head(agentId);
    if (head !== undefined && head.incarnation > incarnation) {
      throw new EdgeError(
        'E_ROLLBACK',
        `this agent was taken over: its log is at incarnation ${head.incarnation}, this machine is ${incarnation}`,
        {
          hint: 'Another machine was recovered in place of this one. Nothing was written; join the vault again as a new agent.',
        },
      );
    }
    const envelope = nextEnvelope(head, { vault: vaultId, agent: agentId, incarnation, keyId: currentKeyId });
    const { bytes, hash } = encodeRecord(deps.sodium, {
      envelope,
      body,
      keys: deps.keys,
      signSeed,
      random24: deps.random(24),
    });
    await deps.logs.append(bytes);
    deps.index.applyRecord({ ...envelope, hash }, body);
    return headOf({ ...envelope, hash });
  };

  return {
    head: () => deps.logs.head(agentId),
    append: (body) => {
      // One at a time: each record names the one before it.
      const turn = last.then(() => append(body));
      last = turn.catch(() => {});
      return turn;
    },
  };
}
