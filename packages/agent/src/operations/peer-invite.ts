/** `peer invite`. */
import { EdgeError, formatTimeNs, parseDuration } from '@edgestore/engine';
import { z } from 'zod';
import { invitePeer, requireInviter } from '../membership/invite-peer.ts';
import { defineOperation } from './operation.ts';
import type { InviteData } from './peer-data.ts';

const input = z.object({
  role: z.enum(['edge', 'holder', 'reader']),
  uses: z.int().min(1).max(1000).default(1),
  expires: z.string().default('1h'),
  dryRun: z.boolean().default(false),
});

const LIFETIME_NS_MAX = 30n * 86_400_000_000_000n;

export const peerInvite = defineOperation<z.output<typeof input>, InviteData>({
  name: 'peer.invite',
  input: input as z.ZodType<z.output<typeof input>>,
  mutates: true,
  run: async ({ role, uses, expires, dryRun }, { home, warn }) => {
    const lifetimeNs = parseDuration(expires);
    if (lifetimeNs <= 0n || lifetimeNs > LIFETIME_NS_MAX)
      throw new EdgeError('E_USAGE', '--expires is more than nothing and at most 30d');
    if (home.running === undefined) {
      warn({
        code: 'W_NO_AGENT',
        message: 'no agent is running here: start it before the other machine joins (`edgestore agent run`)',
      });
    }
    if (dryRun) {
      await requireInviter(home.addresses, home.inviter);
      const until = formatTimeNs(home.engine.clock.nowNs() + lifetimeNs);
      const { addresses } = home;
      return { data: { token: null, invite: null, role, uses, expires: until, addresses, dry_run: true } };
    }
    const invite = await invitePeer({ role, uses, lifetimeNs, addresses: home.addresses }, home.inviter);
    return {
      data: {
        token: invite.token,
        invite: invite.inviteId,
        role,
        uses,
        expires: formatTimeNs(invite.expiresNs),
        addresses: invite.addresses,
        dry_run: false,
      },
    };
  },
});
