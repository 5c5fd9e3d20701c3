import type { ResolvedSnapshot } from '@edgestore/agent/operations/snapshot-spec';
import { EdgeError } from '@edgestore/engine/errors';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { snapshotFlags } from '../program/snapshot-flags.ts';
import { latestNote } from '../render/resolved.ts';

export default class Cat extends EdgestoreCommand {
  static override summary = "Print a file's bytes, or a folder as a tar archive.";
  static override examples = [
    '<%= config.bin %> cat latest:albums/index.txt',
    '<%= config.bin %> cat latest:albums --tar | tar -x',
  ];
  static override args = { path: Args.string({ required: true, description: 'SNAPSHOT:PATH' }) };
  static override flags = {
    ...snapshotFlags,
    tar: Flags.boolean({ summary: 'A tar archive of what is at the path.' }),
  };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(Cat);
    if (this.session.show.json) throw new EdgeError('E_USAGE', 'cat prints bytes; it has no --json');
    if (flags.tar && this.session.stdout.isTerminal) {
      throw new EdgeError('E_USAGE', 'a tar archive is not for a terminal', {
        hint: 'Redirect it to a file, or pipe it into tar.',
      });
    }
    return await this.perform<Partial<ResolvedSnapshot>, { b64: string } | Uint8Array>({
      operation: 'cat',
      input: { path: args.path, root: flags.root, agent: flags.agent, at: flags.at, tar: flags.tar },
      item: (piece) => (piece instanceof Uint8Array ? piece : Buffer.from(piece.b64, 'base64')),
      text: () => [],
      notes: latestNote(args.path),
    });
  }
}
