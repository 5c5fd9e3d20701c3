import { EdgeError, loadSodium } from '@edgestore/engine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveInviteKeys, openAsInvited, proveInvite, sealForInvited, verifyInvite } from './invite-keys.ts';
import { decodeInviteToken, encodeInviteToken } from './invite-token.ts';

const token = {
  vault: 'ab'.repeat(16),
  inviteId: 'cd'.repeat(16),
  role: 'holder' as const,
  expiresNs: 1_800_000_000_000_000_000n,
  pin: 'ef'.repeat(32),
  secret: new Uint8Array(32).fill(5),
  addresses: ['https://shop.example:7420', 'https://[::1]:7420'],
};

describe('the invite token', () => {
  it('reads back what was written, also when it was pasted with line breaks', () => {
    const text = encodeInviteToken(token);
    expect(decodeInviteToken(text)).toEqual(token);
    expect(decodeInviteToken(`  ${text.replace(/(.{60})/g, '$1\n')}\n`)).toEqual(token);
  });

  it('tells a mistyped token from one that is none, and from a newer one', () => {
    const text = encodeInviteToken(token);
    const code = (broken: string): string => {
      try {
        decodeInviteToken(broken);
      } catch (error) {
        return (error as EdgeError).code;
      }
      return 'ok';
    };
    for (let i = 'edgestore-invite-1:'.length; i < text.length; i += 7) {
      const other = text[i] === 'a' ? 'b' : 'a';
      expect(['E_INTEGRITY', 'E_FORMAT']).toContain(code(text.slice(0, i) + other + text.slice(i + 1)));
    }
    expect(code('hello')).toBe('E_FORMAT');
    expect(code(text.replace('invite-1', 'invite-2'))).toBe('E_NEWER_FORMAT');
    expect(code(text.slice(0, -9))).toBe('E_FORMAT');
    expect(code('x'.repeat(1_000_000))).toBe('E_FORMAT');
  });

  it('on arbitrary text returns or throws an EdgeError', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          decodeInviteToken(`edgestore-invite-1:${text}`);
        } catch (error) {
          expect(error).toBeInstanceOf(EdgeError);
        }
      }),
    );
  });
});

describe('the keys of an invitation', () => {
  it('prove it on one channel and for one request only', async () => {
    const sodium = await loadSodium();
    const keys = deriveInviteKeys(sodium, token.secret);
    const [server, client, request] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2), Buffer.from('request')];
    const proof = proveInvite(sodium, keys, server, client, request);
    const check = (s: Uint8Array, c: Uint8Array, r: Uint8Array): boolean =>
      verifyInvite(sodium, keys.proofPublicKey, s, c, r, proof);
    expect(check(server, client, request)).toBe(true);
    expect(check(client, client, request)).toBe(false);
    expect(check(server, server, request)).toBe(false);
    expect(check(server, client, Buffer.from('requesT'))).toBe(false);
    const vaultKey = new Uint8Array(32).fill(9);
    const sealed = sealForInvited(sodium, keys.boxPublicKey, vaultKey);
    expect(openAsInvited(sodium, keys, sealed)).toEqual(vaultKey);
    expect(() => openAsInvited(sodium, deriveInviteKeys(sodium, new Uint8Array(32)), sealed)).toThrow(EdgeError);
  });
});
