/** The endpoints of the peer protocol: who may call each, how long a body may be, and what answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type AgentId,
  ByteWriter,
  EdgeError,
  type EntryBodies,
  type Member,
  PARTS,
  PEER_ITEMS_MAX,
} from '@edgestore/engine';
import { readBody, readJson, withIdleDeadline } from './bounded-body.ts';
import {
  decodeBodies,
  decodeEntries,
  decodeQuestion,
  ENTRIES_BYTES_MAX,
  encodeAnswer,
  encodeEntries,
  encodeSeqs,
  encodeState,
  PAGE_BYTES,
  QUESTION_BYTES_MAX,
  SEQS_MAX,
  writePosition,
} from './chain-wire.ts';
import { decodeFrameStream, encodeFrameEnd, encodeFrameItem, type FrameItem } from './frame-stream.ts';
import { acceptHello, encodeHello, HELLO_BYTES_MAX } from './hello.ts';
import { decodeIds, ID_LIST_BYTES_MAX } from './id-list.ts';
import type { PeerService } from './peer-service.ts';
import {
  decodeSlots,
  decodeVerifyRequest,
  encodeLocations,
  encodeParts,
  encodeVerifyReply,
  SLOTS_BYTES_MAX,
} from './peer-wire.ts';
import { sendBytes, sendStream } from './respond.ts';
import { encodeWanted, encodeWantedParts, WANTED_ENTRIES_MAX } from './wanted-wire.ts';

/** `anyone` has shown a key that no card names (yet); `reader` is a member or a machine under recovery; `member` has a card. */
export type Access = 'anyone' | 'reader' | 'member';

export interface PeerRequest {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** Of the key that the connection proved. */
  readonly pin: string;
  readonly member: Member | undefined;
  readonly remoteAddress: string;
  /** Aborted when the connection goes away. */
  readonly signal: AbortSignal;
}

export interface PeerRoute {
  readonly access: Access;
  readonly run: (request: PeerRequest, service: PeerService) => Promise<void>;
}

/** A join request is a name, keys and addresses. */
const JOIN_BYTES_MAX = 64 * 1024;

export const PEER_ROUTES: ReadonlyMap<string, PeerRoute> = new Map<string, PeerRoute>([
  ['POST /peer/hello', { access: 'anyone', run: hello }],
  [
    'POST /peer/1/join',
    {
      access: 'anyone',
      run: async ({ message, response, pin, remoteAddress }, service) =>
        sendBytes(response, await service.join(await readBody(message, JOIN_BYTES_MAX), pin, remoteAddress)),
    },
  ],
  [
    'GET /peer/1/card',
    { access: 'anyone', run: async ({ response }, service) => sendBytes(response, service.ownCard()) },
  ],
  [
    'GET /peer/1/challenge',
    { access: 'anyone', run: async ({ response, pin }, service) => sendBytes(response, service.challenge(pin)) },
  ],
  ['POST /peer/1/recover', { access: 'anyone', run: recover }],
  ['POST /peer/1/statement', { access: 'reader', run: statement }],
  ['GET /peer/1/entries', { access: 'reader', run: entries }],
  ['POST /peer/1/entries', { access: 'member', run: takeEntries }],
  ['GET /peer/1/bodies', { access: 'member', run: missingBodies }],
  ['POST /peer/1/bodies', { access: 'member', run: takeBodies }],
  ['GET /peer/1/parts', { access: 'member', run: wantedParts }],
  ['POST /peer/1/parts', { access: 'member', run: takePart }],
  ['POST /peer/1/joined', { access: 'member', run: joinByParts }],
  ['GET /peer/1/wanted', { access: 'member', run: wanted }],
  ['POST /peer/1/frames', { access: 'member', run: frames }],
  [
    'POST /peer/1/locate',
    {
      access: 'reader',
      run: async ({ message, response }, service) =>
        sendBytes(
          response,
          encodeLocations(await service.locate(decodeIds(await readBody(message, ID_LIST_BYTES_MAX)))),
        ),
    },
  ],
  ['POST /peer/1/fetch', { access: 'reader', run: fetch }],
  ['POST /peer/1/verify', { access: 'reader', run: verify }],
  [
    'GET /peer/1/state',
    { access: 'reader', run: async ({ response }, service) => sendBytes(response, encodeState(await service.state())) },
  ],
  [
    'POST /peer/1/slots',
    {
      access: 'member',
      run: async ({ message, response }, service) => {
        await service.addSlots(decodeSlots(await readBody(message, SLOTS_BYTES_MAX)));
        sendBytes(response, new Uint8Array(0));
      },
    },
  ],
]);

async function hello({ message, response, member, pin }: PeerRequest, service: PeerService): Promise<void> {
  const received = acceptHello(await readJson(message, HELLO_BYTES_MAX), service.vault, 'the calling agent');
  const answer = await service.hello(received);
  // A member that is new to us shows its card in its first hello, signed by the admin; the key of this connection has to be the card's.
  const known = member ?? service.memberByPin(pin);
  if (known === undefined || known.agent !== received.agent) {
    throw new EdgeError('E_DENIED', 'the calling agent has no valid card in this vault', {
      hint: 'Let it join with an invitation; a machine whose identity was taken over is refused too.',
    });
  }
  sendBytes(response, encodeHello(answer), 'application/json');
}

async function recover({ message, response, pin }: PeerRequest, service: PeerService): Promise<void> {
  const answer = await service.recover(await readBody(message, 1024), pin);
  sendBytes(
    response,
    encodeParts([answer.vault, encodeParts(answer.slots), encodeParts(answer.cards), encodeParts(answer.removals)]),
  );
}

async function statement({ message, response, query }: PeerRequest, service: PeerService): Promise<void> {
  const question = decodeQuestion(await readBody(message, QUESTION_BYTES_MAX));
  sendBytes(response, encodeAnswer(await service.statement({ ...question, owner: ownerOf(query) })));
}

async function entries({ response, query }: PeerRequest, service: PeerService): Promise<void> {
  const bodies = query.get('bodies') ?? 'records';
  if (!isEntryBodies(bodies)) throw new EdgeError('E_USAGE', 'bodies is not all, records or none');
  const branch = query.get('branch') ?? undefined;
  if (branch !== undefined && !/^[0-9a-f]{64}$/.test(branch)) throw new EdgeError('E_USAGE', 'branch is not a link');
  const page = {
    afterSeq: wholeNumber(query, 'after'),
    bodies,
    bytesMax: PAGE_BYTES,
    branch,
    leavesGaps: query.get('gaps') === '1',
  };
  sendBytes(response, encodeEntries(await service.entries(ownerOf(query), page)));
}

async function takeEntries({ message, response, member, query }: PeerRequest, service: PeerService): Promise<void> {
  const given = decodeEntries(await readBody(message, ENTRIES_BYTES_MAX));
  if (given.length === 0) throw new EdgeError('E_USAGE', 'there is no entry in the request');
  const position = await service.takeEntries(member!, ownerOf(query), given);
  sendBytes(response, writePosition(new ByteWriter(), position).finish());
}

async function missingBodies({ response, query }: PeerRequest, service: PeerService): Promise<void> {
  const limit = Math.min(SEQS_MAX, wholeNumber(query, 'limit'));
  sendBytes(response, encodeSeqs(await service.missingBodies(ownerOf(query), wholeNumber(query, 'shard'), limit)));
}

async function takeBodies({ message, response, member, query }: PeerRequest, service: PeerService): Promise<void> {
  await service.takeBodies(member!, ownerOf(query), decodeBodies(await readBody(message, ENTRIES_BYTES_MAX)));
  sendBytes(response, new Uint8Array(0));
}

async function wantedParts({ response, query }: PeerRequest, service: PeerService): Promise<void> {
  sendBytes(response, encodeWantedParts(await service.wantedParts(ownerOf(query), wholeNumber(query, 'shard'))));
}

/** The checkpoint that is here says how long the part is: no more than that is read. */
async function takePart({ message, response, member, query }: PeerRequest, service: PeerService): Promise<void> {
  const byte = wholeNumber(query, 'part');
  if (byte >= PARTS) throw new EdgeError('E_USAGE', `there is no part ${byte}`);
  const part = { shard: wholeNumber(query, 'shard'), seq: wholeNumber(query, 'seq'), byte };
  const bytes = await readBody(message, service.partBytes(member!, ownerOf(query), part));
  await service.takePart(member!, ownerOf(query), part, bytes);
  sendBytes(response, new Uint8Array(0));
}

async function joinByParts({ response, member, query }: PeerRequest, service: PeerService): Promise<void> {
  await service.joinByParts(member!, ownerOf(query), wholeNumber(query, 'shard'), wholeNumber(query, 'seq'));
  sendBytes(response, new Uint8Array(0));
}

async function wanted({ response, query }: PeerRequest, service: PeerService): Promise<void> {
  const page = {
    shard: wholeNumber(query, 'shard'),
    afterSeq: wholeNumber(query, 'after'),
    entriesMax: Math.min(WANTED_ENTRIES_MAX, wholeNumber(query, 'entries')),
  };
  sendBytes(response, encodeWanted(await service.wanted(ownerOf(query), page)));
}

async function frames({ message, response, member, query, signal }: PeerRequest, service: PeerService): Promise<void> {
  const items = decodeFrameStream(withIdleDeadline(message), PEER_ITEMS_MAX);
  const count = await service.receive(member!, ownerOf(query), items, signal);
  sendBytes(response, new ByteWriter().u32(count).finish());
}

async function fetch({ message, response, signal }: PeerRequest, service: PeerService): Promise<void> {
  const ids = decodeIds(await readBody(message, ID_LIST_BYTES_MAX));
  await sendStream(response, encoded(service.read(ids, signal)), signal);
}

async function verify({ message, response, signal }: PeerRequest, service: PeerService): Promise<void> {
  const { nonce, of, ids } = decodeVerifyRequest(await readBody(message, 33 + ID_LIST_BYTES_MAX));
  sendBytes(response, encodeVerifyReply(await service.verify(nonce, ids, of, signal)));
}

function isEntryBodies(text: string): text is EntryBodies {
  return text === 'all' || text === 'records' || text === 'none';
}

function ownerOf(query: URLSearchParams): AgentId {
  const owner = query.get('owner') ?? '';
  if (!/^[0-9a-f]{32}$/.test(owner)) throw new EdgeError('E_USAGE', 'owner is not an id of 32 hex digits');
  return owner;
}

async function* encoded(items: AsyncIterable<FrameItem>): AsyncGenerator<readonly Uint8Array[]> {
  for await (const item of items) yield encodeFrameItem(item);
  yield [encodeFrameEnd()];
}

function wholeNumber(query: URLSearchParams, key: string): number {
  const text = query.get(key) ?? '';
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
    throw new EdgeError('E_USAGE', `${key} is not a whole number`);
  return value;
}
