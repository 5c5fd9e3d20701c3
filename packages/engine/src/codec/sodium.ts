/** Loads libsodium (its complete WASM build) once per thread. */
import libsodium from 'libsodium-wrappers-sumo';

/** The initialised library; every function that needs it takes it as an argument. */
export type Sodium = typeof libsodium;

/** Resolves when the library may be used; later calls resolve at once with the same object. */
export async function loadSodium(): Promise<Sodium> {
  await libsodium.ready;
  return libsodium;
}
