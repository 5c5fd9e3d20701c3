/** `agent install`: the systemd unit of the agent, shown or written. */
import { writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { dataDirAt, dataDirExists, EdgeError, isThere, makeFolders, toEdgeError } from '@edgestore/engine';
import { z } from 'zod';
import { loadConfig } from '../config/load-config.ts';
import type { AgentInstallData } from './agent-data.ts';
import { defineSetup, type SetupContext } from './setup.ts';

const input = z.object({
  write: z.boolean().default(false),
  /** Absolute. */
  output: z.string().optional(),
  dryRun: z.boolean().default(false),
});

export const agentInstall = defineSetup<z.output<typeof input>, AgentInstallData>({
  name: 'agent.install',
  input: input as z.ZodType<z.output<typeof input>>,
  run: async (given, context) => {
    const loaded = loadConfig(context.place);
    const dataDir = dataDirAt(loaded.dataDir);
    if (!(await dataDirExists(dataDir))) {
      context.warn({
        code: 'W_NO_VAULT',
        message: `there is no vault in ${dataDir.path} yet: run \`edgestore init\` or \`edgestore peer join\` first`,
      });
    } else if (!isThere(dataDir.storedKeyFile)) {
      context.warn({
        code: 'W_NO_STORED_KEY',
        message:
          'no key is stored in the data dir: give the service a passphrase with LoadCredential=edgestore-passphrase:FILE in the unit',
      });
    }
    const isRoot = process.getuid?.() === 0;
    const unit = unitText(dataDir.path, context, isRoot);
    const target = given.output ?? (given.write ? unitPath(isRoot, context.place.env) : undefined);
    if (target === undefined || given.dryRun) return { data: { unit, written: null, next: [] } };
    try {
      await makeFolders(dirname(target));
      writeFileSync(target, unit, { mode: 0o644 });
    } catch (error) {
      throw toEdgeError(error, `writing ${target}`);
    }
    const systemctl = isRoot ? 'systemctl' : 'systemctl --user';
    return {
      data: { unit, written: target, next: [`${systemctl} daemon-reload`, `${systemctl} enable --now edgestore`] },
    };
  },
});

function unitPath(isRoot: boolean, env: NodeJS.ProcessEnv): string {
  if (isRoot) return '/etc/systemd/system/edgestore.service';
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'systemd', 'user', 'edgestore.service');
}

/** The program as it was started now: the same Node, the same entry. */
function unitText(dataDir: string, { place }: SetupContext, isRoot: boolean): string {
  const entry = process.argv[1];
  if (entry === undefined) throw new EdgeError('E_FAILED', 'the program does not know how it was started');
  const command = [process.execPath, resolve(entry), 'agent', 'run', '--data-dir', dataDir];
  if (place.flagPath !== undefined) command.push('--config', resolve(place.flagPath));
  return `[Unit]
Description=edgestore agent
Documentation=https://www.npmjs.com/package/@edgestore/cli
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart=${command.map(quoted).join(' ')}
${isRoot ? `User=${userInfo().username}\n` : ''}Restart=on-failure
RestartSec=5
# The agent ends within ten seconds by itself.
TimeoutStopSec=20
KillMode=mixed
LimitNOFILE=65536
UMask=0077
Nice=5
IOSchedulingClass=best-effort
IOSchedulingPriority=6

[Install]
WantedBy=${isRoot ? 'multi-user.target' : 'default.target'}
`;
}

/** As systemd reads words: spaces and quotes in double quotes, `%` and `$` doubled. */
function quoted(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[A-Za-z0-9_./:=@%$-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, '\\$&')}"`;
}
