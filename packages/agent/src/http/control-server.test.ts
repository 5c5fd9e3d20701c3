import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataDirAt, EdgeError } from '@edgestore/engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ControlContext } from './control-routes.ts';
import { type ControlServer, openControlServer } from './control-server.ts';
import { controlSocketPath } from './control-socket.ts';

const TOKEN = 't'.repeat(40);
let folder: string;
let server: ControlServer | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'es-control-'));
});
afterEach(async () => {
  await server?.close(100);
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function open(): Promise<ControlServer> {
  server = await openControlServer({
    socketPath: join(folder, 'run/agent.sock'),
    tcp: { listen: '127.0.0.1:0', token: TOKEN },
    context: {} as ControlContext,
    onError: () => {},
  });
  return server;
}

function get(
  port: number,
  headers: Record<string, string>,
  path = '/healthz',
  method = 'GET',
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ port, host: '127.0.0.1', path, method, headers }, (response) => {
      let body = '';
      response.on('data', (part) => {
        body += part;
      });
      response.on('end', () => resolve({ status: response.statusCode!, body }));
    });
    call.on('error', reject);
    call.end();
  });
}

describe('the control API over TCP', () => {
  it.each([
    ['no token', {}, 401],
    ['a wrong token', { authorization: `Bearer ${'x'.repeat(40)}` }, 401],
    ['a shorter token', { authorization: `Bearer ${'t'.repeat(39)}` }, 401],
    ['another host', { authorization: `Bearer ${TOKEN}`, host: 'evil.example' }, 403],
    ['a host that only begins like ours', { authorization: `Bearer ${TOKEN}`, host: '127.0.0.1.evil.example' }, 403],
    ['another origin', { authorization: `Bearer ${TOKEN}`, origin: 'https://evil.example' }, 403],
    ['the token', { authorization: `Bearer ${TOKEN}` }, 200],
    ['the token and our own origin', { authorization: `Bearer ${TOKEN}`, origin: 'http://localhost:3000' }, 200],
  ])('with %s answers rightly', async (_, headers, status) => {
    const { port } = await open();
    expect((await get(port!, headers as Record<string, string>)).status).toBe(status);
  });

  it('has no paths but its own', async () => {
    const { port } = await open();
    const headers = { authorization: `Bearer ${TOKEN}` };
    for (const path of [
      '/v1/jobs/../../etc/passwd',
      '/v1/jobs/%2e%2e',
      '/v1/jobs/1e9',
      '/v1/constructor',
      '//healthz/x',
    ]) {
      expect((await get(port!, headers, path)).status).toBe(404);
    }
    expect((await get(port!, headers, '/healthz', 'POST')).status).toBe(404);
  });
});

describe('the socket', () => {
  it('is private, and gone after closing', async () => {
    const { socketPath, close } = await open();
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'run')).mode & 0o777).toBe(0o700);
    await close(100);
    server = undefined;
    expect(existsSync(socketPath)).toBe(false);
  });

  it('is not taken from an agent that answers, nor from a file that is no socket', async () => {
    const first = await open();
    const input = { socketPath: first.socketPath, tcp: undefined, context: {} as ControlContext, onError: () => {} };
    await expect(openControlServer(input)).rejects.toMatchObject({ code: 'E_BUSY' });
    writeFileSync(join(folder, 'file'), '');
    await expect(openControlServer({ ...input, socketPath: join(folder, 'file') })).rejects.toMatchObject({
      code: 'E_CONFIG',
    });
  });

  it('has a short name elsewhere when the data dir has a long one, or says what to do', () => {
    const long = dataDirAt(`/${'d'.repeat(120)}`);
    expect(controlSocketPath(long, { XDG_RUNTIME_DIR: '/run/user/0' })).toMatch(
      /^\/run\/user\/0\/edgestore-[0-9a-f]{16}\/agent\.sock$/,
    );
    expect(() => controlSocketPath(long, {})).toThrow(EdgeError);
    expect(controlSocketPath(dataDirAt('/short'), {})).toBe('/short/run/agent.sock');
  });
});
