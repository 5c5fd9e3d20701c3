import { setTimeout as sleep } from 'node:timers/promises';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { renderStatus, type StatusData } from '../render/status.ts';

const WATCH_EVERY_MS = 2000;

export default class Status extends EdgestoreCommand {
  static override summary = 'Whether everything is safe, on one screen.';
  static override description =
    'With --check, holders and stores are asked now, and the exit code is 20 when something needs attention. Notes do not count.';
  static override examples = ['<%= config.bin %> status', '<%= config.bin %> status --check --json'];
  static override flags = {
    check: Flags.boolean({ summary: 'Exit 20 when there are findings.' }),
    watch: Flags.boolean({ summary: 'Show it again every two seconds, until Ctrl-C.' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(Status);
    const once = (): Promise<number> =>
      this.perform<StatusData>({ operation: 'status', input: { check: flags.check }, text: renderStatus });
    if (!flags.watch) return await once();
    for (;;) {
      if (this.session.stdout.isTerminal && !this.session.show.json) await this.session.stdout.write('\x1b[2J\x1b[H');
      const exit = await once();
      if (this.session.signal.aborted || this.session.stdout.closed) return exit;
      // Aborted by Ctrl-C, which is looked at next.
      await sleep(WATCH_EVERY_MS, undefined, { signal: this.session.signal }).catch(() => {});
      if (this.session.signal.aborted) throw this.session.signal.reason;
    }
  }
}
