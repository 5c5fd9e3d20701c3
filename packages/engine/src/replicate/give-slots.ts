/** Key slots for a holder: given when they are others than those that were given last, or when the holder may have lost them. */
import { createHash } from 'node:crypto';
import type { Statement } from '../chain/statement.ts';
import type { Member, PeerLink } from '../core/ports/peer.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

export async function giveSlots(
  member: Member,
  link: PeerLink,
  { storeId, epoch }: Statement,
  { files, index }: Pick<ReplicateDeps, 'files' | 'index'>,
  signal?: AbortSignal,
): Promise<void> {
  const slots = await files.slots();
  const digest = createHash('sha256').update(`${storeId}/${epoch}`);
  for (const { slotId } of slots) digest.update(slotId);
  const now = digest.digest('hex');
  const key = `slots.given.${member.agent}`;
  if (index.kv.get(key) === now) return;
  const theirs = new Set((await link.state(signal)).slots);
  const missing = slots.filter((slot) => !theirs.has(slot.slotId));
  if (missing.length > 0)
    await link.sendSlots(
      missing.map((slot) => slot.bytes),
      signal,
    );
  index.kv.set(key, now);
}
