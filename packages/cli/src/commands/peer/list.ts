import { EdgestoreCommand } from '../../base-command.ts';
import { type PeerListData, renderPeers } from '../../render/peers.ts';

export default class PeerList extends EdgestoreCommand {
  static override summary = 'List the other agents of the vault.';
  static override examples = ['<%= config.bin %> peer list'];

  override async run(): Promise<number> {
    await this.read(PeerList);
    return await this.perform<PeerListData>({ operation: 'peer.list', input: {}, text: renderPeers });
  }
}
