import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { ndjsonFlag } from '../../global-flags.ts';
import { type DiffData, type DiffItem, renderDiffItem, renderDiffSummary } from '../../render/diff.ts';

export default class SnapshotDiff extends EdgestoreCommand {
  static override summary = 'What changed between two snapshots.';
  static override examples = [
    '<%= config.bin %> snapshot diff 3f2a91c0 latest',
    '<%= config.bin %> snapshot diff latest',
  ];
  static override args = {
    from: Args.string({ required: true, description: 'the older snapshot; alone: compared with its parent' }),
    to: Args.string({ description: 'the newer snapshot' }),
  };
  static override flags = {
    ...ndjsonFlag,
    root: Flags.string({ helpValue: 'NAME', summary: 'Which root `latest` is of.' }),
    agent: Flags.string({ helpValue: 'NAME', summary: 'Whose snapshots (default: this agent).' }),
  };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(SnapshotDiff);
    return await this.perform<DiffData, DiffItem>({
      operation: 'snapshot.diff',
      input: { from: args.from, to: args.to, root: flags.root, agent: flags.agent },
      ndjson: flags.ndjson === true,
      item: (item, context) => `${renderDiffItem(item, context)}\n`,
      itemsKey: 'changes',
      text: renderDiffSummary,
    });
  }
}
