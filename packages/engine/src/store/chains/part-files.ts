/**
 * Parts of hold checkpoints as files: `chains/<agent>/parts/<shard>-<as-of seq>-<b>.part`
 * (docs/formats/hold-checkpoint.md). A part without forms has no file.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type HoldCheckpoint, PARTS, requirePart } from '../../chain/checkpoint-parts.ts';
import { FORM_BYTES } from '../../chain/forms.ts';
import { EdgeError, errnoOf, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId } from '../../core/ids.ts';
import { readFolder } from '../data-dir.ts';
import { makeFolderDurably, syncFolder, writeFully } from '../durable-write.ts';
import { chainFolder } from './chain-paths.ts';

/** The parts of one shard as of one entry. */
export interface PartsName {
  readonly shard: number;
  readonly asOfSeq: number;
}

export function partsFolder(chainsDir: string, agent: AgentId): string {
  return join(chainFolder(chainsDir, agent), 'parts');
}

export function partFile(folder: string, { shard, asOfSeq }: PartsName, byte: number): string {
  const digits = (value: number, width: number): string => value.toString(16).padStart(width, '0');
  return join(folder, `${digits(shard, 8)}-${digits(asOfSeq, 16)}-${digits(byte, 2)}.part`);
}

/** Undefined for the name of another file. */
export function parsePartName(name: string): (PartsName & { readonly byte: number }) | undefined {
  const match = /^([0-9a-f]{8})-([0-9a-f]{16})-([0-9a-f]{2})\.part$/.exec(name);
  if (match === null) return undefined;
  const [shard, asOfSeq, byte] = match.slice(1).map((digits) => Number.parseInt(digits, 16)) as [
    number,
    number,
    number,
  ];
  return { shard, asOfSeq, byte };
}

/**
 * Its bytes are on stable storage when it resolves, its name when the folder was synced. What a kill leaves of it has
 * another digest, and is written again.
 */
export async function writePart(folder: string, name: PartsName, byte: number, part: Uint8Array): Promise<void> {
  if (part.length === 0) return;
  const path = partFile(folder, name, byte);
  try {
    const file = await open(path, 'w', 0o600);
    try {
      await file.chmod(0o600);
      await writeFully(file, part, 0);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw toEdgeError(error, `writing ${path}`);
  }
  failpoint('parts.part-written');
}

export async function makePartsFolder(folder: string): Promise<void> {
  await makeFolderDurably(folder);
}

/**
 * A part as the checkpoint names it: its length is compared before it is read, its digest after. E_INTEGRITY where it
 * is not there, or other bytes are; E_IO.
 */
export async function readPart(
  folder: string,
  shard: number,
  checkpoint: HoldCheckpoint,
  byte: number,
): Promise<Uint8Array> {
  const { rows } = checkpoint.parts[byte]!;
  const path = partFile(folder, { shard, asOfSeq: checkpoint.asOfSeq }, byte);
  if (rows === 0) return new Uint8Array();
  const part = await readExactly(path, rows * FORM_BYTES);
  requirePart(checkpoint, byte, part);
  return part;
}

/** Bytes of parts whose files are not there, or have another digest. E_IO. */
export async function lackingParts(folder: string, shard: number, checkpoint: HoldCheckpoint): Promise<number[]> {
  const lacking: number[] = [];
  for (let byte = 0; byte < PARTS; byte++) {
    try {
      await readPart(folder, shard, checkpoint, byte);
    } catch (error) {
      if (!(error instanceof EdgeError) || error.code !== 'E_INTEGRITY') throw error;
      lacking.push(byte);
    }
  }
  return lacking;
}

/** Removes parts of the shard other than those that are kept. They can be made again, or were replaced. */
export async function removeParts(folder: string, shard: number, kept: ReadonlySet<number>): Promise<void> {
  const old = (await readFolder(folder)).filter((name) => {
    const parsed = parsePartName(name);
    return parsed?.shard === shard && !kept.has(parsed.asOfSeq);
  });
  if (old.length === 0) return;
  for (const name of old) {
    try {
      await unlink(join(folder, name));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw toEdgeError(error, `removing ${join(folder, name)}`);
    }
    failpoint('parts.old-removed');
  }
  await syncFolder(folder);
}

/** Part files, whatever they have in them. */
export async function partsIn(folder: string): Promise<(PartsName & { readonly byte: number })[]> {
  return (await readFolder(folder)).flatMap((name) => parsePartName(name) ?? []);
}

async function readExactly(path: string, bytes: number): Promise<Uint8Array> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw toEdgeError(error, `reading ${path}`);
    throw new EdgeError('E_INTEGRITY', `the part ${path} is not there`, { context: { path, isAbsent: true } });
  }
  try {
    const { size } = await file.stat();
    if (size !== bytes)
      throw new EdgeError('E_INTEGRITY', `${path} has ${size} bytes where ${bytes} belong`, { context: { path } });
    const part = new Uint8Array(bytes);
    for (let done = 0; done < bytes; ) {
      const { bytesRead } = await file.read(part, done, bytes - done, done);
      if (bytesRead === 0)
        throw new EdgeError('E_INTEGRITY', `${path} ends before byte ${bytes}`, { context: { path } });
      done += bytesRead;
    }
    return part;
  } catch (error) {
    throw toEdgeError(error, `reading ${path}`);
  } finally {
    await file.close();
  }
}
