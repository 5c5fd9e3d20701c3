/** Opens the chains of a data dir and the own chain's writer, and brings the index up to the files. */
import { rm } from 'node:fs/promises';
import { toEdgeError } from '../../core/errors.ts';
import { chainFolder } from './chain-paths.ts';
import { ChainStore } from './chain-store.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { type OpenChainsReport, openFollowedChains } from './open-chains.ts';
import { type OwnChainDeps, OwnChainWriter } from './own-chain.ts';
import type { ChainBytes } from './read-chain-bytes.ts';

export interface OpenedChainStore {
  readonly chains: ChainStore;
  readonly own: OwnChainWriter;
  readonly report: OpenChainsReport;
}

export interface OpenChainStoreDeps extends Omit<OwnChainDeps, 'bodies' | 'bytes' | 'removeBranch' | 'self'> {
  readonly bytes: ChainBytes;
  /** The index was empty: what is missing was lost. */
  readonly isRebuilt: boolean;
  /** See `RebuildDeps`. */
  readonly onlyReads?: boolean;
}

export async function openChainStore(deps: OpenChainStoreDeps): Promise<OpenedChainStore> {
  const inner: OwnChainDeps = {
    ...deps,
    bodies: deps.bytes,
    self: deps.identity.agentId,
    removeBranch: async ({ agent, position }) => {
      if (position === undefined) return;
      const folder = chainFolder(deps.chainsDir, agent, position.link);
      await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
        throw toEdgeError(error, `removing the branch ${folder}`);
      });
    },
  };
  const opened = await openFollowedChains(inner satisfies ChainsDeps, deps.isRebuilt, deps.onlyReads);
  const chains = new ChainStore(inner, opened.chains);
  const own = new OwnChainWriter(chains.followed(deps.identity.agentId), inner);
  const { entries, moved, problems } = opened;
  return { chains, own, report: { entries, moved, problems } };
}
