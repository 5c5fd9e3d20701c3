/** Asks ranked stores for what a drop of own copies needs (docs/chain.md 5.5, 6.1). */
import type { PeerLink } from '../core/ports/peer.ts';
import type { Witnesses } from '../ports/witnesses.ts';
import { questionHolder } from './question-holder.ts';
import type { ReplicateDeps } from './replicate-deps.ts';
import type { PassOutcome } from './shared-passes.ts';
import type { Target } from './targets.ts';

export interface WitnessDeps {
  readonly replicate: () => ReplicateDeps;
  /** Of the present layout. */
  readonly targets: () => readonly Target[];
  readonly linkOf: (target: Extract<Target, { type: 'peer' }>) => PeerLink;
  readonly run: (target: Target, signal?: AbortSignal) => Promise<PassOutcome>;
  /** Passes that begin from now on have a higher number. */
  readonly lastPass: () => number;
}

export function createWitnesses(deps: WitnessDeps): Witnesses {
  return {
    async holder(agent, signal) {
      const target = deps.targets().find((one) => one.target === agent);
      if (target?.type !== 'peer') return undefined;
      return questionHolder(target.member, deps.linkOf(target), deps.replicate(), signal);
    },
    async bucket(store, signal) {
      const target = deps.targets().find((one) => one.type === 'bucket' && one.store === store);
      if (target === undefined) return undefined;
      const begun = deps.lastPass();
      let outcome = await deps.run(target, signal);
      // A pass that was under way may have listed before the question was put.
      if (outcome.number <= begun) outcome = await deps.run(target, signal);
      if (outcome.report === undefined) throw outcome.error;
      return outcome.report.bucket;
    },
  };
}
