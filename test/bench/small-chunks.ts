/**
 * Many chunks without many bytes: a vault whose chunker cuts some 270 bytes in place of 512 KiB, and a tree of files
 * that consist of nothing but new chunks. Everything else is as in any vault, and every byte of it is written by the
 * program itself.
 */
import { createCipheriv } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { unlockVault } from '@edgestore/agent';
import {
  dataDirAt,
  decodeKeyFile,
  encodeVaultDescriptor,
  loadSodium,
  openAdminSeed,
  openVaultDescriptor,
} from '@edgestore/engine';

/** The shortest that a vault may have. */
const CHUNKER = { name: 'fastcdc-1', min: 64, avg: 256, max: 512 } as const;
/** What these lengths come to on bytes of chance. */
const MEAN_BYTES = 282;

/** Signs the descriptor of a vault that was just made again, with the lengths above. */
export async function cutSmallChunks(dataDirPath: string): Promise<void> {
  const dir = dataDirAt(dataDirPath);
  const sodium = await loadSodium();
  const secret = decodeKeyFile(readFileSync(dir.storedKeyFile, 'latin1'));
  const vaultKey = await unlockVault(dir, { type: 'keyfile', secret });
  const { descriptor, keys } = openVaultDescriptor(sodium, readFileSync(dir.vaultFile), vaultKey);
  const adminSeed = openAdminSeed(sodium, keys, readFileSync(dir.adminFile));
  const changed = { ...descriptor, chunker: CHUNKER };
  writeFileSync(dir.vaultFile, encodeVaultDescriptor(sodium, changed, { macKey: keys.macKey, adminSeed }));
}

/**
 * Half of the chunks in files of some 256 chunks, whose lists lie in their entries; half in files of some 200,000,
 * whose lists are chunks themselves.
 */
export function makeTree(folder: string, chunks: number): void {
  const next = randomBytes();
  const bytes = chunks * MEAN_BYTES;
  const small = 256 * MEAN_BYTES;
  const large = 200_000 * MEAN_BYTES;
  mkdirSync(join(folder, 'large'), { recursive: true });
  for (let at = 0, number = 0; at < bytes / 2; at += large, number++) {
    const file = openSync(join(folder, 'large', `${number}.bin`), 'w');
    for (let left = Math.min(large, bytes / 2 - at); left > 0; left -= 1 << 20)
      writeSync(file, next(Math.ceil(Math.min(left, 1 << 20))));
    closeSync(file);
  }
  for (let at = 0, number = 0; at < bytes / 2; at += small, number++) {
    const below = join(folder, `small-${Math.floor(number / 100)}`);
    if (number % 100 === 0) mkdirSync(below);
    writeFileSync(join(below, `${number}.bin`), next(small));
  }
}

/** The same bytes on every machine. */
function randomBytes(): (length: number) => Buffer {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16));
  const zeros = Buffer.alloc(1 << 20);
  return (length) => cipher.update(zeros.subarray(0, length));
}
