/** The first words between two agents: versions, vault, and the cards that each knows (`docs/formats/peer-protocol.md`). */
import { EdgeError } from '@edgestore/engine';
import { z } from 'zod';
import { commonVersion, FORMAT, PROTOCOL } from './versions.ts';

/** Members of one vault that a hello may speak of. */
const CARDS_MAX = 1024;
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
});

export interface Hello {
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
      cards: hello.cards.slice(0, CARDS_MAX).map((card) => Buffer.from(card).toString('base64')),
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
  return { ...hello, cards: hello.cards.map((card) => new Uint8Array(Buffer.from(card, 'base64'))) };
}
