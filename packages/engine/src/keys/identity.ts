/** An agent's own secrets and names (`agent/identity.edge`, 0600). See docs/formats/keys.md. */
import { createHash } from 'node:crypto';
import { CborFields, decodeCborMap } from '../codec/bounded-cbor.ts';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import { type AgentId, fromHex, toHex } from '../core/ids.ts';
import { encodeStructure, type StructureFormat, splitStructure } from './signed-structure.ts';

export interface AgentIdentity {
  readonly agentId: AgentId;
  readonly name: string;
  readonly site: string;
  /** From 1 on; a takeover raises it. */
  readonly incarnation: number;
  /** Ed25519 seed of the agent's log, 32 bytes. */
  readonly signSeed: Uint8Array;
  readonly tlsKeyPem: string;
  readonly tlsCertPem: string;
}

/** Names of agents and sites: bounded because they travel in cards and land in messages. */
export const AGENT_NAME_LENGTH_MAX = 128;

const WHAT = 'agent identity';
const PEM_LENGTH_MAX = 16 * 1024;
const FORMAT: StructureFormat = {
  what: WHAT,
  magic: 'EDGEAGNT',
  version: 1,
  cborBytesMax: 64 * 1024,
  trailerBytes: 32,
};

export function encodeIdentity(identity: AgentIdentity): Uint8Array {
  const covered = encodeStructure(
    FORMAT,
    new Map<number, unknown>([
      [0, fromHex(identity.agentId, 16)],
      [1, identity.name],
      [2, identity.site],
      [3, identity.incarnation],
      [4, identity.signSeed],
      [5, identity.tlsKeyPem],
      [6, identity.tlsCertPem],
    ]),
  );
  return Buffer.concat([covered, createHash('sha256').update(covered).digest()]);
}

/** E_INTEGRITY when the checksum does not match, E_FORMAT when it is no identity, E_NEWER_FORMAT. */
export function decodeIdentity(bytes: Uint8Array): AgentIdentity {
  const { covered, trailer } = splitStructure(FORMAT, bytes);
  if (!bytesEqual(createHash('sha256').update(covered).digest(), trailer)) {
    throw new EdgeError('E_INTEGRITY', 'the agent identity is damaged: its checksum does not match', {
      hint: 'Run `edgestore recover` into a new data dir to take the identity over from a peer or the bucket.',
    });
  }
  const fields = new CborFields(decodeCborMap(covered.subarray(14), WHAT), WHAT);
  return {
    agentId: toHex(fields.bytes(0, 'agent id', 16)),
    name: fields.text(1, 'name', AGENT_NAME_LENGTH_MAX),
    site: fields.text(2, 'site', AGENT_NAME_LENGTH_MAX),
    incarnation: fields.uint(3, 'incarnation', 0xffff_ffff),
    signSeed: fields.bytes(4, 'signing seed', 32),
    tlsKeyPem: fields.text(5, 'TLS key', PEM_LENGTH_MAX),
    tlsCertPem: fields.text(6, 'TLS certificate', PEM_LENGTH_MAX),
  };
}
