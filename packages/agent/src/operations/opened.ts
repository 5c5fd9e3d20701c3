/** The opened data dir as operations use it. */
import type { Engine, Member, Replicator, SealedSource } from '@edgestore/engine';
import type { LoadedConfig } from '../config/load-config.ts';
import type { OperationContext } from './operation.ts';

export interface Opened {
  readonly engine: Engine;
  readonly loaded: LoadedConfig;
  readonly replicator: Replicator;
  /** Where chunks can be read, cheapest first: own disk, peers, buckets. */
  readonly sources: readonly SealedSource[];
  /** The other agents of the vault. */
  readonly members: readonly Member[];
  /** It keeps nothing for others: it was recovered to read what another agent stored. */
  readonly isReader: boolean;
  /** An agent's name by its id. */
  nameOf(agent: string): string | undefined;
}

export function openedOf({ home }: OperationContext): Opened {
  const { engine } = home;
  const members = home.peers.members();
  return {
    engine,
    loaded: home.loaded,
    replicator: home.replicator,
    sources: home.sources,
    members,
    isReader: home.peers.cards.newestOf(engine.identity.agentId)?.card.role === 'reader',
    nameOf: (agent) =>
      agent === engine.identity.agentId ? engine.identity.name : members.find((member) => member.agent === agent)?.name,
  };
}
