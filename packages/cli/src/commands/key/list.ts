import { EdgestoreCommand } from '../../base-command.ts';
import { type KeyListData, renderKeys } from '../../render/keys.ts';

export default class KeyList extends EdgestoreCommand {
  static override summary = "List the vault's key slots: what can open it.";
  static override examples = ['<%= config.bin %> key list'];

  override async run(): Promise<number> {
    await this.read(KeyList);
    return await this.perform<KeyListData>({ operation: 'key.list', input: {}, text: renderKeys });
  }
}
