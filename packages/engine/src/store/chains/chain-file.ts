/**
 * Appending to the newest file of a chain. Items are written without a sync of their own: one fsync makes them durable together (docs/chain.md 2.1). After a
 * write or fsync that failed, the kernel may have dropped pages that it calls clean: nothing is appended until the file was read again and replaced as
 * a whole (2.4).
 */
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { HEAD_BYTES } from '../../chain/entry-head.ts';
import { EdgeError, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { MIB } from '../../core/limits.ts';
import type { ChainEntry } from '../../ports/chains.ts';
import { makeFolderDurably, syncFolder, writeFully } from '../durable-write.ts';
import { chainFile, type FileName } from './chain-paths.ts';
import { FileWindow } from './file-window.ts';
import { LENGTH_BYTES } from './scan-chain-file.ts';

/** A new file is begun after so many bytes. */
export const CHAIN_FILE_BYTES = 64 * MIB;
/** Bytes of items written with one call. */
const WRITE_BYTES = 8 * MIB;
const COPY_BYTES = MIB;

/** Where an entry's item lies. */
export interface ItemPlace extends FileName {
  readonly offset: number;
  readonly itemEnd: number;
  /** Of the body, where the item has it. */
  readonly bodyAt: number | undefined;
}

export interface PlacedEntry extends ChainEntry {
  readonly place: ItemPlace;
}

/** The end of the newest file. */
export interface FileEnd extends FileName {
  readonly end: number;
}

export class ChainFile {
  readonly folder: string;
  readonly #fileBytes: number;
  #at: FileEnd | undefined;
  #handle: FileHandle | undefined;
  #isNew = false;
  #failure: EdgeError | undefined;

  constructor(folder: string, at: FileEnd | undefined, fileBytes = CHAIN_FILE_BYTES) {
    this.folder = folder;
    this.#at = at;
    this.#fileBytes = fileBytes;
  }

  get at(): FileEnd | undefined {
    return this.#at;
  }

  /** Why the file must be read again before anything is appended. */
  get failure(): EdgeError | undefined {
    return this.#failure;
  }

  /** Writes the entries behind the end. They are durable after `sync`. E_NO_SPACE, E_IO. */
  async write(entries: readonly ChainEntry[]): Promise<PlacedEntry[]> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const placed: PlacedEntry[] = [];
      let items: Buffer[] = [];
      let bytes = 0;
      const flush = async (): Promise<void> => {
        if (items.length === 0) return;
        await this.#append(Buffer.concat(items, bytes));
        items = [];
        bytes = 0;
      };
      for (const entry of entries) {
        if (this.#at === undefined || this.#at.end + bytes >= this.#fileBytes) {
          await flush();
          await this.#begin(entry);
        }
        const offset = this.#at!.end + bytes;
        const item = itemOf(entry);
        const { fileIncarnation, file } = this.#at!;
        const bodyAt = entry.body === undefined ? undefined : offset + LENGTH_BYTES + HEAD_BYTES;
        placed.push({ ...entry, place: { fileIncarnation, file, offset, itemEnd: offset + item.length, bodyAt } });
        items.push(item);
        bytes += item.length;
        if (bytes >= WRITE_BYTES) await flush();
      }
      await flush();
      return placed;
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  /** Everything written so far is on stable storage when it resolves, with the names of new files. */
  async sync(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#handle === undefined) return;
    try {
      await this.#handle.sync();
      failpoint('chain.synced');
      if (this.#isNew) await syncFolder(this.folder);
      failpoint('chain.folder-synced');
      this.#isNew = false;
      await this.#close();
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  /** The file ends at `end` now: its bytes up to there are in a new file, which has replaced it by rename. Appending goes on. */
  async replace(end: FileEnd | undefined, unwanted: readonly FileName[]): Promise<void> {
    await this.#close();
    try {
      if (end !== undefined) await rewriteFile(chainFile(this.folder, end), end.end);
      for (const name of unwanted) await unlink(chainFile(this.folder, name));
      await syncFolder(this.folder);
    } catch (error) {
      throw await this.#fail(error);
    }
    failpoint('chain.replaced');
    this.#at = end;
    this.#isNew = false;
    this.#failure = undefined;
  }

  async close(): Promise<void> {
    await this.#close();
  }

  async #begin({ head }: ChainEntry): Promise<void> {
    // An older file is durable before a newer one has anything.
    await this.sync();
    if (this.#at === undefined) await makeFolderDurably(this.folder);
    this.#at = { fileIncarnation: head.header.incarnation, file: head.header.seq, end: 0 };
    this.#handle = await open(chainFile(this.folder, this.#at), 'wx', 0o600);
    this.#isNew = true;
    failpoint('chain.created');
  }

  async #append(bytes: Buffer): Promise<void> {
    const at = this.#at!;
    const path = chainFile(this.folder, at);
    if (this.#handle === undefined) {
      this.#handle = await open(path, 'r+');
      const { size } = await this.#handle.stat();
      if (size !== at.end)
        throw new EdgeError('E_INTEGRITY', `${path} has ${size} bytes where ${at.end} were written`, {
          context: { path },
        });
    }
    await writeFully(this.#handle, bytes, at.end);
    this.#at = { ...at, end: at.end + bytes.length };
    failpoint('chain.written');
  }

  async #fail(error: unknown): Promise<EdgeError> {
    const failure = toEdgeError(error, `appending to the chain in ${this.folder}`);
    this.#failure ??= failure;
    await this.#close();
    return failure;
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

export function itemOf({ head, body }: ChainEntry): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(HEAD_BYTES + (body?.length ?? 0), 0);
  return Buffer.concat(body === undefined ? [length, head.bytes] : [length, head.bytes, body]);
}

let temporaries = 0;

/** Writes the first `end` bytes to a new file that replaces the old one, and fsyncs it. The caller fsyncs the folder. */
export async function rewriteFile(path: string, end: number): Promise<void> {
  const folder = join(path, '..');
  const name = path.slice(folder.length + 1);
  const temporary = join(folder, `.${name}.${++temporaries}.tmp`);
  await copyRange(path, temporary, 0, end);
  failpoint('chain.rewritten');
  await rename(temporary, path);
  failpoint('chain.renamed');
}

/** Writes a range of a file to another one, and fsyncs that. */
export async function copyRange(from: string, to: string, start: number, end: number): Promise<void> {
  const window = await FileWindow.open(from);
  if (window === undefined) throw new EdgeError('E_INTEGRITY', `${from} is gone`, { context: { path: from } });
  try {
    if (window.size < end)
      throw new EdgeError('E_INTEGRITY', `${from} ends before byte ${end}`, { context: { path: from } });
    const file = await open(to, 'w', 0o600);
    try {
      for (let at = start; at < end; at += COPY_BYTES) {
        const bytes = await window.at(at, Math.min(COPY_BYTES, end - at));
        await writeFully(file, bytes, at - start);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    await window.close();
  }
}
