/** Taking entries of another owner's chain (docs/chain.md 3.1, 3.2): order, signature and fork rule, never frames. */
import { join } from 'node:path';
import { EntryKind, isHoldKind, positionOf, requireBody, verifyHead } from '../../chain/entry-head.ts';
import { type Position, ZERO_LINK } from '../../chain/position.ts';
import { EdgeError } from '../../core/errors.ts';
import type { ChainRow } from '../../ports/chain-index.ts';
import type { ChainEntry, OwnerKeys } from '../../ports/chains.ts';
import { readFolder } from '../data-dir.ts';
import { makeFolderDurably, writeFileDurably } from '../durable-write.ts';
import { addBodiesFit } from './bodies-fit.ts';
import { freezeBranch } from './branches.ts';
import { itemOf } from './chain-file.ts';
import type { CardOfTakeover } from './chains-deps.ts';
import { type FollowedChain, follows } from './followed-chain.ts';

/** Entries made durable and applied together. */
const ENTRIES_AT_ONCE = 512;
const BYTES_AT_ONCE = 32 * 1024 * 1024;
/** Refused heads that are kept of one owner. */
const FORK_PROOFS_MAX = 16;

export async function takeEntries(
  chain: FollowedChain,
  owner: OwnerKeys,
  entries: readonly ChainEntry[],
): Promise<Position> {
  await chain.recover();
  const taking = new Taking(chain, owner);
  for (const [i, entry] of entries.entries()) await taking.take(entry, entries.slice(i + 1));
  await taking.settle();
  const position = chain.position;
  if (position === undefined)
    throw new EdgeError('E_FAILED', `no entry of agent ${owner.agent.slice(0, 8)} was given, and none is here`);
  return position;
}

class Taking {
  readonly #chain: FollowedChain;
  readonly #owner: OwnerKeys;
  #written = 0;
  #bytes = 0;
  #bodiesFit: boolean | undefined;

  constructor(chain: FollowedChain, owner: OwnerKeys) {
    this.#chain = chain;
    this.#owner = owner;
  }

  async take(entry: ChainEntry, later: readonly ChainEntry[]): Promise<void> {
    const { header } = entry.head;
    this.#requireOwn(entry);
    const tail = this.#chain.tail;
    if (header.seq <= (tail?.seq ?? 0)) {
      if (await this.#isKnown(entry)) return;
      return await this.#takeBeside(entry, later);
    }
    if (header.kind === EntryKind.takeover) return await this.#takeTakeover(entry);
    if (!follows(entry, tail)) {
      if (header.seq === (tail?.seq ?? 0) + 1) return await this.#takeBeside(entry, later);
      throw new EdgeError('E_FAILED', `entry ${placeOf(entry)} does not follow ${tail?.seq ?? 0}: some are missing`, {
        context: { agent: header.agent, have: tail?.seq ?? 0, got: header.seq },
        retryable: true,
      });
    }
    if (tail !== undefined && header.incarnation !== tail.incarnation) {
      const isOlder = header.incarnation < tail.incarnation;
      throw new EdgeError(
        isOlder ? 'E_ROLLBACK' : 'E_DENIED',
        isOlder
          ? `incarnation ${header.incarnation} of agent ${header.agent.slice(0, 8)} was taken over: its chain is at ${tail.incarnation}`
          : `incarnation ${header.incarnation} of agent ${header.agent.slice(0, 8)} does not begin with a takeover`,
        { context: { agent: header.agent, incarnation: header.incarnation } },
      );
    }
    this.#verify(entry, this.#key(header.incarnation));
    await this.#write(entry);
  }

  async settle(): Promise<void> {
    await this.#chain.settle();
    this.#written = 0;
    this.#bytes = 0;
  }

  #requireOwn({ head: { header } }: ChainEntry): void {
    if (header.vault === this.#chain.deps.vault && header.agent === this.#owner.agent) return;
    throw new EdgeError('E_DENIED', 'an entry of another vault or another agent was given');
  }

  #key(incarnation: number): Uint8Array {
    const key =
      this.#owner.signPublicKey(incarnation) ?? this.#chain.deps.signPublicKey(this.#owner.agent, incarnation);
    if (key !== undefined) return key;
    throw new EdgeError(
      'E_DENIED',
      `no card of agent ${this.#owner.agent.slice(0, 8)} names incarnation ${incarnation}`,
    );
  }

  #verify(entry: ChainEntry, key: Uint8Array): void {
    const { head, body } = entry;
    verifyHead(this.#chain.deps.sodium, head, key);
    if (body !== undefined) requireBody(head, body);
    else if (!isHoldKind(head.header.kind))
      throw new EdgeError('E_INTEGRITY', `entry ${placeOf(entry)} came without its body`);
  }

  async #write(entry: ChainEntry): Promise<void> {
    this.#bodiesFit ??= await addBodiesFit(this.#chain);
    const isLeftOut = entry.head.header.kind === EntryKind.add && !this.#bodiesFit;
    await this.#chain.write([isLeftOut ? { head: entry.head, body: undefined } : entry]);
    this.#written++;
    this.#bytes += entry.body?.length ?? 0;
    if (this.#written >= ENTRIES_AT_ONCE || this.#bytes >= BYTES_AT_ONCE) {
      await this.settle();
      this.#bodiesFit = undefined;
    }
  }

  /** Whether exactly this entry is here. */
  async #isKnown(entry: ChainEntry): Promise<boolean> {
    const { seq } = entry.head.header;
    const waiting = this.#chain.unapplied.find(({ head }) => head.header.seq === seq);
    if (waiting !== undefined) return waiting.head.link === entry.head.link;
    const row = this.#chain.row;
    const known = row === undefined ? undefined : this.#chain.deps.index.chainTable.entry(row.chain, seq);
    // Before a hole in a damaged chain nothing can be compared: the entry is given to whoever mends it.
    return known === undefined ? true : known.link === entry.head.link;
  }

  async #takeTakeover(entry: ChainEntry): Promise<void> {
    const { header } = entry.head;
    const card = this.#cardOf(entry);
    const tail = this.#chain.tail;
    if (tail !== undefined && header.incarnation <= tail.incarnation) throw await this.#fork(entry);
    if (!isAtBase(entry, card))
      throw new EdgeError('E_INTEGRITY', `takeover ${placeOf(entry)} does not follow its base`);
    if (!follows(entry, tail)) {
      throw new EdgeError('E_FAILED', `takeover ${placeOf(entry)} follows entries that are not here`, {
        context: { agent: header.agent, have: tail?.seq ?? 0, base: card.base?.seq ?? 0 },
        retryable: true,
      });
    }
    this.#verify(entry, card.signPublicKey);
    await this.#write(entry);
    await this.settle();
    endBranchesOnTrail(this.#chain);
  }

  /**
   * An entry that is not the one at its place here. With a takeover behind it, up to whose base it belongs, this store's end is a branch (9.2);
   * otherwise two machines wrote, or one was put back.
   */
  async #takeBeside(entry: ChainEntry, later: readonly ChainEntry[]): Promise<void> {
    const way = [entry, ...later];
    const at = way.findIndex(({ head }) => head.header.kind === EntryKind.takeover);
    const takeover = at < 0 ? undefined : way[at]!;
    const { seq } = entry.head.header;
    const tail = this.#chain.tail;
    if (takeover === undefined || takeover.head.header.incarnation <= (tail?.incarnation ?? 0))
      throw await this.#fork(entry);
    const card = this.#cardOf(takeover);
    this.#verify(takeover, card.signPublicKey);
    if (!isAtBase(takeover, card)) throw await this.#fork(entry);
    await this.settle();
    const base = this.#at(seq - 1);
    let before = base;
    for (const one of way.slice(0, at + 1)) {
      if (!follows(one, before)) throw await this.#fork(one);
      if (one !== takeover) this.#verify(one, this.#key(one.head.header.incarnation));
      before = positionOf(one.head);
    }
    const row = this.#chain.row!;
    this.#chain.reopen(await freezeBranch(row, seq - 1, this.#chain.deps));
    if (takeover === entry) await this.#takeTakeover(entry);
    else await this.#write(entry);
  }

  #at(seq: number): Position | undefined {
    const row = this.#chain.row;
    if (seq === 0 || row === undefined) return undefined;
    const known = this.#chain.deps.index.chainTable.entry(row.chain, seq);
    return known === undefined ? undefined : { incarnation: known.incarnation, seq, link: known.link };
  }

  #cardOf(takeover: ChainEntry): CardOfTakeover {
    const { header } = takeover.head;
    if (takeover.body === undefined)
      throw new EdgeError('E_INTEGRITY', `takeover ${placeOf(takeover)} came without its card`);
    requireBody(takeover.head, takeover.body);
    const card = this.#chain.deps.openCard(takeover.body);
    const isOf = card.agentId === header.agent && card.incarnation === header.incarnation;
    if (isOf) return card;
    throw new EdgeError('E_DENIED', `takeover ${placeOf(takeover)} carries the card of another agent or incarnation`);
  }

  /** The refused entry is kept as proof, beside the one that is here. */
  async #fork(entry: ChainEntry): Promise<EdgeError> {
    const { header, link } = entry.head;
    const ours = this.#at(header.seq) ?? this.#chain.tail;
    // Only the owner's own signature proves a fork. Anybody could send another header.
    verifyHead(this.#chain.deps.sodium, entry.head, this.#keyOfFork(entry));
    await this.settle();
    const folder = join(this.#chain.folder, 'forks');
    await makeFolderDurably(folder);
    const proof = join(folder, `${header.incarnation}-${header.seq}-${link.slice(0, 16)}.entry`);
    // One is enough to prove it, and an owner may sign others without end.
    if ((await readFolder(folder)).length < FORK_PROOFS_MAX)
      await writeFileDurably(proof, itemOf({ head: entry.head, body: undefined }));
    return new EdgeError(
      'E_FORK',
      `the chain of agent ${header.agent.slice(0, 8)} is forked: ${placeOf(entry)} ${link.slice(0, 8)} does not go with ${ours?.incarnation ?? 0}/${ours?.seq ?? 0} ${ours?.link.slice(0, 8) ?? ''}`,
      {
        hint: 'Two machines wrote under one identity (a copied data dir?), or one was put back to an older state. Stop one of them.',
        context: { agent: header.agent, first: ours, second: positionOf(entry.head), proof },
      },
    );
  }

  #keyOfFork(entry: ChainEntry): Uint8Array {
    if (entry.head.header.kind === EntryKind.takeover && entry.body !== undefined)
      return this.#cardOf(entry).signPublicKey;
    return this.#key(entry.head.header.incarnation);
  }
}

/** A branch whose tip lies on the trail is no branch any more: a later takeover chose it (9.3). */
function endBranchesOnTrail(chain: FollowedChain): void {
  const { chainTable } = chain.deps.index;
  const row = chain.row;
  if (row === undefined) return;
  const isOnTrail = ({ position }: ChainRow): boolean =>
    position !== undefined && chainTable.entry(row.chain, position.seq)?.link === position.link;
  for (const branch of chainTable.rows())
    if (branch.agent === chain.agent && branch.parent !== undefined && isOnTrail(branch))
      chainTable.clear(branch.chain);
}

function isAtBase({ head: { header } }: ChainEntry, { base }: CardOfTakeover): boolean {
  return header.seq === (base?.seq ?? 0) + 1 && header.previous === (base?.link ?? ZERO_LINK);
}

function placeOf({ head: { header } }: ChainEntry): string {
  return `${header.incarnation}/${header.seq}`;
}
