import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EntryKind, encodeEntry, placeAfter, positionOf } from '../chain/entry-head.ts';
import { encodeAdd } from '../chain/forms.ts';
import { encodeStatement, verifyStatement } from '../chain/statement.ts';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import { createAskedChunks } from '../core/asked-chunks.ts';
import { EdgeError } from '../core/errors.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { PeerLink } from '../core/ports/peer.ts';
import { verifyCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { openPutBack } from '../store/put-back.ts';
import { type HolderFixture, type LinkStep, openHolderFixture } from '../testing/holder-fixture.ts';
import { createMemoryChain, type MemoryChain } from '../testing/memory-chain.ts';
import { chunkSealer, formOf } from '../testing/owner-fixture.ts';
import { realClock } from '../testing/real-clock.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import {
  FIXTURE_SELF,
  FIXTURE_SIGN_SEED,
  FIXTURE_VAULT,
  fixtureKeys,
  type OpenedStore,
  openStore,
  readable,
  storeChunks,
  temporaryFolder,
} from '../testing/store-fixture.ts';
import type { ReplicateDeps, ReplicateReport } from './replicate-deps.ts';
import { replicateToPeer } from './replicate-to-peer.ts';

const sodium = await loadSodium();
const random = createSeededRandom('replicate to peer');
const chunk = chunkSealer(random);
const ownerKey = publicKeyOf(sodium, FIXTURE_SIGN_SEED);

let folder: ReturnType<typeof temporaryFolder>;
let owner: OpenedStore;
let deps: ReplicateDeps;
let at: HolderFixture;
let count = 0;

beforeEach(async () => {
  folder = temporaryFolder();
  await openOwner();
  await openHolder();
});
afterEach(() => {
  owner.close();
  at.close();
  folder.remove();
});

const ownerPath = () => join(folder.path, 'owner');
const holderPath = () => join(folder.path, 'holder');

async function openOwner(): Promise<void> {
  owner = await openStore(ownerPath());
  deps = {
    clock: realClock,
    random,
    sodium,
    opener: createOpener(sodium, fixtureKeys()),
    vault: FIXTURE_VAULT,
    self: { agentId: FIXTURE_SELF, incarnation: 1, signSeed: FIXTURE_SIGN_SEED },
    index: owner.index,
    chains: owner.chains,
    chain: owner.chain,
    asked: createAskedChunks(),
    putBack: await openPutBack(join(ownerPath(), 'put-back'), { agentId: FIXTURE_SELF, incarnation: 1 }),
    sources: [owner.chunks],
    files: { descriptor: async () => new Uint8Array(0), slots: async () => [], cards: async () => [] },
  };
}

async function openHolder(): Promise<void> {
  at = await openHolderFixture(holderPath(), { ownerKey });
}

async function reopenHolder(change: () => void = () => {}): Promise<void> {
  at.close();
  change();
  await openHolder();
}

/** Stores and holds some chunks, and records something behind them. */
async function capture(chunks = 8, bytes = 200, shard = 1): Promise<SealedChunk[]> {
  const made = Array.from({ length: chunks }, () => chunk(`text ${++count} `.repeat(bytes / 8)));
  await storeChunks(owner, made);
  await owner.chain.add(shard, made.map(formOf));
  await owner.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
  return made;
}

const pass = (link: PeerLink = at.link): Promise<ReplicateReport> => replicateToPeer(at.member, link, deps);

const packsOf = (path: string): string[] =>
  readdirSync(join(path, 'packs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pack'))
    .map((name) => join(path, 'packs', name));

describe('a pass', () => {
  test('brings chain and frames, and the next one sends nothing', async () => {
    const chunks = [...(await capture()), ...(await capture(5, 200, 2))];
    const report = await pass();
    expect(report).toMatchObject({ chunks: 13, entries: 4, position: owner.chain.position() });
    expect(report.sentBytes).toBe(at.receivedBytes);
    expect(await readable(at.store, chunks)).not.toContain(false);
    expect(at.store.chains.position(FIXTURE_SELF)).toEqual(owner.chain.position());
    expect(await pass()).toMatchObject({ chunks: 0, sentBytes: 0, entries: 0, position: owner.chain.position() });
    await capture(1);
    expect(await pass()).toMatchObject({ chunks: 1, entries: 2, position: owner.chain.position() });
  });

  test('bodies of many adds come after the headers and records, in pages', async () => {
    // 80 bytes a form: more than goes along with the headers.
    const chunks = Array.from({ length: 14_000 }, (_, i) => chunk(`small ${i}`));
    await storeChunks(owner, chunks);
    await owner.chain.add(1, chunks.map(formOf));
    await owner.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
    const steps: LinkStep[] = [];
    at.before = (step) => {
      if (steps.at(-1) !== step) steps.push(step);
    };
    await pass();
    expect(steps.indexOf('bodies')).toBeGreaterThan(steps.indexOf('entries'));
    expect(steps.indexOf('frames')).toBeGreaterThan(steps.indexOf('bodies'));
    expect(at.store.chains.shards(FIXTURE_SELF)).toMatchObject([{ held: 14_000, wanted: 0 }]);
  }, 60_000);

  test.each<LinkStep>(['statement', 'entries', 'wanted', 'frames', 'verify'])(
    'that broke off at %s, before or after it was done, is taken up by the next one',
    async (step) => {
      const chunks = await capture(20);
      for (const when of ['before', 'after'] as const) {
        at[when] = (now) => {
          if (now === step) throw new EdgeError('E_STORE', 'the line broke', { retryable: true });
        };
        await expect(pass()).rejects.toMatchObject({ code: 'E_STORE' });
        at[when] = () => {};
      }
      expect(await pass()).toMatchObject({ position: owner.chain.position() });
      expect(await readable(at.store, chunks)).not.toContain(false);
    },
  );

  test('a holder that lost its packs says so, and gets them again', async () => {
    const chunks = await capture(30);
    await pass();
    await reopenHolder(() => {
      for (const pack of packsOf(holderPath())) rmSync(pack);
    });
    expect(at.store.chains.shards(FIXTURE_SELF)).toMatchObject([{ lost: 30, whole: 0 }]);
    await capture(1);
    const report = await pass();
    expect(report.chunks).toBe(31);
    expect(await readable(at.store, chunks)).not.toContain(false);
    expect(at.store.chains.shards(FIXTURE_SELF)).toMatchObject([{ lost: 0, wanted: 0 }]);
    expect(at.store.index.chunks.losses()).toEqual([]);
  });

  test('a holder that was put back gets the rest again under another epoch', async () => {
    await capture(4);
    await pass();
    at.close();
    cpSync(holderPath(), join(folder.path, 'image'), { recursive: true });
    await openHolder();
    const later = await capture(4);
    await pass();
    const before = owner.index.beliefs.get(at.member.agent)!;
    await reopenHolder(() => {
      rmSync(holderPath(), { recursive: true });
      cpSync(join(folder.path, 'image'), holderPath(), { recursive: true });
    });
    await pass();
    expect(await readable(at.store, later)).not.toContain(false);
    const epochOf = (belief: typeof before): bigint =>
      belief.kind === 'peer' ? verifyStatement(sodium, belief.statement, at.member.signPublicKey).epoch : 0n;
    expect(epochOf(owner.index.beliefs.get(at.member.agent)!)).toBeGreaterThan(epochOf(before));
  });

  test('a chunk that nobody has any more holds up no other one', async () => {
    const [gone, ...others] = await capture(10);
    const small = await capture(3);
    await owner.chunks.drop([gone!.id]);
    await expect(pass()).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining('1 chunks'),
    });
    expect(await readable(at.store, [...others, ...small])).not.toContain(false);
    expect(at.store.chains.shards(FIXTURE_SELF)).toMatchObject([{ wanted: 1, whole: 0 }]);
  });

  test('a holder whose copy of the chain is damaged takes it again', async () => {
    const chunks = await capture(6);
    await pass();
    await reopenHolder(() => {
      const chains = join(holderPath(), 'chains', FIXTURE_SELF);
      const file = join(chains, readdirSync(chains).find((name) => name.endsWith('.chain'))!);
      const bytes = readFileSync(file);
      bytes[Math.floor(bytes.length / 2)]! ^= 0xff;
      writeFileSync(file, bytes);
      rmSync(join(holderPath(), 'index.sqlite'));
    });
    await capture(1);
    await pass();
    expect(at.store.chains.position(FIXTURE_SELF)).toEqual(owner.chain.position());
    expect(at.store.chains.shards(FIXTURE_SELF)).toMatchObject([{ held: 7, wanted: 0, lost: 0 }]);
    expect(await readable(at.store, chunks)).not.toContain(false);
  });
});

/** A link to a holder that states to have everything, keeps nothing, and answers proofs as it is told. */
function saysYes(answers: Partial<PeerLink>): PeerLink {
  return {
    ...at.link,
    sendFrames: async (_, frames) => {
      let taken = 0;
      for await (const _frame of frames) taken++;
      return taken;
    },
    wanted: async () => [],
    statement: async (question) => {
      const { statement } = at.holder.statement(question);
      const said = verifyStatement(sodium, statement, at.member.signPublicKey);
      const seq = said.position?.seq ?? 0;
      const shards = said.shards.map((shard) => ({
        ...shard,
        applied: seq,
        whole: seq,
        wanted: 0,
        lost: 0,
        unreadable: 0,
        listDigest: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      }));
      const seed = new Uint8Array(32).fill(0xee);
      return {
        statement: encodeStatement(sodium, { ...said, shards }, seed),
        lists: shards.map(() => new Uint8Array(0)),
      };
    },
    ...answers,
  };
}

function believedPosition() {
  const belief = owner.index.beliefs.get(at.member.agent);
  return belief?.kind === 'peer'
    ? verifyStatement(sodium, belief.statement, at.member.signPublicKey).position
    : undefined;
}

describe('a holder that does not tell the truth', () => {
  test('one that says yes to everything and stores nothing is met by the audit, at each pass', async () => {
    await capture(12);
    const echo = saysYes({});
    for (let i = 0; i < 3; i++) {
      await expect(pass(echo)).rejects.toMatchObject({
        code: 'E_INTEGRITY',
        message: expect.stringContaining('cannot prove'),
      });
      expect(believedPosition()).toBeUndefined();
    }
  });

  test('one that answers a proof with other bytes has to show what it has, as a holder without the key does', async () => {
    await capture(12);
    // A copy of another form: its hash is another one, and without the key nobody there can say what it opens to.
    const verify: PeerLink['verify'] = async (_nonce, ids, of) =>
      ids.map(() => (of === 'sealed' ? random(32) : undefined));
    await expect(pass(saysYes({ verify }))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    const made: PeerLink = saysYes({
      verify,
      source: {
        ...at.link.source,
        async *fetch(addresses) {
          for (const address of addresses) yield { address, sealed: random(address.sealedBytes) };
        },
        locate: async (ids) => ids.map((id) => ({ id, keyId: 0, sealedBytes: 100 })),
      },
    });
    await expect(pass(made)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(believedPosition()).toBeUndefined();
    expect(await pass({ ...at.link, verify })).toMatchObject({ position: owner.chain.position() });
  });

  test('one that leaves shards out of its statement is not up to date', async () => {
    await capture(3);
    const silent: PeerLink = {
      ...at.link,
      statement: async (question) => {
        const said = verifyStatement(sodium, at.holder.statement(question).statement, at.member.signPublicKey);
        return {
          statement: encodeStatement(sodium, { ...said, shards: [] }, new Uint8Array(32).fill(0xee)),
          lists: [],
        };
      },
    };
    await expect(pass(silent)).rejects.toMatchObject({ message: expect.stringContaining('still lacks entries') });
    await expect(pass(silent)).rejects.toMatchObject({ message: expect.stringContaining('still lacks entries') });
  });

  test('a position that it cannot show stops only that store', async () => {
    await capture(2);
    const liar: PeerLink = {
      ...at.link,
      async *entries() {},
      statement: async (question) => {
        const { statement, lists } = at.holder.statement(question);
        const said = verifyStatement(sodium, statement, at.member.signPublicKey);
        const position = { incarnation: 1, seq: 999_999, link: 'ab'.repeat(32) };
        return { statement: encodeStatement(sodium, { ...said, position }, new Uint8Array(32).fill(0xee)), lists };
      },
    };
    await expect(pass(liar)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(deps.putBack.get()).toBeUndefined();
    await pass();
    expect(await pass()).toMatchObject({ position: owner.chain.position() });
  });

  test('an entry ahead of the own trail that it shows, and this agent did not sign, stops only that store', async () => {
    await capture(2);
    const self = { vault: FIXTURE_VAULT, agent: FIXTURE_SELF, incarnation: 1 };
    const place = placeAfter(owner.chain.position(), self, { kind: EntryKind.add, shard: 1, keyId: 0 });
    const body = encodeAdd([formOf(chunk('made up'))]);
    const { head } = encodeEntry(sodium, { ...place, body, signSeed: new Uint8Array(32).fill(0xee) });
    const liar: PeerLink = {
      ...at.link,
      async *entries() {
        yield { head, body: undefined };
      },
      statement: async (question) => {
        const { statement, lists } = at.holder.statement(question);
        const said = verifyStatement(sodium, statement, at.member.signPublicKey);
        const ahead = { ...said, position: positionOf(head) };
        return { statement: encodeStatement(sodium, ahead, new Uint8Array(32).fill(0xee)), lists };
      },
    };
    await expect(pass(liar)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(deps.putBack.get()).toBeUndefined();
    expect(await pass()).toMatchObject({ position: owner.chain.position() });
  });

  test('an answer to another question, or signed by another agent, is not an answer', async () => {
    await capture(1);
    const old = at.holder.statement({ owner: FIXTURE_SELF, nonce: random(32), wantsLists: true, shown: undefined });
    await expect(pass({ ...at.link, statement: async () => old })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    const strange: PeerLink = {
      ...at.link,
      statement: async (question) => {
        const { statement, lists } = at.holder.statement(question);
        const said = verifyStatement(sodium, statement, at.member.signPublicKey);
        return { statement: encodeStatement(sodium, said, new Uint8Array(32).fill(1)), lists };
      },
    };
    await expect(pass(strange)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(owner.index.beliefs.get(at.member.agent)).toBeUndefined();
  });

  test('forms that the chain does not have are not sent', async () => {
    await capture(2);
    for (const page of [[{ seq: 1, positions: [0, 77] }], [{ seq: 99, positions: [0] }]]) {
      let asked = 0;
      const link: PeerLink = { ...at.link, wanted: async () => (asked++ === 0 ? page : []) };
      await expect(pass(link)).rejects.toMatchObject({ code: 'E_FORMAT' });
    }
  });
});

test('a machine that was put back learns it from a holder, and sends nothing to any store until it is recovered', async () => {
  await capture(2);
  await pass();
  owner.close();
  cpSync(ownerPath(), join(folder.path, 'image'), { recursive: true });
  await openOwner();
  await capture(2);
  await pass();
  owner.close();
  rmSync(ownerPath(), { recursive: true });
  cpSync(join(folder.path, 'image'), ownerPath(), { recursive: true });
  await openOwner();
  await capture(3);
  await expect(pass()).rejects.toMatchObject({ code: 'E_ROLLBACK', exitCode: 9 });
  expect(existsSync(join(ownerPath(), 'put-back'))).toBe(true);
  // Not of one process, and not of one store.
  owner.close();
  await openOwner();
  let asked = 0;
  const other: PeerLink = {
    ...at.link,
    statement: async (question) => {
      asked++;
      return at.link.statement(question);
    },
  };
  await expect(pass(other)).rejects.toMatchObject({ code: 'E_ROLLBACK' });
  expect(asked).toBe(0);
  // Captures go on, and the holder has what the later machine sent.
  await capture(1);
  expect(at.store.chains.position(FIXTURE_SELF)!.seq).toBe(4);
});

describe('after a takeover', () => {
  const adminSeed = new Uint8Array(32).fill(77);
  let chain: MemoryChain;

  beforeEach(async () => {
    chain = createMemoryChain({ keys: fixtureKeys(), adminSeed, random });
    at.close();
    at = await openHolderFixture(join(folder.path, 'takeovers'), {
      ownerKey: publicKeyOf(sodium, chain.signSeed),
      openCard: (body) => verifyCard(sodium, body, publicKeyOf(sodium, adminSeed)),
    });
  });

  const passOf = (of: MemoryChain): Promise<ReplicateReport> =>
    replicateToPeer(at.member, at.link, {
      ...deps,
      self: { agentId: of.agentId, incarnation: of.incarnation, signSeed: of.signSeed },
      chains: of.chains,
      chain: of.own,
    });
  const record = (of: MemoryChain): unknown => of.record({ type: 'unpin', snapshot: 'aa'.repeat(32) });

  test('a holder at the base goes on, and refuses the machine that was replaced', async () => {
    for (let i = 0; i < 3; i++) record(chain);
    await passOf(chain);
    const next = chain.image();
    next.incarnation = 2;
    next.takeover();
    record(next);
    await passOf(next);
    expect(at.store.chains.position(next.agentId)).toEqual(next.position());
    expect(at.store.chains.branches()).toEqual([]);
    record(chain);
    await expect(passOf(chain)).rejects.toMatchObject({ code: 'E_ROLLBACK' });
    expect(deps.putBack.get()).toBeUndefined();
  });

  test('a holder beyond the base is met at the last entry that both have: its end becomes a branch', async () => {
    for (let i = 0; i < 3; i++) record(chain);
    const base = chain.image();
    for (let i = 0; i < 4; i++) record(chain);
    await passOf(chain);
    const tip = chain.position()!;
    base.incarnation = 2;
    base.takeover();
    record(base);
    await passOf(base);
    expect(at.store.chains.position(base.agentId)).toEqual(base.position());
    expect(at.store.chains.branches(base.agentId)).toMatchObject([{ tip, base: { seq: 4 } }]);
  });
});
