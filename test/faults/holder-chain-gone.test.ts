/**
 * The chain of an owner is gone at a holder: a finding until it is as far again, and a repair brings it from whoever
 * has it.
 */
import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { AgentProcess } from '../crash/agent-process.ts';
import { edgestoreJson } from '../support/edgestore-process.ts';
import { faultTest } from './fault-test.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
let owner: AgentProcess | undefined;
afterEach(async () => {
  await owner?.kill();
  owner = undefined;
  await scene.remove();
});

interface Status {
  readonly findings: readonly { readonly code: string; readonly message: string; readonly since?: string }[];
}
interface Scrubbed {
  readonly chains: readonly { readonly damaged: number; readonly repaired: number; readonly messages: string[] }[];
}

faultTest(
  'a holder whose copy of a chain is gone says so until it has it again, and a repair brings it from the owner',
  async () => {
    scene = await OwnerAndHolders.make({ holders: 1 });
    const [holder] = scene.holders as [(typeof scene.holders)[number]];
    await scene.mustSync('sites=1');
    await holder.stop();
    const ownerId = (await scene.json<{ agent: { id: string } }>(['status'])).agent.id;
    const folder = join(holder.dataDir, 'chains', ownerId);
    const remove = (): void => {
      const files = readdirSync(folder);
      expect(files.length).toBeGreaterThan(0);
      rmSync(folder, { recursive: true });
    };
    const findings = async () => (await edgestoreJson<Status>(['status', ...holder.at])).findings;
    const scrub = (exit: number, ...args: readonly string[]) =>
      edgestoreJson<Scrubbed>(['scrub', '--all', ...args, ...holder.at], { exitCodes: [exit] });
    remove();
    for (let start = 0; start < 3; start++) {
      const found = await findings();
      const damaged = found.find(({ code }) => code === 'damaged_chain');
      expect(damaged?.message, `start ${start}`).toMatch(/acknowledged/);
      expect(damaged?.since).toBeDefined();
      expect(found.map(({ code }) => code)).not.toContain('no_roots');
    }
    expect((await scrub(20)).chains[0]!.messages.join()).toMatch(/acknowledged/);
    // The owner is away: nobody has it.
    expect((await scrub(20, '--repair')).chains[0]).toMatchObject({ damaged: 1, repaired: 0 });
    owner = await AgentProcess.start(scene.at);
    expect((await scrub(0, '--repair')).chains[0]).toMatchObject({ damaged: 0, repaired: 1 });
    expect((await findings()).filter(({ code }) => code === 'damaged_chain')).toEqual([]);
    await scrub(0);
    // Its end is gone.
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.chain')))
      truncateSync(join(folder, file), statSync(join(folder, file)).size - 50);
    expect((await findings()).find(({ code }) => code === 'damaged_chain')?.message).toMatch(
      /ends at entry .* was acknowledged/,
    );
    expect((await scrub(0, '--repair')).chains[0]).toMatchObject({ damaged: 0, repaired: 1 });
    await scrub(0);
    // It goes while the holder runs.
    await holder.start();
    remove();
    expect((await scrub(20)).chains[0]).toMatchObject({ damaged: 1 });
    await scrub(0, '--repair');
    await scrub(0);
    await holder.stop();
    // A pass of the owner ends the finding, too.
    remove();
    expect((await findings()).map(({ code }) => code)).toContain('damaged_chain');
    await owner.kill();
    owner = undefined;
    await holder.start();
    await scene.mustSync('sites=1');
    await holder.stop();
    expect((await findings()).filter(({ code }) => code === 'damaged_chain')).toEqual([]);
  },
  { timeout: 300_000 },
);
