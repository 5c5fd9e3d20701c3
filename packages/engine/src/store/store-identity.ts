/**
 * The store's id and its epoch, each in a file with a check (docs/formats/store-identity.md). A store whose id or epoch cannot be read is another store:
 * what was believed of the old one is asked again.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { bytesEqual } from '../core/bytes.ts';
import type { RandomBytes } from '../core/clock.ts';
import { errnoOf, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { toHex } from '../core/ids.ts';
import type { StoreIdentity } from '../ports/store-identity.ts';

const ID_MAGIC = Buffer.from('EDGESTID', 'latin1');
const EPOCH_MAGIC = Buffer.from('EDGEEPOC', 'latin1');
const CHECK_BYTES = 8;

export interface OpenedIdentity extends StoreIdentity {
  /** The id is new: the data dir is, or its file was of no use. */
  readonly isNew: boolean;
  /** Raises the epoch before a loss is marked, unless it rose already since it was last told to anybody. */
  noteLoss(): void;
}

export function openStoreIdentity(
  paths: { readonly storeIdFile: string; readonly epochFile: string },
  random: RandomBytes = (bytes) => new Uint8Array(randomBytes(bytes)),
): OpenedIdentity {
  const known = {
    id: readChecked(paths.storeIdFile, ID_MAGIC, 16),
    epoch: readChecked(paths.epochFile, EPOCH_MAGIC, 8),
  };
  const isNew = known.id === undefined || known.epoch === undefined;
  const id = isNew ? random(16) : known.id!;
  let epoch = isNew ? 1n : Buffer.from(known.epoch!).readBigUInt64LE(0);
  if (isNew) {
    // The epoch first: an id that is there has one.
    writeChecked(paths.epochFile, EPOCH_MAGIC, epochBytes(epoch));
    failpoint('store-identity.epoch-written');
    writeChecked(paths.storeIdFile, ID_MAGIC, id);
    failpoint('store-identity.id-written');
  }
  let wasTold = true;
  const raiseEpoch = (above = epoch): bigint => {
    epoch = (above > epoch ? above : epoch) + 1n;
    writeChecked(paths.epochFile, EPOCH_MAGIC, epochBytes(epoch));
    failpoint('store-identity.epoch-raised');
    wasTold = false;
    return epoch;
  };
  return {
    storeId: toHex(id),
    startId: toHex(random(16)),
    isNew,
    epoch: () => {
      wasTold = true;
      return epoch;
    },
    raiseEpoch,
    noteLoss: () => {
      if (wasTold) raiseEpoch();
    },
  };
}

function epochBytes(epoch: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(epoch, 0);
  return bytes;
}

/** Undefined where the file is absent or not what was written. */
function readChecked(path: string, magic: Buffer, length: number): Uint8Array | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `reading ${path}`);
  }
  const value = bytes.subarray(magic.length, magic.length + length);
  const isWhole = bytes.length === magic.length + length + CHECK_BYTES && bytes.subarray(0, magic.length).equals(magic);
  return isWhole && bytesEqual(bytes.subarray(magic.length + length), checkOf(magic, value)) ? value : undefined;
}

/** Waits for the disk, because it runs inside index transactions: a loss may not be marked before the epoch is durable. */
function writeChecked(path: string, magic: Buffer, value: Uint8Array): void {
  const temporary = `${path}.new`;
  try {
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeSync(file, Buffer.concat([magic, value, checkOf(magic, value)]));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    const folder = openSync(dirname(path), 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    rmSync(temporary, { force: true });
    throw toEdgeError(error, `writing ${path}`);
  }
}

function checkOf(magic: Buffer, value: Uint8Array): Uint8Array {
  return createHash('sha256').update(magic).update(value).digest().subarray(0, CHECK_BYTES);
}
