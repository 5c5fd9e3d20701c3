/** Commands through a running agent: the same output, jobs, and the `agent`, `jobs` and `peer` commands. */
import type { ChildProcess } from 'node:child_process';
import { cpSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Finished, finished, startEdgestore, waitUntil } from '../support/edgestore-process.ts';
import { freePort } from '../support/free-port.ts';
import { type Fixture, makeFixture, makeVaultFixture } from './fixture.ts';

let fixture: Fixture;
const running: ChildProcess[] = [];
beforeAll(async () => {
  fixture = await makeVaultFixture();
});
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  fixture.remove();
});

async function startAgent(home: Fixture, config: string): Promise<{ child: ChildProcess; ended: Promise<Finished> }> {
  const child = startEdgestore(['agent', 'run', '-c', config], {
    env: { EDGESTORE_DATA_DIR: home.dataDir, HOME: home.folder },
  });
  running.push(child);
  const ended = finished(child);
  await waitUntil('the agent answers', 30_000, async () =>
    (await home.run(['agent', 'status', '-c', config])).exitCode === 0 ? true : undefined,
  );
  return { child, ended };
}

async function configOf(home: Fixture): Promise<string> {
  const file = join(home.folder, 'edgestore.toml');
  writeFileSync(file, `[agent]\nlisten = "127.0.0.1:${await freePort()}"\n`);
  return file;
}

describe('without an agent', () => {
  test.each([
    [['agent', 'status']],
    [['agent', 'reload']],
    [['agent', 'stop']],
    [['jobs', 'list']],
    [['jobs', 'show', '1']],
  ])('%j is exit 4', async (args) => {
    const done = await fixture.run(args);
    expect([done.exitCode, done.stdout]).toEqual([4, '']);
    expect(done.stderr).toContain('agent run');
    expect((await fixture.json(args, 4)).error.code).toBe('E_AGENT_UNREACHABLE');
  });

  test('install prints a unit, or writes it', async () => {
    const printed = await fixture.run(['agent', 'install']);
    expect(printed.stdout).toMatch(/\[Service\][\s\S]*ExecStart=.*agent run/);
    const file = join(fixture.folder, 'edgestore.service');
    expect((await fixture.json(['agent', 'install', '--output', file, '-n'])).data.written).toBeNull();
    expect(existsSync(file)).toBe(false);
    expect((await fixture.json(['agent', 'install', '--output', file])).data.written).toBe(file);
    expect(existsSync(file)).toBe(true);
  });

  test('agent run without a vault, or with a wrong configuration, ends at once', async () => {
    const empty = makeFixture();
    expect((await empty.run(['agent', 'run'])).exitCode).toBe(10);
    const config = join(fixture.folder, 'wrong.toml');
    writeFileSync(config, '[agent]\nlisten = 7\n');
    expect((await fixture.run(['agent', 'run', '-c', config])).exitCode).toBe(2);
    empty.remove();
  });
});

describe('with an agent', () => {
  test('the output is the same as without; jobs are listed; a second agent is refused; stop ends it', async () => {
    const config = await configOf(fixture);
    const commands = [
      ['snapshot', 'list'],
      ['ls', 'latest', '--recursive'],
      ['find', '*.txt'],
      ['cat', 'latest:a.txt'],
      ['root', 'list'],
      ['where', 'latest:a.txt'],
      ['key', 'list'],
      ['tier', 'status'],
      ['restore', 'latest', '--estimate'],
      ['snapshot', 'show', 'none'],
      ['ls', 'latest:none'],
      ['sync', '--wait', 'nonsense'],
    ];
    const shown = async () => {
      const out: unknown[] = [];
      for (const args of commands) {
        const text = await fixture.run([...args, '-c', config]);
        out.push([args, text.exitCode, text.stdout, text.stderr]);
        if (args[0] !== 'cat') out.push((await fixture.run([...args, '--json', '-c', config])).stdout);
      }
      return out;
    };
    const without = await shown();
    const { ended } = await startAgent(fixture, config);
    expect(await shown()).toEqual(without);

    expect((await fixture.json(['status', '-c', config])).data.agent.running).toBe(true);
    expect((await fixture.json(['agent', 'status', '-c', config])).data).toMatchObject({
      name: 'tester',
      pid: expect.any(Number),
    });
    expect((await fixture.json(['sync', fixture.tree, '-c', config])).data.roots[0].root).toBe('tree');
    const { jobs } = (await fixture.json(['jobs', 'list', '-c', config])).data;
    expect(jobs.find((job: { operation: string }) => job.operation === 'sync')).toMatchObject({
      state: 'done',
      exit_code: 0,
    });
    expect((await fixture.json(['jobs', 'show', jobs[0].id, '-c', config])).data.job.id).toBe(jobs[0].id);
    expect((await fixture.json(['jobs', 'show', '99999', '-c', config], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await fixture.run(['jobs', 'list', '-c', config])).stdout).toContain('sync');
    expect((await fixture.run(['agent', 'run', '-c', config])).exitCode).toBe(11);
    const seen = fixture.folder;
    writeFileSync(config, `[agent]\nlisten = 7\n# ${seen}\n`);
    expect((await fixture.json(['agent', 'reload'], 2)).error.code).toBe('E_CONFIG');
    writeFileSync(config, '[replication.default]\ncopies = 0\n');
    expect((await fixture.json(['agent', 'reload', '-c', config])).data.changed).toContain(
      'replication.default.copies',
    );
    expect((await fixture.run(['agent', 'stop', '-c', config])).stdout).toContain('has stopped');
    expect((await ended).exitCode).toBe(0);
  });

  test('/readyz: ready with its roots watched; 503 with the reason while one is gone; ready again when it is back', async () => {
    const home = makeFixture();
    await home.json(['init', '--recovery-out', join(home.folder, 'sheet')]);
    await home.json(['root', 'add', home.tree]);
    const config = await configOf(home);
    const { child, ended } = await startAgent(home, config);
    const ready = (): Promise<{ status: number; body: { ready: boolean; reasons: string[] } }> =>
      new Promise((resolve, reject) => {
        const socketPath = join(home.dataDir, 'run', 'agent.sock');
        get({ socketPath, path: '/readyz' }, async (response) => {
          let text = '';
          for await (const part of response) text += part;
          resolve({ status: response.statusCode!, body: JSON.parse(text) });
        }).once('error', reject);
      });
    const until = (status: number) =>
      waitUntil(`readyz is ${status}`, 30_000, async () => {
        const answer = await ready();
        return answer.status === status ? answer.body : undefined;
      });
    expect(await until(200)).toEqual({ ready: true, reasons: [] });
    renameSync(home.tree, `${home.tree}-away`);
    expect(await until(503)).toEqual({
      ready: false,
      reasons: [expect.stringMatching(/^root tree is not there: .*tree/)],
    });
    renameSync(`${home.tree}-away`, home.tree);
    expect(await until(200)).toEqual({ ready: true, reasons: [] });
    // Another folder in its place is watched as well: what changes there is found without waiting for the rescan.
    renameSync(home.tree, `${home.tree}-away`);
    cpSync(`${home.tree}-away`, home.tree, { recursive: true });
    const snapshots = async (): Promise<number> =>
      (await home.json(['snapshot', 'list', '-c', config])).data.snapshots.length;
    const before = await snapshots();
    writeFileSync(join(home.tree, 'after.txt'), 'written into the new folder\n');
    await waitUntil('it was captured', 40_000, async () => ((await snapshots()) > before ? true : undefined));
    const then = await snapshots();
    writeFileSync(join(home.tree, 'after.txt'), 'and changed again\n');
    await waitUntil('it was captured again', 40_000, async () => ((await snapshots()) > then ? true : undefined));
    rmSync(home.tree, { recursive: true });
    renameSync(`${home.tree}-away`, home.tree);
    child.kill('SIGTERM');
    await ended;
    home.remove();
  });

  test('SIGTERM ends it with 143 within 10 s', async () => {
    const config = await configOf(fixture);
    const { child, ended } = await startAgent(fixture, config);
    const started = performance.now();
    child.kill('SIGTERM');
    expect((await ended).exitCode).toBe(143);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('peers', () => {
  test('invite, join from a file and from stdin, list, show, wait for a copy, and what is refused', async () => {
    const config = await configOf(fixture);
    expect((await fixture.run(['peer', 'list', '-c', config])).stdout).toContain('No peers');
    const { ended } = await startAgent(fixture, config);
    const wouldInvite = await fixture.json(['peer', 'invite', '--role', 'holder', '-n', '-c', config]);
    expect(wouldInvite.data).toMatchObject({ dry_run: true, token: null, role: 'holder' });
    expect(
      existsSync(join(fixture.dataDir, 'agent', 'invites'))
        ? readdirSync(join(fixture.dataDir, 'agent', 'invites'))
        : [],
    ).toEqual([]);
    expect((await fixture.run(['peer', 'invite', '--role', 'holder', '-n', '-c', config])).stdout).toMatch(
      /would be made/,
    );
    const invited = await fixture.json(['peer', 'invite', '--role', 'holder', '-c', config]);
    expect(invited.data).toMatchObject({
      role: 'holder',
      uses: 1,
      token: expect.stringMatching(/^edgestore-invite-1:/),
    });
    expect((await fixture.json(['peer', 'invite', '-c', config], 2)).error.message).toContain('role');
    expect(
      (await fixture.json(['peer', 'invite', '--role', 'holder', '--expires', '5', '-c', config], 2)).error.code,
    ).toBe('E_USAGE');

    const holder = makeFixture();
    const holderConfig = await configOf(holder);
    const token = join(holder.folder, 'token');
    writeFileSync(token, invited.data.token);
    const join1 = ['peer', 'join', '--token-file', token, '--name', 'dc-a', '--site', 'dc-a', '-c', holderConfig];
    expect((await holder.json([...join1, '-n'])).data).toMatchObject({
      dry_run: true,
      agent: null,
      name: 'dc-a',
      role: 'holder',
    });
    expect((await holder.run([...join1, '-n'])).stdout).toMatch(/dc-a would join vault [0-9a-f]{8} as holder/);
    expect(existsSync(holder.dataDir)).toBe(false);
    expect((await holder.json(join1)).data).toMatchObject({ name: 'dc-a', site: 'dc-a', role: 'holder' });
    expect((await holder.json(join1, 2)).error.message).toContain('already');
    expect(
      (await holder.json(['peer', 'join', '--data-dir', join(holder.folder, 'b')], 2, { stdin: '' })).error.hint,
    ).toContain('--token-file');
    const used = await holder.json(['peer', 'join', '--data-dir', join(holder.folder, 'b')], 14, {
      stdin: invited.data.token,
    });
    expect(used.error.message).toContain('used');
    expect(
      (await holder.run(['peer', 'join', '--data-dir', join(holder.folder, 'b')], { stdin: 'no token' })).exitCode,
    ).not.toBe(0);

    const agent = await startAgent(holder, holderConfig);
    expect((await fixture.json(['peer', 'list', '-c', config])).data.peers).toMatchObject([
      { name: 'dc-a', role: 'holder', reachable: true },
    ]);
    expect((await fixture.run(['peer', 'list', '-c', config])).stdout).toContain('dc-a');
    expect((await fixture.json(['peer', 'show', 'dc-a', '-c', config])).data.peer.site).toBe('dc-a');
    expect((await fixture.run(['peer', 'show', 'dc-a', '-c', config])).stdout).toContain('fingerprint');
    expect((await fixture.json(['peer', 'show', 'dc-b', '-c', config], 2)).error.code).toBe('E_NOT_FOUND');

    writeFileSync(config, '[replication.default]\ncopies = 1\nsites = 1\n');
    await fixture.json(['agent', 'reload', '-c', config]);
    const synced = await fixture.json(['sync', '--wait', 'peers=1', '-c', config]);
    expect(synced.data.roots[0]).toMatchObject({ durability: 'peers=1', copies: { peers: ['dc-a'], sites: ['dc-a'] } });
    expect(
      (await fixture.json(['sync', '--wait', 'peers=2', '-c', config, '--timeout', '5s'], 5)).data.roots[0].durability,
    ).toBe('local');
    expect((await fixture.run(['status', '-c', config])).stdout).toContain('1 of 1 copies');

    // The machine goes; the sheet and the holder bring it back.
    await fixture.run(['agent', 'stop', '-c', config]);
    await ended;
    const again = makeFixture();
    const from = [
      'recover',
      '--from',
      await holderAddress(holder, holderConfig),
      '--recovery-file',
      join(fixture.folder, 'sheet.txt'),
    ];
    expect((await again.json([...from, '-n'])).data).toMatchObject({ dry_run: true, agent: { name: 'tester' } });
    expect((await again.json(from)).data).toMatchObject({ agent: { name: 'tester', incarnation: 2 }, gaps: [] });
    expect((await again.json(from, 2)).error.code).toBe('E_USAGE');
    expect(
      (await again.json(['restore', 'latest', '--target', join(again.folder, 'back')])).data.bytes.from,
    ).toMatchObject({ local: 0, s3: 0 });
    expect(existsSync(join(again.folder, 'back', 'a.txt'))).toBe(true);
    await holder.run(['agent', 'stop', '-c', holderConfig]);
    await agent.ended;
    expect((await again.json([...from, '--data-dir', join(again.folder, 'c')], 1)).error.message).toContain(
      'cannot be reached',
    );
    again.remove();
    holder.remove();
  });
});

async function holderAddress(holder: Fixture, config: string): Promise<string> {
  const { listen } = (await holder.json(['agent', 'status', '-c', config])).data;
  return `https://${listen}`;
}
