/** The peer protocol answered from an opened data dir. */
import {
  CHUNK_SEALED_BYTES_MAX,
  type ChainEntry,
  type ChunkId,
  createHolder,
  EdgeError,
  type Holder,
  hashPlaintextsInWorkers,
  identifyInWorkers,
  isHoldKind,
  type Member,
  type OutgoingFrame,
  type OwnerKeys,
} from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';
import { admitPeer } from '../membership/invite-peer.ts';
import { createRecoveryAccess } from '../membership/recovery-access.ts';
import { forgetUnwantedHere } from '../work/forget-unwanted-here.ts';
import type { FrameItem } from './frame-stream.ts';
import type { PeerService } from './peer-service.ts';

/** A reader of a chunk that another store is asked for waits so long, and is told then that it cannot be read now. */
const ASKED_MS_MAX = 30_000;

export interface ServedHome {
  readonly service: PeerService;
  readonly holder: Holder;
}

/** `onHeld` after something was stored for another agent; `onMembers` when a card may have come that was not known. */
export function serveHome(
  home: AgentHome,
  on: { readonly onHeld: () => void; readonly onMembers: () => void },
): ServedHome {
  const { onHeld, onMembers } = on;
  const { engine, peers } = home;
  const { sodium, keys, index, chains, chunks, identity } = engine;
  const holder = createHolder({
    sodium,
    vault: keys.vaultId,
    self: identity,
    clock: engine.clock,
    store: engine.identityOfStore,
    chains,
    index,
    chunks,
    backing: (owner) => home.backing(owner),
    identify: identifyInWorkers(engine.pool),
    hashPlaintexts: hashPlaintextsInWorkers(engine.pool),
    heard: (owner) => home.heard.note(owner),
    onTaken: () => void forgetUnwantedHere(home),
  });
  const ownerKeys = (member: Member): OwnerKeys => ({
    agent: member.agent,
    incarnation: member.incarnation,
    signPublicKey: (incarnation) =>
      incarnation === member.incarnation ? member.signPublicKey : peers.cards.signPublicKey(member.agent, incarnation),
  });
  const recovery = createRecoveryAccess({
    sodium,
    clock: engine.clock,
    random: engine.random,
    proofPublicKey: engine.vault.proofPublicKey,
    pin: peers.tls.spkiSha256,
  });

  /** A chunk that another store has to prove now is given out only after that. */
  const isFree = async (id: ChunkId, signal: AbortSignal): Promise<boolean> => {
    if (!home.asked.has(id)) return true;
    const waited = new AbortController();
    const stop = AbortSignal.any([signal, waited.signal]);
    await Promise.race([home.asked.ended(id), engine.clock.sleep(ASKED_MS_MAX, stop).catch(() => {})]);
    waited.abort();
    return !home.asked.has(id);
  };

  /** A member may fill the disk of a machine that is there to hold, and of no other. */
  const requireHolder = (): void => {
    if (peers.cards.newestOf(identity.agentId)?.card.role === 'holder') return;
    throw new EdgeError('E_DENIED', `agent ${identity.name} is no holder: it keeps nothing for others`, {
      hint: 'Name a holder; see the roles in `edgestore peer list`.',
    });
  };

  const service: PeerService = {
    vault: keys.vaultId,
    memberByPin: (pin) => peers.memberByPin(pin),
    mayRecover: (pin) => recovery.mayRead(pin),
    hello: async (hello) => {
      const before = peers.cards.all().length;
      await peers.heard(hello);
      if (peers.cards.all().length > before) onMembers();
      return peers.hello();
    },
    statement: async (question) => holder.statement(question),
    takeEntries: async (caller, owner, entries) => {
      requireHolder();
      requireOwner(caller, owner);
      const position = await holder.takeEntries(ownerKeys(caller), entries);
      onHeld();
      return position;
    },
    takeBodies: async (caller, owner, bodies) => {
      requireHolder();
      requireOwner(caller, owner);
      await holder.takeBodies(owner, bodies);
      onHeld();
    },
    missingBodies: async (owner, shard, limit) => holder.missingBodies(owner, shard, limit),
    wantedParts: (owner, shard) => holder.wantedParts(owner, shard),
    partBytes: (caller, owner, part) => {
      requireOwner(caller, owner);
      return holder.partBytes(owner, part);
    },
    takePart: async (caller, owner, part, bytes) => {
      requireHolder();
      requireOwner(caller, owner);
      await holder.takePart(owner, part, bytes);
    },
    joinByParts: async (caller, owner, shard, seq) => {
      requireHolder();
      requireOwner(caller, owner);
      await holder.joinByParts(owner, shard, seq);
      onHeld();
    },
    wanted: (owner, page) => holder.wanted(owner, page),
    receive: async (caller, owner, frames, signal) => {
      requireHolder();
      requireOwner(caller, owner);
      const count = await holder.receive(owner, outgoing(frames), signal);
      onHeld();
      return count;
    },
    async entries(owner, { afterSeq, bodies, bytesMax, branch, leavesGaps }) {
      const out: ChainEntry[] = [];
      let bytes = 0;
      const all =
        branch === undefined
          ? chains.entries(owner, { afterSeq, omitsDamagedBodies: true, leavesGaps })
          : chains.branchEntries(owner, branch, { leavesGaps });
      for await (const entry of all) {
        if (entry.head.header.seq <= afterSeq) continue;
        const isWanted = bodies === 'all' || (bodies === 'records' && !isHoldKind(entry.head.header.kind));
        const shown = isWanted ? entry : { head: entry.head, body: undefined };
        bytes += shown.head.bytes.length + (shown.body?.length ?? 0);
        if (out.length > 0 && bytes > bytesMax) break;
        out.push(shown);
      }
      return out;
    },
    locate: async (ids) => {
      const found = await chunks.locate(ids);
      return found.map((address) =>
        // A marked copy is a place to try for this agent, not one to count on.
        address === undefined || address.marked !== undefined
          ? undefined
          : { sealedBytes: address.sealedBytes, keyId: address.keyId },
      );
    },
    async *read(ids, signal): AsyncGenerator<FrameItem> {
      const locations = index.chunks.locate(ids);
      const packClassOf = new Map(
        locations.flatMap((copies, i) => (copies[0] === undefined ? [] : [[keyOf(ids[i]!), copies[0].packClass]])),
      );
      const addresses = await chunks.locate(ids, signal);
      for (const [i, address] of addresses.entries()) {
        if (address === undefined) yield { type: 'miss', id: ids[i]!, reason: 'absent' };
      }
      const there = addresses.filter((address) => address !== undefined);
      for await (const answer of chunks.fetch(there, signal)) {
        const { id, keyId } = answer.address;
        if (!('sealed' in answer)) yield { type: 'miss', id, reason: answer.reason };
        // Looked at when it is given out: the stream may have begun before the question.
        else if (!(await isFree(id, signal))) yield { type: 'miss', id, reason: 'unreadable' };
        else {
          const packClass = packClassOf.get(keyOf(id)) ?? 'data';
          yield {
            type: 'frame',
            header: { id, keyId, packClass, sealedBytes: answer.sealed.length },
            sealed: answer.sealed,
          };
        }
      }
    },
    verify: async (nonce, ids, of, signal) => {
      const hashes = await holder.verify(nonce, ids, of, signal);
      if (ids.some((id) => home.asked.has(id)))
        throw new EdgeError('E_BUSY', 'another store is asked to prove some of these chunks', { retryable: true });
      return hashes;
    },
    state: async () => ({
      positions: chains.agents().flatMap((agent) => {
        const position = chains.position(agent);
        return position === undefined ? [] : [{ agent, position }];
      }),
      branches: chains.branches(),
      slots: home.slots.published().map(({ slot }) => slot.slotId),
    }),
    slots: async () => home.slots.published().map(({ bytes }) => bytes),
    addSlots: async (slots) => {
      // One that is refused must not stop the caller's replication. Its hello shows the same slots, and warns of those.
      await home.slots.learn({ slots });
    },
    join: async (request, clientPin, remoteAddress) => {
      const answer = await admitPeer(request, clientPin, remoteAddress, home.inviter);
      onMembers();
      return answer;
    },
    ownCard: () => {
      const own = peers.cards.newestOf(identity.agentId);
      if (own === undefined) throw new EdgeError('E_NOT_FOUND', 'this agent has no card');
      return own.bytes;
    },
    challenge: (clientPin) => recovery.challenge(clientPin),
    recover: async (proof, clientPin) => {
      recovery.prove(clientPin, proof);
      return {
        vault: home.descriptors.current().bytes,
        slots: home.slots.published().map(({ bytes }) => bytes),
        removals: home.slots.removals().map(({ bytes }) => bytes),
        cards: peers.cards.all().map((one) => one.bytes),
      };
    },
  };
  return { service, holder };
}

/** Repair of a dead owner's data among holders will let others send too; until then only the owner may. */
function requireOwner(caller: Member, owner: string): void {
  if (caller.agent === owner) return;
  throw new EdgeError(
    'E_DENIED',
    `agent ${caller.agent.slice(0, 8)} may not send what belongs to ${owner.slice(0, 8)}`,
  );
}

async function* outgoing(frames: AsyncIterable<FrameItem>): AsyncGenerator<OutgoingFrame> {
  for await (const item of frames) {
    if (item.type !== 'frame') throw new EdgeError('E_FORMAT', 'a miss where frames were to come');
    const { id, keyId, packClass, sealedBytes } = item.header;
    if (sealedBytes > CHUNK_SEALED_BYTES_MAX) throw new EdgeError('E_FORMAT', `a frame of ${sealedBytes} bytes`);
    yield { id, keyId, packClass, sealed: item.sealed };
  }
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}
