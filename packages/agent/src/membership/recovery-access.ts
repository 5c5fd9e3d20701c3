/** Lets a machine without a card read, once it proved that it has the vault key (`docs/formats/peer-protocol.md`, "Recovery"). */
import { type Clock, EdgeError, fromHex, type RandomBytes, type Sodium, verifyRecoveryProof } from '@edgestore/engine';

export interface RecoveryAccess {
  /** 32 fresh bytes for the machine to sign. */
  challenge(clientPin: string): Uint8Array;
  /** E_DENIED unless the proof answers the last challenge of that machine. */
  prove(clientPin: string, proof: Uint8Array): void;
  mayRead(clientPin: string): boolean;
}

/** Machines under recovery at once; the oldest gives way. */
const MACHINES_MAX = 64;
const CHALLENGE_MS_MAX = 5 * 60_000;
/** A whole recovery over a thin line takes its time; afterwards the machine has a card. */
const GRANT_MS = 7 * 24 * 3_600_000;

export function createRecoveryAccess(deps: {
  readonly sodium: Sodium;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly proofPublicKey: Uint8Array;
  /** Of this agent: what the machine has pinned. */
  readonly pin: string;
}): RecoveryAccess {
  const challenges = new Map<string, { readonly bytes: Uint8Array; readonly untilMs: number }>();
  const granted = new Map<string, number>();
  const bound = (map: Map<string, unknown>): void => {
    while (map.size > MACHINES_MAX) map.delete(map.keys().next().value!);
  };
  return {
    challenge(clientPin) {
      const bytes = deps.random(32);
      challenges.delete(clientPin);
      challenges.set(clientPin, { bytes, untilMs: deps.clock.monotonicMs() + CHALLENGE_MS_MAX });
      bound(challenges);
      return bytes;
    },
    prove(clientPin, proof) {
      const asked = challenges.get(clientPin);
      // Each challenge is good for one try.
      challenges.delete(clientPin);
      const isProven =
        asked !== undefined &&
        deps.clock.monotonicMs() < asked.untilMs &&
        verifyRecoveryProof(
          deps.sodium,
          deps.proofPublicKey,
          boundChallenge(asked.bytes, clientPin),
          fromHex(deps.pin, 32),
          proof,
        );
      if (!isProven) {
        throw new EdgeError('E_DENIED', 'the recovery key was not proven', {
          hint: 'Is the recovery sheet the one of this vault?',
        });
      }
      granted.set(clientPin, deps.clock.monotonicMs() + GRANT_MS);
      bound(granted);
    },
    mayRead: (clientPin) => (granted.get(clientPin) ?? 0) > deps.clock.monotonicMs(),
  };
}

/** What is signed names both ends of the channel: the challenge is bound to the client's key here, the server's pin goes in beside it. */
export function boundChallenge(challenge: Uint8Array, clientPin: string): Uint8Array {
  return Buffer.concat([challenge, fromHex(clientPin, 32)]);
}
