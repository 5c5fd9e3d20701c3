/** The file `put-back`: proof that this machine was put back to an older state (docs/formats/data-dir.md). While it is there, nothing is sent to a store. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ByteReader, ByteWriter, bytesEqual } from '../core/bytes.ts';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { type AgentId, fromHex, toHex } from '../core/ids.ts';
import type { PutBack, PutBackProof } from '../ports/put-back.ts';
import { writeFileDurably } from './durable-write.ts';

const MAGIC: Uint8Array = Buffer.from('EDGEPUTB', 'latin1');
const CHECKSUM_BYTES = 32;
const SHOWN_BY_BYTES_MAX = 1024;

/** E_INTEGRITY when the file is there and damaged: what it proved is not known, so nothing may be sent. */
export async function openPutBack(
  path: string,
  self: { readonly agentId: AgentId; readonly incarnation: number },
): Promise<PutBack> {
  const found = await readProof(path, self);
  let proof = found;
  return {
    get: () => proof,
    async set(given) {
      if (proof !== undefined) return;
      await writeFileDurably(path, encodeProof(self, given));
      proof = given;
    },
  };
}

/** A proof against another incarnation is from before a takeover, which ended the state. */
async function readProof(
  path: string,
  self: { readonly agentId: AgentId; readonly incarnation: number },
): Promise<PutBackProof | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `reading ${path}`);
  }
  const covered = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  if (!bytesEqual(createHash('sha256').update(covered).digest(), bytes.subarray(covered.length))) {
    throw new EdgeError('E_INTEGRITY', `${path} is damaged: its checksum does not match`, {
      hint: 'The file says that this machine was put back to an older state. Recover it with `edgestore recover`.',
      context: { path },
    });
  }
  const reader = new ByteReader(covered, 'put-back proof');
  reader.magic(MAGIC);
  const agent = toHex(reader.bytes(16));
  const incarnation = reader.u32();
  const position = { incarnation: reader.u32(), seq: reader.u64(), link: toHex(reader.bytes(32)) };
  const sinceNs = BigInt(reader.u64()) * 1_000_000n;
  const shownBy = new TextDecoder().decode(reader.bytes(reader.u16()));
  reader.end();
  return agent === self.agentId && incarnation === self.incarnation ? { position, sinceNs, shownBy } : undefined;
}

function encodeProof(
  self: { readonly agentId: AgentId; readonly incarnation: number },
  { position, shownBy, sinceNs }: PutBackProof,
): Uint8Array {
  const name = new TextEncoder().encode(shownBy).subarray(0, SHOWN_BY_BYTES_MAX);
  const covered = new ByteWriter()
    .bytes(MAGIC)
    .bytes(fromHex(self.agentId, 16))
    .u32(self.incarnation)
    .u32(position.incarnation)
    .u64(position.seq)
    .bytes(fromHex(position.link, 32))
    .u64(sinceNs / 1_000_000n)
    .u16(name.length)
    .bytes(name)
    .finish();
  return Buffer.concat([covered, createHash('sha256').update(covered).digest()]);
}
