/** Help, as oclif writes it. Loaded only for that: the framework's configuration costs a start as much as all else before the command. */
import { Config } from '@oclif/core/config';
import { Help } from '@oclif/core/help';

/** @param id the command or topic; undefined for the whole program. */
export async function showHelp(root: string, id: string | undefined): Promise<void> {
  const config = await Config.load({ root });
  await new Help(config, { all: false }).showHelp(id === undefined ? [] : [id]);
}
