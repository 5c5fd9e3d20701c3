/** Whoever reaches an agent's port without being a member. */
import tls from 'node:tls';
import { afterEach, expect } from 'vitest';
import { createTlsIdentity } from '../../packages/agent/src/http/tls-certificate.ts';
import { faultTest } from './fault-test.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

/** All that comes back for raw bytes, until the other side closes. */
async function answerTo(port: number, bytes: string): Promise<string> {
  const { keyPem, certPem } = await createTlsIdentity('stranger');
  return await new Promise((resolve, reject) => {
    const socket = tls.connect({
      ...{ host: '127.0.0.1', port, key: keyPem, cert: certPem },
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
    });
    let got = '';
    socket.on('data', (text) => {
      got += text;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(got));
    socket.write(bytes);
  });
}

faultTest('a request whose target is no path ends no agent', async () => {
  scene = await OwnerAndHolders.make({ holders: 1 });
  const { port, agent } = scene.holders[0]!;
  for (const target of ['//', 'http://[', 'https://a:99999/', '*', '/\\\\', '/%'])
    for (const method of ['GET', 'OPTIONS'])
      expect(await answerTo(port, `${method} ${target} HTTP/1.1\r\nhost: x\r\n\r\n`), target).toMatch(/^HTTP\/1\.1 4/);
  expect(agent?.hasEnded).toBe(false);
  await scene.mustSync('sites=1');
});
