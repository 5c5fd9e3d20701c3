import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  dataDirAt,
  EdgeError,
  encodeSlotRemoval,
  loadSodium,
  openVaultDescriptor,
  parseRecoverySheet,
  type Warning,
} from '@edgestore/engine';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, startAgent } from './agent.ts';
import { type AgentHome, openAgentHome } from './home/agent-home.ts';
import { unlockVault } from './home/unlock-vault.ts';
import { readJson } from './http/bounded-body.ts';
import { reachAgent } from './http/control-client.ts';
import { httpCall } from './http/http-call.ts';
import { createTlsIdentity } from './http/tls-certificate.ts';
import { openPeerRecovery } from './membership/peer-recovery.ts';
import { init } from './operations/init.ts';
import { readKeyFile } from './operations/key-file.ts';
import { peerJoin } from './operations/peer-join.ts';
import { parseInput } from './operations/registry.ts';
import type { SetupContext } from './operations/setup.ts';
import { systemClock, systemRandom } from './operations/system.ts';

interface Machine {
  readonly dir: string;
  readonly place: SetupContext['place'];
  readonly port: number;
  home: AgentHome;
  agent: Agent;
}

let folder: string;
let shop: Machine;
let dcA: Machine;
let dcB: Machine;
const warnings: Warning[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'es-agents-'));
  mkdirSync(join(folder, 'files/sub'), { recursive: true });
  for (let i = 0; i < 50; i++) writeFileSync(join(folder, `files/sub/${i}.txt`), `file ${i} `.repeat(i * 50));
  writeFileSync(join(folder, 'files/big.bin'), Buffer.alloc(3_000_000, 7));
  const made = await prepare(
    'shop',
    `[[roots]]\nname = "files"\npath = "${folder}/files"\nsettle = "200ms"\n[replication.default]\n`,
  );
  await init.run(
    parseInput(init.input, { recoveryOut: join(folder, 'sheet.txt'), name: 'shop', site: 'shop' }),
    setupContext(made),
  );
  shop = await start(made);
}, 60_000);

afterAll(async () => {
  for (const machine of [shop, dcA, dcB]) await stop(machine);
  rmSync(folder, { recursive: true, force: true });
});

async function prepare(name: string, config = ''): Promise<Pick<Machine, 'dir' | 'place' | 'port'>> {
  const dir = join(folder, name);
  mkdirSync(dir);
  const port = await freePort();
  writeFileSync(join(dir, 'edgestore.toml'), `[agent]\nlisten = "127.0.0.1:${port}"\n${config}`);
  return {
    dir,
    port,
    place: { flagPath: join(dir, 'edgestore.toml'), dataDir: join(dir, 'data'), env: { HOME: dir } },
  };
}

function setupContext({ place }: Pick<Machine, 'place'>): SetupContext {
  return {
    place,
    clock: systemClock,
    random: systemRandom,
    secret: async (file) => ({ type: 'keyfile', secret: readKeyFile(file) }),
    newPassphrase: async () => undefined,
    askNewPassphrase: undefined,
    showOnce: undefined,
    signal: new AbortController().signal,
    progress: () => {},
    warn: (warning) => void warnings.push(warning),
  };
}

async function start(machine: Pick<Machine, 'dir' | 'place' | 'port'>): Promise<Machine> {
  const home = await openAgentHome({
    place: machine.place,
    unlock: async (dir) => unlockVault(dir, { type: 'keyfile', secret: readKeyFile(dir.storedKeyFile) }),
    clock: systemClock,
    random: systemRandom,
    warn: (warning) => void warnings.push(warning),
    command: 'edgestore agent run',
  });
  const agent = await startAgent(home, { env: machine.place.env, log: pino({ level: 'silent' }) });
  return { ...machine, home, agent };
}

async function stop(machine: Machine | undefined): Promise<void> {
  if (machine === undefined) return;
  await machine.agent.stop();
  await machine.home.close();
}

/** As the command line does it: through the socket. */
async function run<T>(
  machine: Machine,
  name: string,
  input: unknown = {},
  signal = new AbortController().signal,
): Promise<{ data: T; exitCode?: number; items: unknown[] }> {
  const client = await reachAgent(machine.home.dataDir, machine.place.env);
  const items: unknown[] = [];
  const outcome = await client!.run(name, input, {
    signal,
    progress: () => {},
    warn: (w) => void warnings.push(w),
    emit: async (item) => void items.push(item),
  });
  return { ...outcome, items } as never;
}

async function invite(role = 'holder', more: object = {}): Promise<string> {
  return (await run<{ token: string }>(shop, 'peer.invite', { role, ...more })).data.token;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not in time: ${what}`);
}

async function errorOf(promise: Promise<unknown>): Promise<EdgeError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EdgeError);
  return error as EdgeError;
}

describe('agents over real HTTPS', () => {
  it('has a socket that only its owner can open', () => {
    expect(statSync(shop.agent.socketPath).mode & 0o777).toBe(0o600);
    expect(statSync(shop.home.dataDir.runDir).mode & 0o777).toBe(0o700);
  });

  it('captures its root at the start, and says that copies are missing', async () => {
    await until(() => shop.home.engine.index.log.snapshots().length > 0, 'the first snapshot');
    const error = await run<{ roots: { durability: string }[] }>(
      shop,
      'sync',
      { wait: 'peers=1' },
      AbortSignal.timeout(1500),
    ).catch((e: unknown) => e);
    expect(error).toBeDefined();
  });

  it('two machines join by invitation', async () => {
    const a = await prepare('dc-a');
    const joined = await peerJoin.run(
      parseInput(peerJoin.input, { token: await invite(), name: 'dc-a', site: 'dc-a' }),
      setupContext(a),
    );
    expect(joined.data).toMatchObject({
      name: 'dc-a',
      site: 'dc-a',
      role: 'holder',
      vault: shop.home.engine.vault.vaultId,
    });
    dcA = await start(a);
    const b = await prepare('dc-b');
    await peerJoin.run(
      parseInput(peerJoin.input, { token: await invite(), name: 'dc-b', site: 'dc-b' }),
      setupContext(b),
    );
    dcB = await start(b);
    const { data } = await run<{ peers: { name: string; reachable: boolean }[] }>(shop, 'peer.list');
    expect(data.peers.map((peer) => [peer.name, peer.reachable])).toEqual([
      ['dc-a', true],
      ['dc-b', true],
    ]);
  });

  it('members learn of each other, also those that never met', async () => {
    const idOf = (machine: Machine) => machine.home.engine.identity.agentId;
    await until(() => dcA.home.peers.members().some((member) => member.agent === idOf(dcB)), 'dc-a knows dc-b');
    await until(() => dcB.home.peers.members().some((member) => member.agent === idOf(dcA)), 'dc-b knows dc-a');
  });

  it('of machines that join at the same moment with one invitation, as many come in as it has uses, and no two with one name', async () => {
    const racers = await Promise.all(Array.from({ length: 4 }, (_, i) => prepare(`racer-${i}`)));
    const race = (token: string, names: readonly string[]) =>
      Promise.allSettled(
        racers.map((racer, i) =>
          peerJoin.run(parseInput(peerJoin.input, { token, name: names[i] }), setupContext(racer)),
        ),
      );
    const refusals = (results: PromiseSettledResult<unknown>[]) =>
      results.flatMap((one) => (one.status === 'rejected' ? [(one.reason as EdgeError).message] : []));
    const apart = refusals(await race(await invite('reader'), ['r0', 'r1', 'r2', 'r3']));
    expect(apart).toEqual(Array(3).fill(expect.stringContaining('used already')));
    for (const racer of racers) rmSync(join(racer.dir, 'data'), { recursive: true, force: true });
    const same = refusals(await race(await invite('reader', { uses: 4 }), Array(4).fill('twin')));
    expect(same).toEqual(Array(3).fill(expect.stringContaining('an agent named twin')));
  });

  it('an invitation works once, not after it expired, and not when it was changed', async () => {
    // A reader: a holder that never runs would be one of the two that are owed copies.
    const token = await invite('reader');
    const c = await prepare('dc-c');
    await peerJoin.run(parseInput(peerJoin.input, { token, name: 'dc-c', site: 'dc-c' }), setupContext(c));
    const d = await prepare('dc-d');
    const again = await errorOf(peerJoin.run(parseInput(peerJoin.input, { token, name: 'dc-d' }), setupContext(d)));
    expect(again.code).toBe('E_DENIED');
    expect(again.message).toContain('used already');
    expect(existsSync(join(d.dir, 'data/vault.edge'))).toBe(false);
    const changed = await errorOf(
      peerJoin.run(parseInput(peerJoin.input, { token: token.replace(/.{8}$/, '00000000') }), setupContext(d)),
    );
    expect(changed.code).toBe('E_USAGE');
    const twin = await errorOf(
      peerJoin.run(parseInput(peerJoin.input, { token: await invite(), name: 'dc-a' }), setupContext(d)),
    );
    expect(twin.message).toContain('an agent named dc-a');
    const there = await errorOf(
      peerJoin.run(parseInput(peerJoin.input, { token: await invite(), name: 'x' }), setupContext(c)),
    );
    expect(there.message).toContain('there is a vault');
  });

  it('an edge keeps nothing for others: a member could fill its disk', async () => {
    const { agentId } = dcA.home.engine.identity;
    const { chains, identity } = shop.home.engine;
    const link = dcA.home.peers.link(identity.agentId)!;
    const entries = [];
    for await (const entry of chains.entries(identity.agentId, { untilSeq: 1 })) entries.push(entry);
    const refused = { code: 'E_DENIED', message: expect.stringContaining('is no holder') };
    await expect(link.sendEntries(agentId, entries)).rejects.toMatchObject(refused);
    await expect(link.sendFrames(agentId, (async function* () {})())).rejects.toMatchObject(refused);
    await expect(link.joinByParts(agentId, 1, 1)).rejects.toMatchObject(refused);
  });

  it('replicates to two sites, and says so', async () => {
    const { data } = await run<{ roots: { durability: string; copies: { peers: string[]; sites: string[] } }[] }>(
      shop,
      'sync',
      { wait: 'sites=2' },
      AbortSignal.timeout(30_000),
    );
    expect(data.roots[0]!.durability).toBe('sites=2');
    expect(data.roots[0]!.copies.peers.length).toBeGreaterThanOrEqual(2);
    const self = shop.home.engine.identity.agentId;
    const holders = [dcA, dcB].filter(
      ({ home }) => home.engine.chains.position(self)?.link === shop.home.engine.chain.position()!.link,
    );
    expect(holders.length).toBeGreaterThanOrEqual(1);
    expect(holders[0]!.home.engine.chains.shards(self)).toMatchObject([{ wanted: 0, lost: 0, unreadable: 0 }]);
    const snapshots = holders[0]!.home.engine.index.log.snapshots({ agent: shop.home.engine.identity.agentId });
    expect(snapshots.length).toBeGreaterThan(0);
  });

  it('captures and replicates what changes, by itself', async () => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const before = shop.home.engine.chain.position()!.seq;
    writeFileSync(join(folder, 'files/new.txt'), 'seen by the watcher');
    await until(() => shop.home.engine.chain.position()!.seq > before, 'a snapshot of the change');
    await until(
      () =>
        shop.home.replicator
          .status()
          .every(
            (target) => target.pending === 0 && target.acknowledged?.seq === shop.home.engine.chain.position()!.seq,
          ),
      'the change at the holders',
    );
  });

  it('gives a whole machine back to who has the recovery sheet, and to nobody else', async () => {
    const sheet = parseRecoverySheet(readFileSync(join(folder, 'sheet.txt'), 'utf8'));
    const sodium = await loadSodium();
    const { keys } = openVaultDescriptor(sodium, shop.home.engine.vaultBytes, sheet.vaultKey);
    const tls = await createTlsIdentity('new');
    const self = shop.home.engine.identity.agentId;
    const holder = [dcA, dcB].find((m) => m.home.engine.chains.position(self) !== undefined)!;
    const address = `https://127.0.0.1:${holder.port}`;
    const recovery = await openPeerRecovery({ address, keys, adminSeed: sheet.adminSeed, tls }, { sodium });
    // The stored key's slot stays on its machine; the recovery slot is everywhere.
    expect((await recovery.slots()).length).toBe(1);
    const links: string[] = [];
    for await (const { head, body } of recovery.entries(self)) {
      expect(body?.length).toBe(head.header.bodyBytes);
      links.push(head.link);
    }
    expect(links.length).toBe(shop.home.engine.chain.position()!.seq);
    expect(links.at(-1)).toBe(shop.home.engine.chain.position()!.link);
    const snapshot = shop.home.engine.index.log.snapshots().at(-1)!;
    const page = snapshot.body.entry.pages![0]!;
    const [found] = await recovery.source.locate([page]);
    for await (const answer of recovery.source.fetch([found!])) {
      if (!('sealed' in answer)) throw new Error(answer.detail);
      expect(shop.home.engine.opener.open(2, page, answer.address.keyId, answer.sealed).length).toBeGreaterThan(0);
    }
    recovery.close();
    const wrong = { ...keys, proofSeed: new Uint8Array(32) };
    expect(
      (
        await errorOf(
          openPeerRecovery(
            { address, keys: wrong, adminSeed: sheet.adminSeed, tls: await createTlsIdentity('x') },
            { sodium },
          ),
        )
      ).code,
    ).toBe('E_DENIED');
    expect(
      (await errorOf(openPeerRecovery({ address, keys, adminSeed: new Uint8Array(32).fill(9), tls }, { sodium }))).code,
    ).toBe('E_DENIED');
  });

  it('a removed key slot is taken back from peers, also from one that was away, and does not come back', async () => {
    const { data: added } = await run<{ slot: string }>(shop, 'key.add', { keyFile: join(folder, 'second.key') });
    await run(shop, 'sync', { wait: 'sites=2' }, AbortSignal.timeout(30_000));
    writeFileSync(join(folder, 'files/with-slot.txt'), 'makes a pass');
    const slotAt = ({ dir }: Pick<Machine, 'dir'>) => existsSync(join(dir, 'data/slots', `${added.slot}.slot`));
    await run(shop, 'sync', { wait: 'sites=2' }, AbortSignal.timeout(30_000));
    expect([slotAt(shop), slotAt(dcA), slotAt(dcB)]).toEqual([true, true, true]);
    const bytes = readFileSync(join(dcA.dir, 'data/slots', `${added.slot}.slot`));
    const away = { dir: dcB.dir, place: dcB.place, port: dcB.port };
    await stop(dcB);
    dcB = undefined as never;
    const { data } = await run<{ withdrawn: string[]; pending: { name: string }[] }>(shop, 'key.remove', {
      slot: added.slot,
    });
    expect(data.withdrawn).toContain('dc-a');
    expect(data.pending.map((one) => one.name)).toContain('dc-b');
    expect([slotAt(shop), slotAt(dcA), slotAt(away)]).toEqual([false, false, true]);
    dcB = await start(away);
    await run(shop, 'sync', { wait: 'sites=2' }, AbortSignal.timeout(30_000));
    expect(slotAt(dcB)).toBe(false);
    // From an agent that has not heard of it.
    await dcB.home.peers.link(dcA.home.engine.identity.agentId)!.sendSlots([bytes]);
    expect(slotAt(dcA)).toBe(false);
    // Nobody but the admin removes a slot, and the recovery slot is removed by nobody.
    const { sodium, vault } = dcA.home.engine;
    const before = dcA.home.slots.all().map(({ slot }) => slot.slotId);
    const marks = (seed: Uint8Array) =>
      before.map((slotId) => encodeSlotRemoval(sodium, { vaultId: vault.vaultId, slotId, timeS: 1 }, seed));
    const refused = await dcA.home.slots.learn({ removals: marks(new Uint8Array(32).fill(5)) });
    expect(refused.map(({ code }) => code)).toEqual(before.map(() => 'E_INTEGRITY'));
    expect(dcA.home.slots.all().map(({ slot }) => slot.slotId)).toEqual(before);
    const recovery = dcA.home.slots.all().find(({ slot }) => slot.type === 'recovery')!.slot.slotId;
    expect((await errorOf(run(shop, 'key.remove', { slot: recovery }))).code).toBe('E_USAGE');
    // A stored key is of one machine: its slot is not at the others, and an agent without the admin key adds such slots only.
    const { data: list } = await run<{ slots: { type: string; scope: string }[] }>(dcA, 'key.list');
    expect(list.slots.filter(({ scope }) => scope === 'local').length).toBe(1);
    const { data: local } = await run<{ slot: string; scope: string }>(dcA, 'key.add', {
      keyFile: join(folder, 'third.key'),
    });
    expect(local.scope).toBe('local');
    await run(dcA, 'key.remove', { slot: local.slot });
    expect(slotAt({ dir: dcA.dir })).toBe(false);
  });

  it('keeps what it owes while a peer is away, and sends it later', async () => {
    const away = dcA;
    const { dir, place, port } = away;
    await stop(away);
    dcA = undefined as never;
    writeFileSync(join(folder, 'files/while-away.txt'), 'x'.repeat(10_000));
    await run(shop, 'sync');
    await until(
      () =>
        shop.home.replicator.status().some((target) => target.name === 'dc-a' && target.lastError !== undefined) ||
        !shop.home.replicator.status().some((t) => t.name === 'dc-a'),
      'the failure is noted',
    );
    dcA = await start({ dir, place, port });
    await until(() => shop.home.replicator.status().every((target) => target.pending === 0), 'all is sent');
  });

  it('the control API answers, refuses what it should, and runs jobs', async () => {
    const socketPath = shop.agent.socketPath;
    const get = async (path: string) =>
      readJson(await httpCall({ method: 'GET', path, socketPath, label: 'agent' }), 1e7);
    expect(await get('/healthz')).toEqual({ status: 'ok' });
    expect(await get('/readyz')).toMatchObject({ ready: true });
    const metrics = await httpCall({ method: 'GET', path: '/metrics', socketPath, label: 'agent' });
    let text = '';
    for await (const part of metrics) text += part;
    for (const name of [
      'edgestore_packs',
      'edgestore_replication_pending',
      'edgestore_captures_total',
      'edgestore_watch_events_total',
      'edgestore_peer_requests_total',
    ])
      expect(text).toContain(name);
    expect(text).not.toContain(folder);
    expect((await errorOf(httpCall({ method: 'GET', path: '/nope', socketPath, label: 'agent' }))).code).toBe(
      'E_NOT_FOUND',
    );
    const post = (body: string, type = 'application/json') =>
      httpCall({
        method: 'POST',
        path: '/v1/jobs',
        socketPath,
        label: 'agent',
        body: Buffer.from(body),
        headers: { 'content-type': type },
      });
    expect((await errorOf(post('{'))).code).toBe('E_FORMAT');
    expect((await errorOf(post('{"operation":"__proto__"}'))).code).toBe('E_NOT_FOUND');
    expect((await errorOf(post('{"operation":"sync","input":{"wait":"moon"}}'))).code).toBe('E_USAGE');
    expect((await errorOf(post('operation=sync', 'application/x-www-form-urlencoded'))).code).toBe('E_USAGE');
    expect((await errorOf(post(`{"operation":"${'x'.repeat(2_000_000)}"}`))).code).toMatch(/E_LIMIT|E_STORE/);
    const jobs = await run<{ jobs: { operation: string; state: string }[] }>(shop, 'jobs.list');
    expect(jobs.data.jobs.some((job) => job.operation === 'sync' && job.state === 'done')).toBe(true);
    expect((await errorOf(run(shop, 'jobs.show', { job: '999999' }))).exitCode).toBe(2);
    const status = await run<{ watching: string[]; pid: number }>(shop, 'agent.status');
    expect(status.data).toMatchObject({ watching: ['files'], pid: process.pid });
  });

  it('a cancelled command ends its job', async () => {
    // Its turn does not come, so the job cannot end by itself.
    const turn = Promise.withResolvers<void>();
    const before = shop.home.turns.run('capture:files', () => turn.promise);
    const abort = new AbortController();
    const running = run(shop, 'sync', {}, abort.signal);
    running.catch(() => {});
    await until(
      () => shop.agent.running.jobs.list().some((job) => job.operation === 'sync' && job.state === 'running'),
      'the job runs',
    );
    abort.abort(new EdgeError('E_INTERRUPTED', 'interrupted'));
    expect((await errorOf(running)).exitCode).toBe(130);
    turn.resolve();
    await before;
    await until(
      () => shop.agent.running.jobs.list().every((job) => job.operation !== 'sync' || job.state !== 'running'),
      'the job ended',
    );
  });

  it('reload takes a changed configuration, and keeps the old one when the new is wrong', async () => {
    const file = join(shop.dir, 'edgestore.toml');
    const old = readFileSync(file, 'utf8');
    writeFileSync(file, old.replace('settle = "200ms"', 'settle = 5'));
    expect((await errorOf(run(shop, 'agent.reload'))).code).toBe('E_CONFIG');
    expect(shop.home.config.roots[0]!.settleMs).toBe(200);
    writeFileSync(file, old.replace('settle = "200ms"', 'settle = "300ms"'));
    expect((await run<{ changed: string[] }>(shop, 'agent.reload')).data.changed).toEqual(['roots.files.settle']);
    expect(shop.home.config.roots[0]!.settleMs).toBe(300);
    // What recover would write back is the new one.
    const { log, identity } = { ...shop.home.engine, log: shop.home.engine.index.log };
    expect(log.settingsOf(identity.agentId)?.configJson).toContain('300');
  });

  it('a second agent on the data dir, and a second command, are told who has it', async () => {
    const error = await errorOf(
      openAgentHome({
        place: shop.place,
        unlock: async () => new Uint8Array(32),
        clock: systemClock,
        random: systemRandom,
        warn: () => {},
        command: 'x',
      }),
    );
    expect(error.code).toBe('E_BUSY');
    expect(error.message).toContain(`process ${process.pid} (edgestore agent run)`);
  });

  it('an index that was built anew is complete again when every peer was asked, and not before', async () => {
    const { dir, place, port } = shop;
    const holders = [dcA, dcB].map((machine) => ({ dir: machine.dir, place: machine.place, port: machine.port }));
    await stop(shop);
    await stop(dcA);
    await stop(dcB);
    for (const name of ['index.sqlite', 'index.sqlite-wal', 'index.sqlite-shm'])
      rmSync(join(dir, 'data', name), { force: true });
    shop = await start({ dir, place, port });
    dcA = await start(holders[0]!);
    const since = async () => (await run<{ relearning_since: string | null }>(shop, 'status')).data.relearning_since;
    const idA = dcA.home.engine.identity.agentId;
    await until(
      () =>
        shop.home.replicator.status().some(({ target, acknowledged }) => target === idA && acknowledged !== undefined),
      'dc-a was asked',
    );
    expect(await since()).not.toBeNull();
    dcB = await start(holders[1]!);
    await until(async () => (await since()) === null, 'both were asked');
    expect(shop.home.engine.index.kv.get('relearn')).toBeUndefined();
    // Owner and holders know where everything is, their own and what they keep for others.
    for (const machine of [shop, dcA, dcB]) {
      const { data } = await run(machine, 'scrub', { all: true });
      expect(data).toMatchObject({ findings: [], lost: { chunks: 0 }, unknown: { chunks: 0, unread: 0 } });
    }
  });

  it('stops in time, removes its socket, and starts again over a stale one', async () => {
    const { dir, place, port } = shop;
    const socketPath = shop.agent.socketPath;
    // Whoever waits for a job is told what became of it, and not that a connection broke.
    await stop(dcB);
    dcB = undefined as never;
    const waiting = errorOf(run(shop, 'sync', { wait: 'sites=2' }));
    await until(() => shop.agent.running.jobs.list()[0]?.progress?.phase === 'replicate', 'the sync waits for copies');
    const started = performance.now();
    await stop(shop);
    expect(await waiting).toMatchObject({ code: 'E_TERMINATED', hint: expect.stringContaining('kept') });
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(existsSync(socketPath)).toBe(false);
    expect(await reachAgent(dataDirAt(join(dir, 'data')), place.env)).toBeUndefined();
    // What a killed agent leaves behind.
    const stale = createServer();
    await new Promise<void>((resolve) => stale.listen(socketPath, resolve));
    await new Promise((resolve) => stale.close(resolve));
    writeFileSync(`${socketPath}.x`, '');
    shop = await start({ dir, place, port });
    expect((await run<{ pid: number }>(shop, 'agent.status')).data.pid).toBe(process.pid);
  });
});
