/** What an invited machine asks, and what it is answered (`docs/formats/peer-protocol.md`, "Joining"). */
import { CARD_BYTES_MAX, EdgeError, formatError } from '@edgestore/engine';
import { z } from 'zod';
import { decodeParts, decodeSlots, encodeParts } from '../http/peer-wire.ts';
import { FORMAT, PROTOCOL, type VersionRange } from '../http/versions.ts';

export interface JoinRequest {
  readonly invite: string;
  readonly protocol: VersionRange;
  readonly format: VersionRange;
  readonly agent: string;
  readonly name: string;
  readonly site: string;
  /** Ed25519 public key of the log, hex. */
  readonly signPublicKey: string;
  /** `https://host:port`; the host `*` stands for the address that the inviter sees. */
  readonly addresses: readonly string[];
}

export interface JoinAnswer {
  readonly vault: Uint8Array;
  /** The vault key, sealed for the invitation. */
  readonly sealedKey: Uint8Array;
  readonly slots: readonly Uint8Array[];
  /** All cards, the new one first. */
  readonly cards: readonly Uint8Array[];
}

const PART_BYTES_MAX = 1024 * 1024;
const range = z.object({ min: z.int().min(0), max: z.int().min(0) });
const requestSchema = z.object({
  invite: z.string().regex(/^[0-9a-f]{32}$/),
  protocol: range,
  format: range,
  agent: z.string().regex(/^[0-9a-f]{32}$/),
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  site: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  signPublicKey: z.string().regex(/^[0-9a-f]{64}$/),
  addresses: z
    .array(
      z
        .string()
        .regex(/^https:\/\/[^/\s]+$/)
        .max(512),
    )
    .max(16),
});

/** The bytes that the proof signs. */
export function encodeJoinRequest(request: Omit<JoinRequest, 'protocol' | 'format'>): Uint8Array {
  return Buffer.from(JSON.stringify({ ...request, protocol: PROTOCOL, format: FORMAT }));
}

export function signedJoinRequest(request: Uint8Array, proof: Uint8Array): Uint8Array {
  return encodeParts([request, proof]);
}

export function decodeSignedJoinRequest(bytes: Uint8Array): {
  request: JoinRequest;
  requestBytes: Uint8Array;
  proof: Uint8Array;
} {
  const [requestBytes, proof, more] = decodeParts(bytes, 'join request', 64 * 1024);
  if (requestBytes === undefined || proof === undefined || more !== undefined)
    throw formatError('join request', 'it has not two parts');
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(requestBytes).toString('utf8'));
  } catch (error) {
    throw new EdgeError('E_FORMAT', 'join request: it is not JSON', { cause: error });
  }
  const parsed = requestSchema.safeParse(json);
  if (!parsed.success) throw formatError('join request', z.prettifyError(parsed.error).slice(0, 500));
  return { request: parsed.data, requestBytes, proof };
}

export function encodeJoinAnswer(answer: JoinAnswer): Uint8Array {
  return encodeParts([answer.vault, answer.sealedKey, encodeParts(answer.slots), encodeParts(answer.cards)]);
}

export function decodeJoinAnswer(bytes: Uint8Array): JoinAnswer {
  const [vault, sealedKey, slots, cards] = decodeParts(bytes, 'join answer', PART_BYTES_MAX * 2);
  if (vault === undefined || sealedKey === undefined || slots === undefined || cards === undefined) {
    throw formatError('join answer', 'it has not four parts');
  }
  return {
    vault,
    sealedKey,
    slots: decodeSlots(slots),
    cards: decodeParts(cards, 'cards', CARD_BYTES_MAX),
  };
}
