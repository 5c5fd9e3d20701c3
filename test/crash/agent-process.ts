/** A running `edgestore agent run`, started and ended as often as a scene needs. */
import type { ChildProcess } from 'node:child_process';
import { startEdgestore } from '../support/edgestore-process.ts';

const STARTS_WITHIN_MS = 60_000;

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #said = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdin?.end();
    child.stdout?.resume();
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-10_000);
    });
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
  }

  /** Resolves once it serves. */
  static async start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<AgentProcess> {
    const agent = new AgentProcess(startEdgestore(['agent', 'run', ...args], { env }));
    const until = performance.now() + STARTS_WITHIN_MS;
    while (!agent.#said.includes('the agent runs')) {
      if (agent.hasEnded || performance.now() > until) {
        await agent.kill();
        throw new Error(`the agent did not start (${agent.#child.exitCode})\n${agent.#said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return agent;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get wasKilled(): boolean {
    return this.#child.signalCode === 'SIGKILL';
  }

  get said(): string {
    return this.#said;
  }

  /** When the process is gone, however it ended. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  async kill(): Promise<void> {
    if (!this.hasEnded) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
