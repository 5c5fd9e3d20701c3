/**
 * The names of a folder store on stable storage: those that this process made, and those that a killed one may have
 * left.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../core/errors.ts';
import { UNFINISHED_FOLDER } from './object-key.ts';

export class FolderNames {
  readonly #top: string;
  /**
   * Folders whose own names are known to be on the disk: fsynced by this process, because an earlier one may have died
   * before its fsync.
   */
  readonly #durable = new Set<string>();
  /** Folders of which every name is on the disk. */
  readonly #settled = new Set<string>();
  /** Which file system and folder the two sets are about. */
  #place: string | undefined;
  /** An fsync of names failed: nobody knows what is on the disk, whatever a later one says. */
  #failure: unknown;

  constructor(top: string) {
    this.#top = top;
  }

  /**
   * Makes a folder and those above it up to the store's own, each fsynced into its parent, so that no later name hangs
   * on one that power loss takes.
   */
  async makeFolder(path: string): Promise<void> {
    if (path === this.#top || this.#durable.has(path)) return;
    await this.makeFolder(dirname(path));
    try {
      await mkdir(path, { mode: 0o700 });
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    await this.sync(dirname(path));
    this.#durable.add(path);
  }

  /** Someone removed a folder that this process had made: the next try makes it again. */
  forget(): void {
    this.#durable.clear();
    this.#settled.clear();
  }

  /** Before work in the folder: where it is not the one of the last time, nothing is known of its names. */
  ofPlace(place: string): void {
    if (this.#place !== undefined && this.#place !== place) this.forget();
    this.#place = place;
  }

  /** After a name in the folder was made or removed. */
  async sync(path: string): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#settled.delete(path);
    try {
      await syncFolder(path);
    } catch (error) {
      if (errnoOf(error) === 'EIO') this.#failure = error;
      throw error;
    }
    this.#settled.add(path);
  }

  /**
   * All names below the folder, and those of the folders above it, which a process that was killed may not have synced.
   */
  async settle(path: string, signal?: AbortSignal): Promise<void> {
    for (let above = dirname(path); above.length >= this.#top.length; above = dirname(above))
      if (!this.#settled.has(above)) await this.sync(above);
    await this.#settleBelow(path, signal);
  }

  async #settleBelow(path: string, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#settled.has(path)) await this.sync(path);
    for (const entry of await readdir(path, { withFileTypes: true }))
      if (entry.isDirectory() && entry.name !== UNFINISHED_FOLDER)
        await this.#settleBelow(join(path, entry.name), signal);
  }
}

export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
