import * as Args from '@oclif/core/args';
import { EdgestoreCommand } from '../../base-command.ts';
import { type PeerShowData, renderPeer } from '../../render/peers.ts';

export default class PeerShow extends EdgestoreCommand {
  static override summary = 'Everything about one other agent.';
  static override examples = ['<%= config.bin %> peer show dc-a'];
  static override args = { name: Args.string({ required: true, description: 'its name, or the beginning of its id' }) };

  override async run(): Promise<number> {
    const { args } = await this.read(PeerShow);
    return await this.perform<PeerShowData>({ operation: 'peer.show', input: { name: args.name }, text: renderPeer });
  }
}
