import { statfs } from 'node:fs/promises';
import { EdgeError, toEdgeError } from '../../core/errors.ts';

export interface FreeSpace {
  readonly freeBytes: number;
  readonly belowFloor: boolean;
}

/** Free bytes for this user on the folder's file system. */
export async function freeSpaceAt(folder: string, floorBytes: number): Promise<FreeSpace> {
  try {
    const { bavail, bsize } = await statfs(folder);
    const freeBytes = bavail * bsize;
    return { freeBytes, belowFloor: freeBytes < floorBytes };
  } catch (error) {
    throw toEdgeError(error, `asking the free space of ${folder}`);
  }
}

/** E_NO_SPACE below the floor: the rest is the reserve with which demote, gc and a rebuild still work. */
export async function requireFreeSpace(folder: string, floorBytes: number): Promise<void> {
  const { freeBytes, belowFloor } = await freeSpaceAt(folder, floorBytes);
  if (!belowFloor) return;
  const mib = (bytes: number): string => `${Math.floor(bytes / 1048576)} MiB`;
  throw new EdgeError(
    'E_NO_SPACE',
    `only ${mib(freeBytes)} are free at ${folder}; below ${mib(floorBytes)} nothing new is stored`,
    {
      hint: 'Free some space there, or move cold data out (`edgestore tier run`); what was acknowledged is kept.',
      context: { path: folder, freeBytes, floorBytes },
    },
  );
}
