import { createHash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** SHA-256 of the certificate's public key (DER of SubjectPublicKeyInfo), 64 hex digits: what peers pin. */
export function spkiPin(certificate: X509Certificate): string {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** The pin of the other side of a connection; undefined when it showed no certificate. */
export function peerPin(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : spkiPin(certificate);
}
