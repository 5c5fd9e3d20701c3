import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:https';
import type net from 'node:net';
import tls from 'node:tls';
import { EdgeError, type Member, toHex } from '@edgestore/engine';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FrameItem } from './frame-stream.ts';
import { openPeerConnection } from './peer-connection.ts';
import { createPeerLink } from './peer-link.ts';
import { openPeerServer, type PeerServer } from './peer-server.ts';
import type { PeerService } from './peer-service.ts';
import { TLS_OPTIONS } from './pinned-connection.ts';
import { createTlsIdentity, type TlsIdentity } from './tls-certificate.ts';

let server: TlsIdentity;
let client: TlsIdentity;
let stranger: TlsIdentity;
const open: { close(): unknown }[] = [];
beforeAll(async () => {
  [server, client, stranger] = (await Promise.all(['server', 'client', 'stranger'].map(createTlsIdentity))) as [
    TlsIdentity,
    TlsIdentity,
    TlsIdentity,
  ];
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const VAULT = 'ab'.repeat(16);
const OWNER = '11'.repeat(16);
const SLOT = '77'.repeat(16);
function memberOf(identity: TlsIdentity, agent: string): Member {
  return {
    agent,
    incarnation: 1,
    name: 'x',
    site: 's',
    role: 'holder',
    addresses: [],
    weight: 1,
    signPublicKey: new Uint8Array(32),
    tlsSpkiSha256: identity.spkiSha256,
  };
}

const FORM = {
  id: new Uint8Array(32).fill(1),
  sealedSha256: new Uint8Array(32).fill(2),
  sealedBytes: 100,
  keyId: 2,
  formClass: 'data' as const,
};

/** A service that keeps frames in memory. */
function memoryService(chunks = new Map<string, Uint8Array>()): PeerService & { chunks: Map<string, Uint8Array> } {
  const never = (): never => {
    throw new EdgeError('E_FAILED', 'not in this test');
  };
  return {
    chunks,
    vault: VAULT,
    memberByPin: (pin) => (pin === client.spkiSha256 ? memberOf(client, '11'.repeat(16)) : undefined),
    mayRecover: () => false,
    hello: async (hello) => ({ ...hello, agent: '22'.repeat(16) }),
    statement: async (question) => ({
      statement: Buffer.concat([question.nonce, question.shown ?? Buffer.alloc(0)]),
      lists: question.wantsLists ? [Buffer.alloc(0), Buffer.alloc(33, 5)] : [],
    }),
    takeEntries: never,
    takeBodies: never,
    missingBodies: async (_, shard, limit) => [shard, shard + 1, shard + 2].slice(0, limit),
    wantedParts: async (_, shard) => ({
      seq: shard === 0 ? 0 : 9,
      lacking: shard === 0 ? [] : [0, 7, 255],
      judged: shard === 1 ? { seq: 5, verdict: 'false' } : undefined,
    }),
    partBytes: (_caller, _owner, { byte }) => 80 * byte,
    takePart: async (_caller, _owner, { shard, seq, byte }, bytes) =>
      void chunks.set(`${shard}/${seq}/${byte}`, new Uint8Array(bytes)),
    joinByParts: async (_caller, _owner, shard, seq) => void chunks.set(`${shard}/${seq}`, new Uint8Array()),
    wanted: async (_, { afterSeq, shard }) => [
      ...(shard === 2
        ? [
            { seq: afterSeq - 2, positions: [], forms: [FORM] },
            { seq: afterSeq - 1, positions: [], forms: [FORM, { ...FORM, keyId: 3 }] },
          ]
        : []),
      { seq: afterSeq + 1, positions: [0, 3, 4095] },
      { seq: afterSeq + 7, positions: [8] },
    ],
    entries: async () => [],
    receive: async (_caller, _owner, frames) => {
      let count = 0;
      for await (const item of frames) {
        if (item.type !== 'frame') continue;
        chunks.set(toHex(item.header.id), item.sealed);
        count++;
      }
      return count;
    },
    locate: async (ids) =>
      ids.map((id) => (chunks.has(toHex(id)) ? { sealedBytes: chunks.get(toHex(id))!.length, keyId: 1 } : undefined)),
    async *read(ids): AsyncGenerator<FrameItem> {
      for (const id of ids) {
        const sealed = chunks.get(toHex(id));
        if (sealed === undefined) yield { type: 'miss', id, reason: 'absent' };
        else yield { type: 'frame', header: { id, keyId: 1, packClass: 'data', sealedBytes: sealed.length }, sealed };
      }
    },
    verify: async (nonce, ids, of) =>
      ids.map((id) => (chunks.has(toHex(id)) ? createHash('sha256').update(nonce).update(of).digest() : undefined)),
    state: async () => ({ positions: [], branches: [], slots: [SLOT] }),
    slots: never,
    addSlots: never,
    join: never,
    ownCard: never,
    challenge: never,
    recover: never,
  };
}

async function startServer(service: PeerService): Promise<PeerServer> {
  const started = await openPeerServer({ listen: '127.0.0.1:0', identity: server, service, onError: () => {} });
  open.push({ close: () => started.close(100) });
  return started;
}

function linkTo(port: number, identity = client, pin = server.spkiSha256) {
  const connection = openPeerConnection({ name: 'dc-a', addresses: [`https://127.0.0.1:${port}`], pin }, identity);
  open.push(connection);
  return createPeerLink({
    member: { ...memberOf(server, '22'.repeat(16)), name: 'dc-a' },
    connection,
    hello: async () => {},
  });
}

async function errorOf(promise: Promise<unknown>): Promise<EdgeError> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(EdgeError);
    return error as EdgeError;
  }
  throw new Error('no error');
}

describe('the peer protocol over real TLS', () => {
  it('carries frames both ways, locations and verification', async () => {
    const service = memoryService();
    const { port } = await startServer(service);
    const link = linkTo(port);
    const chunks = Array.from({ length: 20 }, (_, i) => ({
      id: new Uint8Array(randomBytes(32)),
      sealed: new Uint8Array(randomBytes(1 + i * 70_000)),
    }));
    const stored = await link.sendFrames(
      OWNER,
      (async function* () {
        for (const { id, sealed } of chunks) yield { id, sealed, keyId: 1, packClass: 'data' as const };
      })(),
    );
    expect(stored).toBe(chunks.length);
    const absent = new Uint8Array(randomBytes(32));
    const addresses = (await link.source.locate([...chunks.map((c) => c.id), absent])) as {
      id: Uint8Array;
      sealedBytes: number;
      keyId: number;
    }[];
    expect(addresses.at(-1)).toBeUndefined();
    const got = new Map<string, Uint8Array>();
    for await (const item of link.source.fetch(addresses.slice(0, -1)))
      if ('sealed' in item) got.set(toHex(item.address.id), item.sealed);
    for (const { id, sealed } of chunks) expect(Buffer.from(sealed).equals(got.get(toHex(id))!)).toBe(true);
    const nonce = new Uint8Array(randomBytes(32));
    for (const of of ['sealed', 'plain'] as const) {
      const [hash, nothing] = await link.verify(nonce, [chunks[0]!.id, absent], of);
      expect(Buffer.from(hash!)).toEqual(createHash('sha256').update(nonce).update(of).digest());
      expect(nothing).toBeUndefined();
    }
    expect((await link.state()).slots).toEqual([SLOT]);
  });

  it('carries questions with what the asker has, wanted forms as bitmaps, and seqs', async () => {
    const { port } = await startServer(memoryService());
    const link = linkTo(port);
    const nonce = new Uint8Array(randomBytes(32));
    const shown = new Uint8Array(randomBytes(200));
    const full = await link.statement({ owner: OWNER, nonce, wantsLists: true, shown });
    expect(Buffer.from(full.statement)).toEqual(Buffer.concat([nonce, shown]));
    expect(full.lists.map((list) => list.length)).toEqual([0, 33]);
    const short = await link.statement({ owner: OWNER, nonce, wantsLists: false, shown: undefined });
    expect(Buffer.from(short.statement)).toEqual(Buffer.from(nonce));
    expect(short.lists).toEqual([]);
    expect(await link.wanted(OWNER, { shard: 1, afterSeq: 40, entriesMax: 16 })).toEqual([
      { seq: 41, positions: [0, 3, 4095] },
      { seq: 47, positions: [8] },
    ]);
    expect(await link.missingBodies(OWNER, 3, 2)).toEqual([3, 4]);
  });

  it('names forms where there are no positions, and carries parts no longer than the checkpoint says', async () => {
    const service = memoryService();
    const { port } = await startServer(service);
    const link = linkTo(port);
    expect(await link.wanted(OWNER, { shard: 2, afterSeq: 40, entriesMax: 16 })).toEqual([
      { seq: 38, positions: [], forms: [FORM] },
      { seq: 39, positions: [], forms: [FORM, { ...FORM, keyId: 3 }] },
      { seq: 41, positions: [0, 3, 4095] },
      { seq: 47, positions: [8] },
    ]);
    expect(await link.wantedParts(OWNER, 0)).toEqual({ seq: 0, lacking: [], judged: undefined });
    const judged = { seq: 5, verdict: 'false' };
    expect(await link.wantedParts(OWNER, 1)).toEqual({ seq: 9, lacking: [0, 7, 255], judged });
    const part = new Uint8Array(160).fill(4);
    await link.sendPart(OWNER, { shard: 1, seq: 9, byte: 2 }, part);
    expect(service.chunks.get('1/9/2')).toEqual(part);
    expect((await errorOf(linkTo(port).sendPart(OWNER, { shard: 1, seq: 9, byte: 1 }, part))).code).toBe('E_LIMIT');
    expect((await errorOf(linkTo(port).sendPart(OWNER, { shard: 1, seq: 9, byte: 256 }, part))).code).toBe('E_USAGE');
    await linkTo(port).joinByParts(OWNER, 1, 9);
    expect(service.chunks.has('1/9')).toBe(true);
  });

  it('knows caller and owner apart', async () => {
    const service = memoryService();
    const seen: string[] = [];
    service.takeBodies = async (caller, owner) => void seen.push(`${caller.agent} for ${owner}`);
    const { port } = await startServer(service);
    await linkTo(port).sendBodies('ff'.repeat(16), [{ seq: 3, body: new Uint8Array(80) }]);
    expect(seen).toEqual([`${OWNER} for ${'ff'.repeat(16)}`]);
  });

  it('refuses a client whose key no card names, with exit 14', async () => {
    const { port } = await startServer(memoryService());
    const error = await errorOf(linkTo(port, stranger).state());
    expect(error.code).toBe('E_DENIED');
    expect(error.exitCode).toBe(14);
  });

  it('sends no application byte to a server with another key', async () => {
    let received = 0;
    const evil = tls.createServer(
      { ...TLS_OPTIONS, ALPNProtocols: ['http/1.1'], key: stranger.keyPem, cert: stranger.certPem },
      (socket) => {
        socket.on('data', (data) => {
          received += data.length;
        });
        socket.on('error', () => {});
      },
    );
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
    open.push(evil);
    const error = await errorOf(linkTo((evil.address() as net.AddressInfo).port).state());
    expect(error.code).toBe('E_DENIED');
    expect(error.message).toContain('another key');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(received).toBe(0);
  });

  it('speaks neither TLS 1.2 nor without a certificate, and resumes no session', async () => {
    const { port } = await startServer(memoryService());
    const attempt = (options: tls.ConnectionOptions): Promise<string> =>
      new Promise((resolve) => {
        const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
        socket.setTimeout(3000, () => resolve('silent'));
        let answer = '';
        socket.on('secureConnect', () => socket.write('GET /peer/1/state HTTP/1.1\r\nhost: x\r\n\r\n'));
        socket.on('data', (data) => {
          answer += data;
        });
        socket.on('error', () => resolve('refused'));
        socket.on('close', () => resolve(answer === '' ? 'closed' : answer));
      });
    expect(await attempt({ maxVersion: 'TLSv1.2', key: client.keyPem, cert: client.certPem })).toBe('refused');
    expect(await attempt({})).toMatch(/closed|refused/);
    const sessions: Buffer[] = [];
    const first = tls.connect({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: false,
      key: client.keyPem,
      cert: client.certPem,
    });
    first.on('session', (session) => sessions.push(session));
    first.on('error', () => {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    first.destroy();
    for (const session of sessions) {
      const again = tls.connect({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        session,
        key: client.keyPem,
        cert: client.certPem,
      });
      again.on('error', () => {});
      await new Promise((resolve) => again.once('secureConnect', resolve));
      expect(again.isSessionReused()).toBe(false);
      again.destroy();
    }
  });

  it.each([
    ['garbage', Buffer.from('not frames at all, surely not')],
    [
      'a frame that claims 4 GiB',
      Buffer.concat([Buffer.from([1]), Buffer.from('EFRM'), Buffer.from([255, 255, 255, 255]), Buffer.alloc(40)]),
    ],
    [
      'a cut frame',
      Buffer.concat([
        Buffer.from([1]),
        Buffer.from('EFRM'),
        Buffer.from([100, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]),
        Buffer.alloc(60),
      ]),
    ],
    ['no end', Buffer.alloc(0)],
    ['bytes after the end', Buffer.from([0, 0])],
  ])('refuses %s as a frame stream and stays up', async (_, body) => {
    const { port } = await startServer(memoryService());
    const connection = openPeerConnection(
      { name: 'dc-a', addresses: [`https://127.0.0.1:${port}`], pin: server.spkiSha256 },
      client,
    );
    open.push(connection);
    const error = await errorOf(
      connection.bytes({ method: 'POST', path: `/peer/1/frames?owner=${OWNER}`, body, limit: 1000 }),
    );
    expect(error.code).toBe('E_FORMAT');
    expect((await linkTo(port).state()).slots).toEqual([SLOT]);
  });

  it('refuses bodies over the limit before reading them', async () => {
    const { port } = await startServer(memoryService());
    const connection = openPeerConnection(
      { name: 'dc-a', addresses: [`https://127.0.0.1:${port}`], pin: server.spkiSha256 },
      client,
    );
    open.push(connection);
    const error = await errorOf(
      connection.bytes({
        method: 'POST',
        path: `/peer/1/entries?owner=${OWNER}`,
        body: Buffer.alloc(40_000_000),
        limit: 1000,
      }),
    );
    // The refusal may arrive, or the broken pipe first.
    expect(['E_LIMIT', 'E_STORE']).toContain(error.code);
  });

  it('gives up a server that is silent, and one that stops in the middle of a stream', async () => {
    let mode = 'silent';
    const slow = createServer({ key: server.keyPem, cert: server.certPem }, (_, response) => {
      if (mode === 'half') {
        response.writeHead(200);
        response.write(Buffer.from([1]));
        setTimeout(() => response.destroy(), 50);
      }
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    open.push({ close: () => slow.closeAllConnections() }, slow);
    const connection = openPeerConnection(
      {
        name: 'dc-a',
        addresses: [`https://127.0.0.1:${(slow.address() as net.AddressInfo).port}`],
        pin: server.spkiSha256,
      },
      client,
    );
    open.push(connection);
    expect(
      (await errorOf(connection.bytes({ method: 'GET', path: '/peer/1/state', limit: 10, idleMs: 200 }))).code,
    ).toBe('E_TIMEOUT');
    mode = 'half';
    const link = linkTo((slow.address() as net.AddressInfo).port);
    const fetching = (async () => {
      for await (const _ of link.source.fetch([{ id: new Uint8Array(32), keyId: 1, sealedBytes: 5 }])) void _;
    })();
    expect((await errorOf(fetching)).retryable).toBe(true);
  });

  it('readers that stop early hold no connection', async () => {
    const service = memoryService();
    const { port } = await startServer(service);
    const ids = Array.from({ length: 3 }, () => new Uint8Array(randomBytes(32)));
    for (const id of ids) service.chunks.set(toHex(id), new Uint8Array(500_000));
    const link = linkTo(port);
    for (let i = 0; i < 10; i++) {
      for (const wanted of [ids.slice(0, 1), ids]) {
        for await (const item of link.source.fetch(wanted.map((id) => ({ id, keyId: 1, sealedBytes: 500_000 })))) {
          expect('sealed' in item).toBe(true);
          break;
        }
      }
    }
    expect((await link.state(AbortSignal.timeout(5000))).slots).toEqual([SLOT]);
  });

  it('an abort ends a request at once', async () => {
    const service = memoryService();
    service.state = () => new Promise(() => {});
    const { port } = await startServer(service);
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    expect((await errorOf(linkTo(port).state(abort.signal))).code).toBe('E_INTERRUPTED');
  });

  it('tries the next address, and says who cannot be reached', async () => {
    const { port } = await startServer(memoryService());
    const two = openPeerConnection(
      { name: 'dc-a', addresses: ['https://127.0.0.1:1', `https://127.0.0.1:${port}`], pin: server.spkiSha256 },
      client,
    );
    open.push(two);
    expect((await two.bytes({ method: 'GET', path: '/peer/1/state', limit: 1000 })).length).toBeGreaterThan(0);
    const error = await errorOf(linkTo(1).state());
    expect(error.message).toContain('dc-a (https://127.0.0.1:1) cannot be reached: ECONNREFUSED');
    expect(error.retryable).toBe(true);
  });

  it('a second server on the port is a clear error', async () => {
    const { port } = await startServer(memoryService());
    const error = await errorOf(
      openPeerServer({ listen: `127.0.0.1:${port}`, identity: server, service: memoryService(), onError: () => {} }),
    );
    expect(error.code).toBe('E_BUSY');
    expect(error.message).toContain('in use');
  });

  it('bounds what one peer asks at once', async () => {
    const service = memoryService();
    let running = 0;
    let most = 0;
    // Nobody is answered before one was refused.
    const refusedOne = Promise.withResolvers<void>();
    service.state = async () => {
      most = Math.max(most, ++running);
      await refusedOne.promise;
      running--;
      return { positions: [], branches: [], slots: [] };
    };
    const { port } = await startServer(service);
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => linkTo(port)).flatMap((link) =>
        Array.from({ length: 5 }, () =>
          link.state().catch((error: unknown) => {
            refusedOne.resolve();
            throw error;
          }),
        ),
      ),
    );
    expect(most).toBeLessThanOrEqual(16);
    const refused = results
      .filter((r) => r.status === 'rejected')
      .map((r) => (r as PromiseRejectedResult).reason as EdgeError);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every((e) => e.code === 'E_BUSY' && e.retryable)).toBe(true);
  });
});
