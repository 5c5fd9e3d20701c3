import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadSodium } from './sodium.ts';
import { decrypt, encrypt, encryptInto, type Route } from './xchacha20poly1305.ts';

const sodium = await loadSodium();
const routes: readonly Route[] = ['native', 'sodium'];

test('the test vector of the XChaCha draft (appendix A.3.1)', () => {
  const text =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
  const key = Buffer.from('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f', 'hex');
  const nonce = Buffer.from('404142434445464748494a4b4c4d4e4f5051525354555657', 'hex');
  const associatedData = Buffer.from('50515253c0c1c2c3c4c5c6c7', 'hex');
  const expected =
    'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e' +
    '1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e' +
    'c0875924c1c7987947deafd8780acf49';
  for (const route of routes) {
    const sealed = encrypt(sodium, Buffer.from(text), associatedData, nonce, key, route);
    expect(Buffer.from(sealed).toString('hex')).toBe(expected);
  }
});

test("both routes give libsodium's bytes and open each other's, for any length and associated data", () => {
  const lengths = fc.oneof(fc.nat(200), fc.constantFrom(3071, 3072, 3073, 65_537));
  fc.assert(
    fc.property(lengths, fc.nat(100), (length, adLength) => {
      const [message, associatedData, nonce, key] = [length, adLength, 24, 32].map((n) => randomBytes(n)) as [
        Buffer,
        Buffer,
        Buffer,
        Buffer,
      ];
      const theirs = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(message, associatedData, null, nonce, key);
      for (const route of routes) {
        const ours = new Uint8Array(length + 16);
        expect(encryptInto(sodium, ours, 0, message, associatedData, nonce, key, route)).toBe(ours.length);
        expect(Buffer.compare(ours, theirs)).toBe(0);
        expect(Buffer.compare(decrypt(sodium, theirs, associatedData, nonce, key, route)!, message)).toBe(0);
      }
    }),
    { numRuns: 60 },
  );
});

test('no single flipped bit, shorter message or other associated data opens', () => {
  const [message, nonce, key] = [randomBytes(40), randomBytes(24), randomBytes(32)];
  const associatedData = randomBytes(10);
  const sealed = encrypt(sodium, message, associatedData, nonce, key);
  for (const route of routes) {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = new Uint8Array(sealed);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(decrypt(sodium, flipped, associatedData, nonce, key, route)).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(decrypt(sodium, sealed.subarray(0, length), associatedData, nonce, key, route)).toBeUndefined();
    }
    expect(decrypt(sodium, sealed, associatedData.subarray(1), nonce, key, route)).toBeUndefined();
  }
});
