/** What the quickstart prints: a line when a step begins and ends, and a table at the end. */

export interface Step {
  readonly name: string;
  readonly seconds: number;
  readonly bytes: number | undefined;
  readonly note: string;
}

export class Report {
  readonly steps: Step[] = [];

  /** Runs and times one step; `note` and `bytes` come from its result. */
  async step<T>(
    name: string,
    work: () => Promise<T>,
    describe: (value: T) => { bytes?: number; note?: string } = () => ({}),
  ): Promise<T> {
    process.stdout.write(`\n▸ ${name}\n`);
    const start = performance.now();
    const value = await work();
    const seconds = (performance.now() - start) / 1000;
    const { bytes, note = '' } = describe(value);
    this.steps.push({ name, seconds, bytes, note });
    process.stdout.write(`  done in ${seconds.toFixed(1)} s${note === '' ? '' : `: ${note}`}\n`);
    return value;
  }

  say(text: string): void {
    process.stdout.write(`  ${text.replaceAll('\n', '\n  ')}\n`);
  }

  print(facts: readonly (readonly [string, string])[]): void {
    const width = Math.max(...this.steps.map((step) => step.name.length), ...facts.map(([name]) => name.length));
    process.stdout.write(`\n${'─'.repeat(width + 50)}\n`);
    for (const [name, value] of facts) process.stdout.write(`${name.padEnd(width)}  ${value}\n`);
    process.stdout.write(`${'─'.repeat(width + 50)}\n`);
    for (const { name, seconds, bytes, note } of this.steps) {
      const rate = bytes === undefined ? '' : `${mib(bytes / Math.max(seconds, 0.001))}/s`;
      process.stdout.write(
        `${name.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s  ${rate.padStart(12)}  ${note}\n`,
      );
    }
    process.stdout.write(`${'─'.repeat(width + 50)}\n`);
  }
}

export function mib(bytes: number): string {
  if (bytes >= 1024 ** 3) return `${(bytes / 1024 ** 3).toFixed(2)} GiB`;
  return bytes >= 1024 ** 2 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024).toFixed(1)} KiB`;
}
