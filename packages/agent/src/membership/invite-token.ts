/**
 * The invite token: what an operator carries from one machine to another (`docs/formats/invite-token.md`). It holds addresses, the pin of the
 * inviting agent and a one-time secret; never the vault key, which crosses the pinned channel.
 */
import { createHash } from 'node:crypto';
import {
  ByteReader,
  ByteWriter,
  type CardRole,
  EdgeError,
  formatError,
  fromHex,
  type HexId,
  newerFormatError,
  toHex,
  type VaultId,
} from '@edgestore/engine';

export interface InviteToken {
  readonly vault: VaultId;
  /** 16 bytes, hex. */
  readonly inviteId: string;
  readonly role: CardRole;
  readonly expiresNs: bigint;
  /** SHA-256 of the inviting agent's SPKI. */
  readonly pin: HexId;
  /** 32 bytes; works as often as the invitation may be used. */
  readonly secret: Uint8Array;
  readonly addresses: readonly string[];
}

const PREFIX = 'edgestore-invite-1';
const WHAT = 'invite token';
const ROLES: readonly CardRole[] = ['edge', 'holder', 'reader'];
const ADDRESSES_MAX = 16;
/** Longer text than this is no token. */
export const TOKEN_LENGTH_MAX = 16 * 1024;

/** `edgestore-invite-1:<base64url>:<8 hex digits>` */
export function encodeInviteToken(token: InviteToken): string {
  const writer = new ByteWriter()
    .u8(ROLES.indexOf(token.role))
    .u64(token.expiresNs / 1_000_000_000n)
    .bytes(fromHex(token.vault, 16))
    .bytes(fromHex(token.inviteId, 16))
    .bytes(fromHex(token.pin, 32))
    .bytes(token.secret)
    .u8(token.addresses.length);
  for (const address of token.addresses) {
    const bytes = Buffer.from(address, 'utf8');
    writer.u16(bytes.length).bytes(bytes);
  }
  const body = `${PREFIX}:${Buffer.from(writer.finish()).toString('base64url')}`;
  return `${body}:${checkOf(body)}`;
}

/** White space anywhere is ignored, since tokens are pasted. E_FORMAT for what is no token, E_INTEGRITY for a mistyped one, E_NEWER_FORMAT. */
export function decodeInviteToken(text: string): InviteToken {
  if (text.length > TOKEN_LENGTH_MAX) throw formatError(WHAT, 'it is too long');
  const line = text.replace(/\s+/g, '');
  const version = /^edgestore-invite-(\d+):/.exec(line)?.[1];
  if (version !== undefined && version !== '1') throw newerFormatError(WHAT, `version ${version}`);
  const parts = /^(edgestore-invite-1:([A-Za-z0-9_-]+)):([0-9a-f]{8})$/.exec(line);
  if (parts === null) throw formatError(WHAT, 'it does not look like edgestore-invite-1:…');
  if (checkOf(parts[1]!) !== parts[3]) {
    throw new EdgeError('E_INTEGRITY', 'the invite token is mistyped or cut: its check digits do not match', {
      hint: 'Copy the whole line that `edgestore peer invite` printed.',
    });
  }
  const reader = new ByteReader(Buffer.from(parts[2]!, 'base64url'), WHAT);
  const role = ROLES[reader.u8()];
  if (role === undefined) throw formatError(WHAT, 'its role is unknown');
  const expiresNs = BigInt(reader.u64()) * 1_000_000_000n;
  const vault = toHex(reader.bytes(16));
  const inviteId = toHex(reader.bytes(16));
  const pin = toHex(reader.bytes(32));
  const secret = Uint8Array.from(reader.bytes(32));
  const count = reader.u8();
  if (count < 1 || count > ADDRESSES_MAX) throw formatError(WHAT, `${count} addresses`);
  const addresses: string[] = [];
  for (let i = 0; i < count; i++) addresses.push(Buffer.from(reader.bytes(reader.u16())).toString('utf8'));
  reader.end();
  return { vault, inviteId, role, expiresNs, pin, secret, addresses };
}

function checkOf(body: string): string {
  return createHash('sha256').update(body, 'latin1').digest('hex').slice(0, 8);
}
