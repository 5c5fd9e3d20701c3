/** Writes chain files of a recovered agent: the chosen chain, and each other end beside it. Every file is durable when it resolves. */
import { type FileHandle, open } from 'node:fs/promises';
import { encodeChainItem } from '../chain/chain-segment.ts';
import type { WholeEntry } from '../chain/record-entry.ts';
import { EdgeError, toEdgeError } from '../core/errors.ts';
import { MIB } from '../core/limits.ts';
import { chainFile, chainFolder } from '../store/chains/chain-paths.ts';
import { makeFolderDurably, syncFolder } from '../store/durable-write.ts';
import type { EntrySpool } from './entry-spool.ts';
import type { GatheredEntry } from './gather-chain.ts';
import type { RecoverPlan } from './recover-types.ts';

/** A file is closed from this length on, and where another incarnation begins. */
const FILE_BYTES_MAX = 64 * MIB;

export async function writeRecoveredChains(
  chainsDir: string,
  plan: Pick<RecoverPlan, 'agent' | 'trail' | 'sideChains' | 'spool'>,
): Promise<void> {
  const { agent, trail, sideChains, spool } = plan;
  await writeEntries(chainFolder(chainsDir, agent.agentId), trail, spool);
  for (const { tip, entries } of sideChains)
    await writeEntries(chainFolder(chainsDir, agent.agentId, tip.link), entries, spool);
}

/** A file of entries that were made just now. */
export async function writeChainFile(folder: string, entries: readonly WholeEntry[]): Promise<void> {
  const writer = await openChainWriter(folder);
  for (const entry of entries) {
    const { incarnation, seq } = entry.head.header;
    await writer.add({ incarnation, seq }, encodeChainItem(entry));
  }
  await writer.finish();
}

async function writeEntries(
  folder: string,
  entries: readonly GatheredEntry[],
  spool: EntrySpool | undefined,
): Promise<void> {
  const writer = await openChainWriter(folder);
  for (const entry of entries) {
    if (spool === undefined || entry.item === undefined)
      throw new EdgeError('E_FAILED', 'a recovery without a spool cannot be written');
    await writer.add(entry, await spool.read(entry.item));
  }
  await writer.finish();
}

interface ChainWriter {
  add(place: { readonly incarnation: number; readonly seq: number }, item: Uint8Array): Promise<void>;
  finish(): Promise<void>;
}

async function openChainWriter(folder: string): Promise<ChainWriter> {
  await makeFolderDurably(folder);
  let file: FileHandle | undefined;
  let incarnation = 0;
  let bytes = 0;
  const close = async (): Promise<void> => {
    await file?.sync();
    await file?.close();
    file = undefined;
  };
  return {
    async add(place, item) {
      try {
        if (file === undefined || place.incarnation !== incarnation || bytes + item.length > FILE_BYTES_MAX) {
          await close();
          incarnation = place.incarnation;
          bytes = 0;
          file = await open(chainFile(folder, { fileIncarnation: incarnation, file: place.seq }), 'wx', 0o600);
        }
        for (let done = 0; done < item.length; )
          done += (await file.write(item, done, item.length - done)).bytesWritten;
        bytes += item.length;
      } catch (error) {
        throw toEdgeError(error, `writing the chain in ${folder}`);
      }
    },
    async finish() {
      try {
        await close();
      } catch (error) {
        throw toEdgeError(error, `writing the chain in ${folder}`);
      }
      await syncFolder(folder);
    },
  };
}
