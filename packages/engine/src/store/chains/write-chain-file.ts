/** Writes chain files of a data dir that is being made: of a new agent, or of one that is recovered. Nobody else has them open. */
import { type FileHandle, open } from 'node:fs/promises';
import { encodeChainItem } from '../../chain/chain-segment.ts';
import type { WholeEntry } from '../../chain/record-entry.ts';
import { toEdgeError } from '../../core/errors.ts';
import { makeFolderDurably, syncFolder, writeFully } from '../durable-write.ts';
import { CHAIN_FILE_BYTES } from './chain-file.ts';
import { chainFile } from './chain-paths.ts';

/** Durable when it resolves. */
export async function writeChainFile(folder: string, entries: readonly WholeEntry[]): Promise<void> {
  const writer = await openChainFileWriter(folder);
  for (const entry of entries) {
    const { incarnation, seq } = entry.head.header;
    await writer.add({ incarnation, seq }, encodeChainItem(entry));
  }
  await writer.finish();
}

export interface ChainFileWriter {
  add(place: { readonly incarnation: number; readonly seq: number }, item: Uint8Array): Promise<void>;
  finish(): Promise<void>;
}

/** A new file is begun where another incarnation begins, and after 64 MiB. */
export async function openChainFileWriter(folder: string): Promise<ChainFileWriter> {
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
        if (file === undefined || place.incarnation !== incarnation || bytes + item.length > CHAIN_FILE_BYTES) {
          await close();
          incarnation = place.incarnation;
          bytes = 0;
          file = await open(chainFile(folder, { fileIncarnation: incarnation, file: place.seq }), 'wx', 0o600);
        }
        await writeFully(file, item, bytes);
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
