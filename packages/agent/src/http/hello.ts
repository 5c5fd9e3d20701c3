/** The first words between two agents: versions, vault, and the cards that each knows (`docs/formats/peer-protocol.md`). */
import { EdgeError, SHARED_SLOTS_MAX, SLOT_REMOVALS_MAX } from '@edgestore/engine';
import { z } from 'zod';
import { commonVersion, FORMAT, PROTOCOL } from './versions.ts';

/** Members of one vault that a hello may speak of. */
const CARDS_MAX = 1024;
/** Leaves room for the largest descriptor and all slots and marks in base64. */
const CARDS_BYTES_MAX = 2 * 1024 * 1024;
export const HELLO_BYTES_MAX = 4 * 1024 * 1024;

const range = z.object({ min: z.int().min(0), max: z.int().min(0) });
const helloSchema = z.object({
  protocol: range,
  format: range,
  vault: z.string().regex(/^[0-9a-f]{32}$/),
  agent: z.string().regex(/^[0-9a-f]{32}$/),
  program: z.string().max(128),
  /** Milliseconds since 1970 on the sender's wall clock, to notice one that is wrong. */
  wallMs: z.number(),
  cards: z.array(z.base64().max(32 * 1024)).max(CARDS_MAX),
  descriptor: z
    .base64()
    .max(96 * 1024)
    .optional(),
  slots: z.array(z.base64().max(1024)).max(SHARED_SLOTS_MAX).optional(),
  removals: z.array(z.base64().max(1024)).max(SLOT_REMOVALS_MAX).optional(),
});

/** The vault's clear files that members spread: each is signed by the admin key, and verified by whoever takes it. */
export interface SharedFiles {
  readonly descriptor: Uint8Array;
  readonly slots: readonly Uint8Array[];
  readonly removals: readonly Uint8Array[];
}

export interface Hello extends Partial<SharedFiles> {
  readonly vault: string;
  readonly agent: string;
  readonly program: string;
  readonly wallMs: number;
  readonly cards: readonly Uint8Array[];
}

export function encodeHello(hello: Hello): Buffer {
  return Buffer.from(
    JSON.stringify({
      protocol: PROTOCOL,
      format: FORMAT,
      vault: hello.vault,
      agent: hello.agent,
      program: hello.program,
      wallMs: hello.wallMs,
      cards: cardsThatFit(hello.cards).map(base64),
      ...(hello.descriptor === undefined ? {} : { descriptor: base64(hello.descriptor) }),
      slots: (hello.slots ?? []).map(base64),
      removals: (hello.removals ?? []).map(base64),
    }),
  );
}

/** E_FORMAT when it is no hello, E_NEWER_FORMAT when there is no common version, E_DENIED for another vault. */
export function acceptHello(received: unknown, ourVault: string, who: string): Hello {
  const parsed = helloSchema.safeParse(received);
  if (!parsed.success)
    throw new EdgeError('E_FORMAT', `${who} sent no valid hello`, {
      context: { problem: z.prettifyError(parsed.error).slice(0, 500) },
    });
  const hello = parsed.data;
  commonVersion(PROTOCOL, hello.protocol, 'protocol', who);
  commonVersion(FORMAT, hello.format, 'format', who);
  if (hello.vault !== ourVault) {
    throw new EdgeError(
      'E_DENIED',
      `${who} belongs to another vault (${hello.vault.slice(0, 8)}, not ${ourVault.slice(0, 8)})`,
      {
        hint: 'Agents replicate within one vault only.',
      },
    );
  }
  const { descriptor, ...rest } = hello;
  return {
    ...rest,
    cards: hello.cards.map(fromBase64),
    ...(descriptor === undefined ? {} : { descriptor: fromBase64(descriptor) }),
    slots: (hello.slots ?? []).map(fromBase64),
    removals: (hello.removals ?? []).map(fromBase64),
  };
}

/** The newest card of each agent comes first; older incarnations that do not fit come with the chains. */
function cardsThatFit(cards: readonly Uint8Array[]): Uint8Array[] {
  let bytes = 0;
  return cards.slice(0, CARDS_MAX).filter((card) => {
    bytes += card.length;
    return bytes <= CARDS_BYTES_MAX;
  });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
