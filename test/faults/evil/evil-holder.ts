/**
 * A holder that lies, as a process of its own: it joined the vault like any other, answers over real TLS with its own
 * keys, and signs what it says. Started by tests: `node evil-holder.ts HOW DATA_DIR HOST:PORT`.
 */
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { openAgentHome } from '../../../packages/agent/dist/home/agent-home.js';
import { unlockVault } from '../../../packages/agent/dist/home/unlock-vault.js';
import { PEER_ROUTES } from '../../../packages/agent/dist/http/peer-routes.js';
import { TLS_OPTIONS } from '../../../packages/agent/dist/http/pinned-connection.js';
import { sendError } from '../../../packages/agent/dist/http/respond.js';
import { serveHome } from '../../../packages/agent/dist/http/serve-home.js';
import { peerPin } from '../../../packages/agent/dist/http/spki-pin.js';
import { readKeyFile } from '../../../packages/agent/dist/operations/key-file.js';
import { systemClock, systemRandom } from '../../../packages/agent/dist/operations/system.js';
import { LIES } from './lies.ts';

const [how = '', dataDir = '', listen = ''] = process.argv.slice(2);
const home = await openAgentHome({
  place: { dataDir, env: {} },
  unlock: async (dir) => unlockVault(dir, { type: 'keyfile', secret: readKeyFile(dir.storedKeyFile) }),
  clock: systemClock,
  random: systemRandom,
  warn: () => {},
  command: 'evil holder',
});
const honest = serveHome(home, { onHeld: () => {}, onMembers: () => {} }).service;
const { service = honest, answer } = LIES[how]!({ home, honest });
const { keyPem, certPem } = home.peers.tls;
const counts: Record<string, number> = {};
const server = createServer(
  {
    ...TLS_OPTIONS,
    ALPNProtocols: ['http/1.1'],
    key: keyPem,
    cert: certPem,
    requestCert: true,
    rejectUnauthorized: false,
  },
  async (message, response) => {
    const url = new URL(message.url ?? '/', 'https://peer');
    const name = `${message.method} ${url.pathname}`;
    counts[name] = (counts[name] ?? 0) + 1;
    const pin = peerPin(message.socket as TLSSocket) ?? '';
    try {
      if (answer?.(name, message, response) === true) return;
      const request = {
        message,
        response,
        query: url.searchParams,
        pin,
        member: service.memberByPin(pin),
        remoteAddress: '127.0.0.1',
        signal: new AbortController().signal,
      };
      await PEER_ROUTES.get(name)?.run(request, service);
    } catch (error) {
      sendError(response, error);
    }
  },
);
process.on('SIGUSR2', () => process.stderr.write(`${JSON.stringify(counts)}\n`));
const [host, port] = listen.split(':');
server.listen(Number(port), host, () => process.stderr.write('the agent runs\n'));
