/** `peer join`: makes the agent of an empty data dir in the vault of the token. */
import { hostname } from 'node:os';
import { dataDirAt, loadSodium } from '@edgestore/engine';
import { z } from 'zod';
import { writeConfigItem } from '../config/config-items.ts';
import { loadConfig } from '../config/load-config.ts';
import { joinAddresses } from '../home/advertised-addresses.ts';
import { checkJoin, joinVault } from '../membership/join-vault.ts';
import type { JoinData } from './peer-data.ts';
import { defineSetup } from './setup.ts';

const input = z.object({
  token: z.string(),
  name: z.string().optional(),
  site: z.string().optional(),
  listen: z.string().optional(),
  storedKey: z.boolean().default(true),
  dryRun: z.boolean().default(false),
});

export const peerJoin = defineSetup<z.output<typeof input>, JoinData>({
  name: 'peer.join',
  input: input as z.ZodType<z.output<typeof input>>,
  run: async (given, context) => {
    const loaded = loadConfig(context.place);
    const agent = loaded.config.agent;
    const dataDir = dataDirAt(loaded.dataDir, { packDir: agent.packDir });
    const name = given.name ?? agent.name ?? nameOfHost();
    const site = given.site ?? agent.site ?? 'default';
    if (given.dryRun) {
      const { vault, role, addresses } = await checkJoin({ token: given.token, dataDir }, context.clock);
      const peers = [{ name: null, site: null, address: addresses[0] ?? null }];
      return { data: { vault, agent: null, name, site, role, data_dir: dataDir.path, peers, dry_run: true } };
    }
    const joined = await joinVault(
      {
        token: given.token,
        dataDir,
        name,
        site,
        addresses: joinAddresses({ ...agent, listen: given.listen ?? agent.listen }),
        storeKey: given.storedKey,
        signal: context.signal,
      },
      { sodium: await loadSodium(), clock: context.clock, random: context.random },
    );
    if (given.listen !== undefined && given.listen !== agent.listen) {
      writeConfigItem(dataDir.path, { kind: 'agent', name: 'agent', values: { listen: given.listen } });
    }
    const { inviter } = joined;
    if (!loaded.config.peers.some((peer) => peer.name === inviter.name || peer.fingerprint === inviter.fingerprint)) {
      const { name, site, address, fingerprint } = inviter;
      writeConfigItem(dataDir.path, { kind: 'peers', name, values: { site, address, fingerprint } });
    }
    if (!given.storedKey) {
      context.warn({
        code: 'W_NO_STORED_KEY',
        message: 'no key is stored here: each start needs one of the vault’s passphrases or key files',
      });
    }
    return {
      data: {
        vault: joined.vault,
        agent: joined.agent,
        name: joined.name,
        site: joined.site,
        role: joined.role,
        data_dir: dataDir.path,
        peers: [{ name: inviter.name, site: inviter.site, address: inviter.address }],
        dry_run: false,
      },
    };
  },
});

function nameOfHost(): string {
  const name = hostname()
    .split('.')[0]!
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return name.slice(0, 64) || 'agent';
}
