/** A holder in this process: a data dir of its own, and a link that owners call as they would over the network. */

import { isHoldKind } from '../chain/entry-head.ts';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import type { AgentId } from '../core/ids.ts';
import type { Member, OutgoingFrame, PeerLink } from '../core/ports/peer.ts';
import { hashPlaintextsWith } from '../hold/hash-plaintexts.ts';
import { createHolder, type Holder } from '../hold/holder.ts';
import { identifyWith } from '../hold/identify-frames.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { realClock } from './real-clock.ts';
import { FIXTURE_VAULT, fixtureKeys, type OpenedStore, openStore, type StoreOptions } from './store-fixture.ts';

const sodium = await loadSodium();

export type LinkStep = 'statement' | 'entries' | 'bodies' | 'parts' | 'wanted' | 'frames' | 'verify';

export interface HolderFixture {
  readonly store: OpenedStore;
  readonly holder: Holder;
  readonly member: Member;
  readonly link: PeerLink;
  /** Sealed bytes that came since the fixture was opened. */
  readonly receivedBytes: number;
  /** May throw: before a call reaches the holder, or before its answer comes back. */
  before: (step: LinkStep) => void;
  after: (step: LinkStep) => void;
  close(): void;
}

export interface HolderOptions extends StoreOptions {
  readonly name?: string;
  readonly site?: string;
  readonly agent?: AgentId;
  /** Log key of the owner that calls. */
  readonly ownerKey: Uint8Array;
}

export async function openHolderFixture(path: string, options: HolderOptions): Promise<HolderFixture> {
  const { name = 'dc-a', site = 'a', agent = 'ee'.repeat(16), ownerKey } = options;
  const signSeed = new Uint8Array(32).fill(Number.parseInt(agent.slice(0, 2), 16));
  const store = await openStore(path, { ...options, self: agent, signSeed, signPublicKey: () => ownerKey });
  const opener = createOpener(sodium, fixtureKeys());
  const isBlind = options.isBlind === true;
  const holder = createHolder({
    sodium,
    vault: FIXTURE_VAULT,
    self: { agentId: agent, incarnation: 1, signSeed },
    clock: realClock,
    store: store.identityOfStore,
    chains: store.chains,
    index: store.index,
    chunks: store.chunks,
    backing: () => [],
    identify: isBlind ? undefined : identifyWith(opener),
    hashPlaintexts: isBlind ? undefined : hashPlaintextsWith(sodium, opener),
  });
  async function around<T>(step: LinkStep, run: () => T | Promise<T>): Promise<T> {
    fixture.before(step);
    const answer = await run();
    fixture.after(step);
    return answer;
  }
  let receivedBytes = 0;
  async function* counted(frames: AsyncIterable<OutgoingFrame>): AsyncGenerator<OutgoingFrame> {
    for await (const frame of frames) {
      receivedBytes += frame.sealed.length;
      yield frame;
    }
  }
  const link: PeerLink = {
    agent,
    name,
    site,
    label: name,
    source: store.chunks,
    statement: (question) => around('statement', () => holder.statement(question)),
    sendEntries: (owner, entries) =>
      around('entries', () =>
        holder.takeEntries({ agent: owner, incarnation: 1, signPublicKey: () => ownerKey }, entries),
      ),
    async *entries(owner, { afterSeq, bodies }) {
      for await (const { head, body } of store.chains.entries(owner, { afterSeq })) {
        const isWanted = bodies === 'all' || (bodies === 'records' && !isHoldKind(head.header.kind));
        yield { head, body: isWanted ? body : undefined };
      }
    },
    missingBodies: async (owner, shard, limit) => holder.missingBodies(owner, shard, limit),
    wantedParts: (owner, shard) => around('parts', () => holder.wantedParts(owner, shard)),
    sendPart: (owner, part, bytes) => around('parts', () => holder.takePart(owner, part, bytes)),
    joinByParts: (owner, shard, seq) => around('parts', () => holder.joinByParts(owner, shard, seq)),
    sendBodies: (owner, bodies) => around('bodies', () => holder.takeBodies(owner, bodies)),
    wanted: (owner, page) => around('wanted', () => holder.wanted(owner, page)),
    sendFrames: (owner, frames) => around('frames', () => holder.receive(owner, counted(frames))),
    state: async () => ({ positions: [], branches: [], slots: [] }),
    sendSlots: async () => {},
    verify: (nonce, ids, of) => around('verify', () => holder.verify(nonce, ids, of)),
  };
  const fixture: HolderFixture = {
    store,
    holder,
    link,
    member: {
      agent,
      incarnation: 1,
      name,
      site,
      role: 'holder',
      addresses: ['https://a'],
      weight: 1,
      signPublicKey: publicKeyOf(sodium, signSeed),
      tlsSpkiSha256: '00'.repeat(32),
    },
    get receivedBytes() {
      return receivedBytes;
    },
    before: () => {},
    after: () => {},
    close: () => store.close(),
  };
  return fixture;
}
