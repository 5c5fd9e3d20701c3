/** Starts a holder that lies, in the data dir of an honest one that stands still. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Finished, runEdgestore } from '../../support/edgestore-process.ts';
import type { Holder } from '../owner-and-holders.ts';

const PROGRAM = fileURLToPath(new URL('./evil-holder.ts', import.meta.url));

export class EvilHolder {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
  }

  static async start(how: string, { dataDir, port }: Holder): Promise<EvilHolder> {
    const child = spawn(process.execPath, [PROGRAM, how, dataDir, `127.0.0.1:${port}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const evil = new EvilHolder(child);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (text: Buffer) => {
        said += text;
        if (said.includes('the agent runs')) resolve();
      });
      child.once('close', () => reject(new Error(`the evil holder did not start\n${said}`)));
    });
    return evil;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Runs a command and answers the most memory that it took, in MiB. */
export async function runMeasured(args: readonly string[]): Promise<Finished & { readonly mib: number }> {
  let kib = 0;
  let timer: NodeJS.Timeout | undefined;
  const done = await runEdgestore(args, {
    onStart: ({ pid }) => {
      timer = setInterval(() => {
        kib = Math.max(kib, peakOf(pid ?? 0));
      }, 20);
    },
  });
  clearInterval(timer);
  return { ...done, mib: kib / 1024 };
}

function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch (error) {
    // It has ended.
    if (error instanceof Error && /ENOENT|ESRCH/.test(error.message)) return 0;
    throw error;
  }
}
