import type { FollowedChain } from './followed-chain.ts';

/** What is taken at a holder whose disk is nearly full (docs/chain.md 3.3). */
export async function addBodiesFit(chain: FollowedChain): Promise<boolean> {
  const space = await chain.deps.freeSpace?.();
  // Bodies may use half of the reserve. Headers, records and releases may use all of it.
  return space === undefined || space.freeBytes >= space.floorBytes / 2;
}
