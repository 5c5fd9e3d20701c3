/** What other packages' tests use. The contract suites are imported by their own file, because they need vitest. */
export { createFakeClock, createHastyClock, type FakeClock } from './fake-clock.ts';
export {
  createFaultyObjectStore,
  type Fault,
  type FaultEffect,
  type FaultyObjectStore,
  type FaultyVerb,
} from './faulty-object-store.ts';
export { type MadePack, makePack, makeSealedChunk } from './make-pack.ts';
export { realClock } from './real-clock.ts';
export { createSeededRandom, randomFraction } from './seeded-random.ts';
