/** Reads bytes of chain files without waiting, for look-ups inside index transactions. A few files stay open. */
import { closeSync, openSync, readSync } from 'node:fs';
import { FORM_BYTES } from '../../chain/forms.ts';
import { EdgeError, errnoOf, toEdgeError } from '../../core/errors.ts';
import type { BodyBytes, BodyPlace } from '../../ports/chain-index.ts';
import { bodiesFile, chainFile, chainFolder } from './chain-paths.ts';
import { partFile, partsFolder } from './part-files.ts';
import { chainFileGone } from './read-chain-end.ts';

const FILES_OPEN_MAX = 16;

export interface ChainBytes extends BodyBytes {
  pathOf(place: BodyPlace): string;
  /** Closes what is open: a file was replaced or moved. */
  forget(): void;
}

export function chainBytes(chainsDir: string): ChainBytes {
  const open = new Map<string, number>();
  const pathOf = (place: BodyPlace): string => {
    const folder = chainFolder(chainsDir, place.agent, place.branch);
    return place.isLate ? bodiesFile(folder, place) : chainFile(folder, place);
  };
  const forget = (): void => {
    for (const file of open.values()) closeSync(file);
    open.clear();
  };
  const fileOf = (path: string): number => {
    const known = open.get(path);
    if (known !== undefined) return known;
    if (open.size >= FILES_OPEN_MAX) forget();
    const file = openSync(path, 'r');
    open.set(path, file);
    return file;
  };
  return {
    pathOf,
    forget,
    readPart: ({ agent, shard, asOfSeq, byte, row }) =>
      readAt(partFile(partsFolder(chainsDir, agent), { shard, asOfSeq }, byte), row * FORM_BYTES, FORM_BYTES),
    read: (place, from, length) => {
      const path = pathOf(place);
      if (from + length > place.bytes)
        throw new EdgeError('E_FAILED', `byte ${from + length} of a body of ${place.bytes} bytes in ${path}`);
      return readAt(path, place.at + from, length);
    },
  };

  function readAt(path: string, at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    try {
      const file = fileOf(path);
      let done = 0;
      while (done < length) {
        const read = readSync(file, bytes, done, length - done, at + done);
        if (read === 0) break;
        done += read;
      }
      if (done === length) return bytes;
    } catch (error) {
      // A part that is gone is damage of the shard's state: it can be had again.
      if (errnoOf(error) === 'ENOENT' && path.endsWith('.part'))
        throw new EdgeError('E_INTEGRITY', `the part ${path} is not there`, { context: { path } });
      if (errnoOf(error) === 'ENOENT') throw chainFileGone(path);
      throw toEdgeError(error, `reading ${path}`);
    }
    throw new EdgeError('E_INTEGRITY', `${path} ends before byte ${at + length}`, { context: { path } });
  }
}
