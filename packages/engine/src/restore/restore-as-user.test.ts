import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const child = new URL('../testing/restore-child.ts', import.meta.url).pathname;
const NOBODY = 65534;

test.runIf(process.getuid?.() === 0)('who is not root gets the content, one warning, and no setuid bits', async () => {
  const base = fs.mkdtempSync(join(tmpdir(), 'edge-user-'));
  try {
    fs.chownSync(base, NOBODY, NOBODY);
    const ending = await new Promise<{ status: number | null; out: string; err: string }>((resolve, reject) => {
      const args = [child, 'user', join(base, 'packs'), join(base, 'out'), '', '', 'root'];
      const process_ = spawn(process.execPath, args, { uid: NOBODY, gid: NOBODY, stdio: ['ignore', 'pipe', 'pipe'] });
      let [out, err] = ['', ''];
      process_.stdout.on('data', (part: Buffer) => {
        out += part.toString();
      });
      process_.stderr.on('data', (part: Buffer) => {
        err += part.toString();
      });
      process_.on('error', reject);
      process_.on('close', (status) => resolve({ status, out, err }));
    });
    expect(ending.err.trim().split('\n')).toEqual([expect.stringMatching(/could not be given their owner/)]);
    expect(JSON.parse(ending.out.split('\n')[1]!)).toMatchObject({ failures: 0, files: { failed: 0 } });
    const file = fs.statSync(join(base, 'out/d0/f7'));
    expect([file.uid, file.mode & 0o7777]).toEqual([NOBODY, 0o644]);
    expect(fs.statSync(join(base, 'out/setuid')).mode & 0o7777).toBe(0o755);
    expect(fs.statSync(join(base, 'out/d3')).mode & 0o7777).toBe(0o555);
  } finally {
    fs.rmSync(base, { recursive: true, force: true });
  }
});
