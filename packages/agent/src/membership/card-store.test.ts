import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Card,
  createDataDir,
  dataDirAt,
  encodeCard,
  loadSodium,
  publicKeyOf,
  type Warning,
} from '@edgestore/engine';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CARD_AGENTS_MAX, CARD_INCARNATIONS_MAX, type CardStore, openCardStore } from './card-store.ts';

const sodium = await loadSodium();
const VAULT = '00'.repeat(16);
const ADMIN_SEED = new Uint8Array(32).fill(7);
let folder: string;
let warnings: Warning[];
let store: CardStore;

const open = (): Promise<CardStore> =>
  openCardStore({
    dataDir: dataDirAt(folder),
    sodium,
    vault: VAULT,
    adminPublicKey: publicKeyOf(sodium, ADMIN_SEED),
    warn: (warning) => void warnings.push(warning),
  });
const cardOf = (change: Partial<Card> = {}): Card => ({
  vaultId: VAULT,
  agentId: 'aa'.repeat(16),
  incarnation: 1,
  name: 'shop',
  site: 'shop',
  role: 'edge',
  signPublicKey: new Uint8Array(32).fill(1),
  tlsSpkiSha256: new Uint8Array(32).fill(2),
  addresses: ['https://a:1'],
  base: undefined,
  number: 1,
  ...change,
});
const signed = (change: Partial<Card> = {}, seed = ADMIN_SEED): Uint8Array => encodeCard(sodium, cardOf(change), seed);
const learn = async (...cards: Uint8Array[]) => {
  const { taken, refused } = await store.learn(cards);
  return {
    taken: taken.map(({ card }) => `${card.incarnation}/${card.number}`),
    refused: refused.map(({ code }) => code),
  };
};
const agentIdOf = (number: number): string => number.toString(16).padStart(32, '0');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'edgestore-cards-'));
  warnings = [];
  await createDataDir(dataDirAt(folder));
  store = await open();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the card with the higher number counts, also after a restart, and an older one never replaces it', async () => {
  expect(await learn(signed({ number: 2, addresses: ['https://b:2'] }))).toEqual({ taken: ['1/2'], refused: [] });
  expect(await learn(signed({ number: 1 }))).toEqual({ taken: [], refused: [] });
  store = await open();
  expect(await learn(signed({ number: 1 }))).toEqual({ taken: [], refused: [] });
  expect(store.newestOf('aa'.repeat(16))?.card.addresses).toEqual(['https://b:2']);
});

describe('log key and base of an incarnation', () => {
  const base = { incarnation: 1, seq: 9, link: 'ab'.repeat(32) };
  test.each([
    ['log key', { signPublicKey: new Uint8Array(32).fill(9) }],
    ['base', { base: { ...base, seq: 8 } }],
    ['base', { base: { ...base, link: 'cd'.repeat(32) } }],
    ['base', { base: undefined }],
  ] as const)('are those first taken: a later card with another %s is E_FORK, and named', async (what, change) => {
    await learn(signed({ incarnation: 2, base, number: 5 }));
    const { refused } = await store.learn([signed({ incarnation: 2, base, number: 6, ...change })]);
    expect(refused.map(({ code }) => code)).toEqual(['E_FORK']);
    expect(refused[0]?.message).toContain(`agent shop (aaaaaaaa), incarnation 2, have a different ${what}`);
    store = await open();
    expect(store.newestOf('aa'.repeat(16))?.card).toEqual(cardOf({ incarnation: 2, base, number: 5 }));
    expect(await learn(signed({ incarnation: 2, base, number: 6, ...change }))).toEqual({
      taken: [],
      refused: ['E_FORK'],
    });
  });

  test('stay while addresses, name and site change', async () => {
    await learn(signed());
    expect(await learn(signed({ number: 2, addresses: [], name: 'shop-b', site: 'b' }))).toEqual({
      taken: ['1/2'],
      refused: [],
    });
  });
});

test('two cards with one number are named; the one seen first counts', async () => {
  await learn(signed());
  expect(await learn(signed({ addresses: ['https://evil:1'] }))).toEqual({ taken: [], refused: ['E_FORK'] });
  expect(store.newestOf('aa'.repeat(16))?.card.addresses).toEqual(['https://a:1']);
});

test('a refused card stops no other one of the list', async () => {
  await learn(signed());
  const list = [
    signed({ number: 2, signPublicKey: new Uint8Array(32) }),
    signed({ number: 2 }, new Uint8Array(32).fill(1)),
    new Uint8Array(20_000),
    new Uint8Array(3),
    signed({ vaultId: 'ff'.repeat(16) }),
    signed({ agentId: agentIdOf(5) }),
  ];
  expect(await learn(...list)).toEqual({
    taken: ['1/1'],
    refused: ['E_FORK', 'E_INTEGRITY', 'E_FORMAT', 'E_FORMAT', 'E_DENIED'],
  });
});

test('a long list of cards that nobody signed is not verified to its end', async () => {
  const forged = Array.from({ length: 40 }, (_, at) => signed({ agentId: agentIdOf(at) }, new Uint8Array(32)));
  expect((await learn(...forged, signed())).refused.length).toBe(16);
});

test('agents and incarnations are bounded, and what is here already goes on changing', async () => {
  const lives = Array.from({ length: CARD_INCARNATIONS_MAX + 1 }, (_, at) =>
    signed({ incarnation: at + 1, number: at + 1 }),
  );
  const answer = await learn(...lives);
  expect(answer.taken.length).toBe(CARD_INCARNATIONS_MAX);
  expect(answer.refused).toEqual(['E_LIMIT']);
  const agents = Array.from({ length: CARD_AGENTS_MAX }, (_, at) => signed({ agentId: agentIdOf(at) }));
  expect((await learn(...agents)).refused).toEqual(['E_LIMIT']);
  expect(await learn(signed({ agentId: agentIdOf(3), number: 2 }))).toEqual({ taken: ['1/2'], refused: [] });
  expect(store.all().slice(0, CARD_AGENTS_MAX)).toEqual(store.newest());
});

test('a damaged file and one under another name are warned of and not used', async () => {
  await learn(signed(), signed({ agentId: agentIdOf(1) }));
  const dir = join(folder, 'cards');
  const [first, second] = readdirSync(dir).sort() as [string, string];
  const bytes = readFileSync(join(dir, second));
  writeFileSync(join(dir, first), bytes);
  bytes[40]! ^= 1;
  writeFileSync(join(dir, second), bytes);
  store = await open();
  expect(store.all()).toEqual([]);
  expect(warnings.map(({ code }) => code)).toEqual(['W_CARD_DAMAGED', 'W_CARD_DAMAGED']);
  rmSync(join(dir, first));
  expect((await learn(signed())).taken).toEqual(['1/1']);
});
