/** What is wrong at the other end: buckets that are missing, forbidden or down, and peers that are not who they should be. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startS3Server } from '../s3-server/server.ts';
import { TEST_KEYS } from '../s3-server/test-keys.ts';
import { finished, startEdgestore, waitUntil } from '../support/edgestore-process.ts';
import { freePort } from '../support/free-port.ts';
import { newBucket, type S3ForTests, s3ForTests } from '../support/s3-for-tests.ts';
import { flipBit, makeSite, type Site, withEnvironment } from './site.ts';

let site: Site;
let s3: S3ForTests;
const running: { readonly child: ChildProcess; readonly ended: Promise<unknown> }[] = [];
beforeAll(async () => {
  site = await makeSite();
  mkdirSync(site.at('s3'));
  s3 = await s3ForTests(site.at('s3'));
});
afterAll(async () => {
  for (const { child, ended } of running) {
    child.kill('SIGTERM');
    await ended;
  }
  await s3?.stop();
  site.remove();
});

describe('a bucket', () => {
  const keys = (pair: S3ForTests['keys']) => ({
    env: { AWS_ACCESS_KEY_ID: pair.accessKeyId, AWS_SECRET_ACCESS_KEY: pair.secretAccessKey, AWS_REGION: 'us-east-1' },
  });
  const config = (bucket: string, endpoint = s3.endpoint): string[] => {
    const file = site.at('bucket.toml');
    writeFileSync(
      file,
      `[stores.far]\nurl = "s3://${bucket}/p"\nendpoint = "${endpoint}"\npath_style = true\n[replication.default]\ncopies = 1\nsites = 1\nstore = "far"\n`,
    );
    return ['-c', file];
  };
  const recover = (bucket: string, endpoint = s3.endpoint): string[] => [
    'recover',
    '--from',
    `s3://${bucket}/p`,
    '--endpoint',
    endpoint,
    '--recovery-file',
    site.sheet,
  ];

  test('missing: 10, named, and nothing is made here', async () => {
    await site.refuses(
      site.at('new'),
      recover('no-such-bucket'),
      { exit: 10, code: 'E_NO_BUCKET', message: /no-such-bucket/, hint: /bucket/i },
      keys(s3.keys),
    );
    const waited = await site.json(
      site.copy(),
      ['sync', '--wait', 's3', ...config('no-such-bucket')],
      10,
      keys(s3.keys),
    );
    expect(JSON.stringify(waited)).toContain('no-such-bucket');
  });

  test('forbidden: 14, with what is not allowed; with the right keys all goes on', async () => {
    const bucket = await newBucket(s3);
    await site.refuses(
      site.at('new'),
      recover(bucket),
      { exit: 14, code: 'E_DENIED', message: new RegExp(bucket), hint: /./ },
      keys(s3.otherKeys),
    );
    site.keepSecret(s3.keys.secretAccessKey);
    site.keepSecret(s3.otherKeys.secretAccessKey);
    const dataDir = site.copy();
    const denied = await site.json(dataDir, ['sync', '--wait', 's3', ...config(bucket)], 14, keys(s3.otherKeys));
    expect(JSON.stringify(denied)).toMatch(/denied|forbidden|refused|not allowed/i);
    await site.restores(dataDir);
    const done = await site.json(dataDir, ['sync', '--wait', 's3', ...config(bucket)], 0, keys(s3.keys));
    expect(done.data.roots[0].durability).toBe('s3');
  });

  test('that does not list what was put: it counts for no level, and says so', async () => {
    const server = await startS3Server({ dir: site.at('stale'), keys: Object.values(TEST_KEYS) });
    try {
      server.faults.setPlan([{ verb: 'list', key: '/probe/', effect: { kind: 'stale', newest: 1 } }]);
      const dataDir = site.copy();
      const late = config(await newBucket({ ...s3, endpoint: server.endpoint }), server.endpoint);
      const waited = await site.json(dataDir, ['sync', '--wait', 's3', '--timeout', '20s', ...late], 5, keys(s3.keys));
      expect(waited.data.roots[0].durability).toBe('local');
      expect(JSON.stringify(waited)).toMatch(/does not list what was put/);
      server.faults.setPlan([]);
      const done = await site.json(dataDir, ['sync', '--wait', 's3', ...late], 0, keys(s3.keys));
      expect(done.data.roots[0].durability).toBe('s3');
    } finally {
      await server.close();
    }
  });

  test('at an endpoint that is down: 1, in bounded time, and what is here is safe', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const { error } = await site.json(site.at('new'), recover('bucket', nobody), 1, keys(s3.keys));
    expect(error.message).toContain('127.0.0.1');
    const dataDir = site.copy();
    const waited = await site.json(
      dataDir,
      ['sync', '--wait', 's3', '--timeout', '5s', ...config('bucket', nobody)],
      5,
      keys(s3.keys),
    );
    expect(waited.data.roots[0].durability).toBe('local');
    await site.restores(dataDir);
  });
});

describe('a peer', () => {
  let holderDir: string;
  let holderConfig: string[];
  let owner: string;
  let ownerConfig: string[];
  let address: string;

  const listening = async (name: string, rest = ''): Promise<string[]> => {
    const file = site.at(`${name}.toml`);
    writeFileSync(file, `[agent]\nlisten = "127.0.0.1:${await freePort()}"\n${rest}`);
    return ['-c', file];
  };
  const start = async (dataDir: string, config: readonly string[]) => {
    const child = startEdgestore(['agent', 'run', ...config, '--data-dir', dataDir], withEnvironment(site.folder, {}));
    const agent = { child, ended: finished(child) };
    running.push(agent);
    await waitUntil('the agent answers', 60_000, async () =>
      (await site.run(dataDir, ['agent', 'status', ...config])).exitCode === 0 ? true : undefined,
    );
    return agent;
  };
  const stop = async (agent: (typeof running)[number]) => {
    if (!running.includes(agent)) return;
    agent.child.kill('SIGTERM');
    await agent.ended;
    running.splice(running.indexOf(agent), 1);
  };
  /** A holder of the vault of `from`, joined and stopped again. */
  const makeHolder = async (
    from: string,
    fromConfig: readonly string[],
    dataDir: string,
    config: readonly string[],
  ) => {
    const inviter = await start(from, fromConfig);
    const { data } = await site.json(from, ['peer', 'invite', '--role', 'holder', ...fromConfig]);
    const token = `${dataDir}.token`;
    writeFileSync(token, data.token, { mode: 0o600 });
    await site.json(dataDir, ['peer', 'join', '--token-file', token, '--name', 'dc', '--site', 'dc', ...config]);
    await stop(inviter);
  };

  // What a failed test left running would listen where the next one wants to.
  afterEach(async () => {
    for (const agent of [...running]) await stop(agent);
  });

  beforeAll(async () => {
    owner = site.copy();
    holderDir = site.at('holder');
    ownerConfig = await listening('owner', '[replication.default]\ncopies = 1\nsites = 1\n');
    holderConfig = await listening('holder');
    await makeHolder(owner, ownerConfig, holderDir, holderConfig);
    address = readFileSync(holderConfig[1]!, 'utf8').match(/"(.*)"/)![1]!;
  });

  test('that is not there: 5 with --wait in bounded time; the copy here is safe', async () => {
    const { data } = await site.json(owner, ['sync', '--wait', 'peers=1', '--timeout', '5s', ...ownerConfig], 5);
    expect(data.roots[0]).toMatchObject({ durability: 'local', copies: { peers: [] } });
    expect((await site.json(owner, ['peer', 'show', 'dc', ...ownerConfig])).data.peer).toMatchObject({
      reachable: false,
      refused: null,
    });
    const { data: doctor } = await site.json(owner, ['doctor', ...ownerConfig]);
    expect(doctor.checks.find((check: { what: string }) => check.what === 'peer dc')).toMatchObject({
      result: 'warning',
      message: expect.stringMatching(/cannot be reached/),
    });
    await site.json(site.at('new'), ['recover', '--from', `https://${address}`, '--recovery-file', site.sheet], 1);
    await site.restores(owner);
  });

  /** What names the peer and both fingerprints. */
  const otherKey = /dc \(https:.*another key.*expected fingerprint [0-9a-f]{16}….*seen fingerprint [0-9a-f]{16}…/;

  test('with another certificate: 14, with both fingerprints, and it gets nothing', async () => {
    // One more copy of the owner, whose trees and data only the holder has.
    const holder = await start(holderDir, holderConfig);
    await site.json(owner, ['sync', '--wait', 'peers=1', ...ownerConfig]);
    const bare = site.at('bare-reader');
    await site.json(bare, ['recover', '--from', `https://${address}`, '--recovery-file', site.sheet]);
    await stop(holder);
    const stranger = site.at('stranger');
    await site.json(stranger, ['init', '--recovery-out', site.at('stranger.sheet')]);
    // It listens where the holder was.
    const impostor = await start(stranger, holderConfig);

    const { data: shown } = await site.json(owner, ['peer', 'show', 'dc', ...ownerConfig], 14);
    expect(shown.peer).toMatchObject({ reachable: false, refused: { code: 'E_DENIED', exit: 14 } });
    expect(shown.peer.refused.message).toMatch(otherKey);
    expect(shown.peer.refused.expected).toBe(shown.peer.fingerprint);
    expect(shown.peer.refused.seen).toMatch(/^[0-9a-f]{64}$/);
    const text = await site.run(owner, ['peer', 'show', 'dc', ...ownerConfig]);
    expect([text.exitCode, text.stdout]).toEqual([
      14,
      expect.stringMatching(/refused[\s\S]*way out: +Someone else answers/),
    ]);

    mkdirSync(site.at('second'));
    writeFileSync(join(site.at('second'), 'a.txt'), 'one more\n');
    const waited = await site.json(owner, ['sync', site.at('second'), '--wait', 'peers=1', ...ownerConfig], 14);
    expect(waited.data.roots[0]).toMatchObject({ durability: 'local', copies: { peers: [] } });
    expect(JSON.stringify(waited.warnings)).toMatch(otherKey);

    const { data: doctor } = await site.json(owner, ['doctor', ...ownerConfig], 20);
    expect(doctor.checks.find((check: { what: string }) => check.what === 'peer dc')).toMatchObject({
      result: 'problem',
      message: expect.stringMatching(otherKey),
      hint: expect.stringMatching(/invite it again/),
    });
    await site.refuses(bare, ['restore', 'latest', '--agent', 'tester', '--target', site.at('never')], {
      exit: 14,
      code: 'E_DENIED',
      message: otherKey,
      hint: /Someone else answers/,
    });
    await site.refuses(site.at('new'), ['recover', '--from', `https://${address}`, '--recovery-file', site.sheet], {
      exit: 14,
      code: 'E_DENIED',
      message: /no member of the vault|another key/,
      hint: /./,
    });

    // Its own key, put into the configuration by someone who took it for one of ours.
    const believing = site.at('believing.toml');
    writeFileSync(
      believing,
      `${readFileSync(ownerConfig[1]!, 'utf8')}\n[[peers]]\nname = "other"\nsite = "x"\naddress = "https://${address}"\nfingerprint = "${shown.peer.refused.seen}"\n`,
    );
    const foreign = { code: 'E_DENIED', exit: 14, message: expect.stringMatching(/other .*another vault/) };
    const { data: other } = await site.json(owner, ['peer', 'show', 'other', '-c', believing], 14);
    expect(other.peer.refused).toMatchObject(foreign);
    const { data: again } = await site.json(owner, ['doctor', '-c', believing], 20);
    expect(again.checks.find((check: { what: string }) => check.what === 'peer other').message).toMatch(
      /another vault/,
    );

    await stop(impostor);
    await site.restores(owner);
    rmSync(stranger, { recursive: true });
  });

  test('with a damaged copy of a chain says so, and still serves and keeps what it has', async () => {
    const holder = await start(holderDir, holderConfig);
    await site.json(owner, ['sync', '--wait', 'peers=1', ...ownerConfig]);
    const { data: sound } = await site.json(owner, ['doctor', ...ownerConfig]);
    expect(sound.checks.find((check: { what: string }) => check.what === 'peer dc')).toMatchObject({
      result: 'ok',
      message: expect.stringMatching(/member of this vault/),
    });
    await stop(holder);
    const folder = join(holderDir, 'chains', ownAgent(owner));
    const file = join(folder, readdirSync(folder).find((name) => name.endsWith('.chain'))!);
    const good = readFileSync(file);
    flipBit(file, bodyOfFirstAdd(good) + 40);
    const { data: doctor } = await site.json(holderDir, ['doctor', ...holderConfig], 20);
    expect(doctor.checks.find((check: { what: string }) => check.what === 'chain of tester')).toMatchObject({
      result: 'problem',
      message: expect.stringMatching(/damaged at byte/),
    });
    const { data: scrub } = await site.json(holderDir, ['scrub', '--all', ...holderConfig], 20);
    expect(JSON.stringify(scrub)).toMatch(/damaged/);
    const again = await start(holderDir, holderConfig);
    // The owner's own packs are gone: everything has to come from this holder.
    const bare = site.at('bare');
    await site.json(bare, ['recover', '--from', `https://${address}`, '--recovery-file', site.sheet]);
    await site.restores(bare, { args: ['--from', 'peers'] });
    await stop(again);
    writeFileSync(file, good, { mode: 0o600 });
  });
});

/** The agent whose chain is in a data dir that holds no other. */
function ownAgent(dataDir: string): string {
  const [agent] = readdirSync(join(dataDir, 'chains'));
  return agent!;
}

/** Where the body of the first add begins (docs/formats/chain.md): each item is its length and the head of 203 bytes, with the kind at byte 94. */
function bodyOfFirstAdd(chain: Buffer): number {
  for (let at = 0; at < chain.length; at += 4 + chain.readUInt32LE(at))
    if (chain[at + 4 + 94] === 2) return at + 4 + 203;
  throw new Error('the chain has no add');
}
