/**
 * The agent's TLS key and self-signed certificate. Nobody checks names, issuers or dates in it: peers pin the SHA-256 of its public key
 * (SPKI), which the vault's admin signed into the agent's card.
 */
import { webcrypto, X509Certificate } from 'node:crypto';
import { spkiPin } from './spki-pin.ts';

export interface TlsIdentity {
  readonly keyPem: string;
  readonly certPem: string;
  /** SHA-256 of the SPKI, 64 hex digits. */
  readonly spkiSha256: string;
}

/** A fresh P-256 key with a certificate without end, since a pin does not expire and an agent must not stop on a date. */
export async function createTlsIdentity(commonName: string): Promise<TlsIdentity> {
  // The library's own dependency refuses to load without the polyfill; both are loaded only where a key is made.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto as never);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [commonName.slice(0, 64)] }],
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('9999-12-31T23:59:59Z'),
    signingAlgorithm: algorithm,
    keys: keys as never,
    extensions: [],
  });
  const certPem = certificate.toString('pem');
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/(.{64})/g, '$1\n').trimEnd()}\n-----END PRIVATE KEY-----\n`;
  return { keyPem, certPem, spkiSha256: spkiPin(new X509Certificate(certPem)) };
}
