/** The endpoints of the peer protocol: who may call each, how long a body may be, and what answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ByteWriter, EdgeError, HOLD_BATCH_ENTRIES_MAX, type Member, RECORD_BYTES_MAX } from '@edgestore/engine';
import { readBody, readJson, withIdleDeadline } from './bounded-body.ts';
import { decodeFrameStream, encodeFrameEnd, encodeFrameItem, type FrameItem } from './frame-stream.ts';
import { acceptHello, encodeHello, HELLO_BYTES_MAX } from './hello.ts';
import { decodeIds, ID_LIST_BYTES_MAX } from './id-list.ts';
import type { PeerService } from './peer-service.ts';
import {
  decodeParts,
  decodeSlots,
  decodeVerifyRequest,
  encodeHoldReply,
  encodeLocations,
  encodeParts,
  encodeState,
  encodeVerifyReply,
  HOLD_BATCH_BYTES_MAX,
  RECORDS_BYTES_MAX,
  SLOTS_BYTES_MAX,
  writeHead,
} from './peer-wire.ts';
import { sendBytes, sendStream } from './respond.ts';

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
/** Records that one answer holds, in bytes, before the next page. */
const RECORDS_PAGE_BYTES = 4 * 1024 * 1024;

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
  [
    'POST /peer/1/hold',
    {
      access: 'member',
      run: async ({ message, response, member }, service) =>
        sendBytes(
          response,
          encodeHoldReply(await service.hold(member!, await readBody(message, HOLD_BATCH_BYTES_MAX))),
        ),
    },
  ],
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
    {
      access: 'reader',
      run: async ({ response, member }, service) =>
        sendBytes(response, encodeState(await service.state(member?.agent))),
    },
  ],
  ['GET /peer/1/records', { access: 'reader', run: records }],
  ['POST /peer/1/records', { access: 'member', run: addRecords }],
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

async function frames({ message, response, member, query, signal }: PeerRequest, service: PeerService): Promise<void> {
  const op = wholeNumber(query, 'op');
  const items = decodeFrameStream(withIdleDeadline(message), HOLD_BATCH_ENTRIES_MAX);
  sendBytes(response, await service.receive(member!, op, items, signal));
}

async function fetch({ message, response, signal }: PeerRequest, service: PeerService): Promise<void> {
  const ids = decodeIds(await readBody(message, ID_LIST_BYTES_MAX));
  await sendStream(response, encoded(service.read(ids, signal)), signal);
}

async function verify({ message, response, signal }: PeerRequest, service: PeerService): Promise<void> {
  const { nonce, of, ids } = decodeVerifyRequest(await readBody(message, 33 + ID_LIST_BYTES_MAX));
  sendBytes(response, encodeVerifyReply(await service.verify(nonce, ids, of, signal)));
}

async function records({ response, query }: PeerRequest, service: PeerService): Promise<void> {
  const agent = query.get('agent') ?? '';
  if (!/^[0-9a-f]{32}$/.test(agent)) throw new EdgeError('E_USAGE', 'agent is not an id of 32 hex digits');
  const after = query.has('seq')
    ? { incarnation: wholeNumber(query, 'incarnation'), seq: wholeNumber(query, 'seq') }
    : undefined;
  sendBytes(response, encodeParts(await service.records(agent, after, RECORDS_PAGE_BYTES)));
}

async function addRecords({ message, response, member }: PeerRequest, service: PeerService): Promise<void> {
  const parts = decodeParts(await readBody(message, RECORDS_BYTES_MAX), 'records', RECORD_BYTES_MAX);
  if (parts.length === 0) throw new EdgeError('E_USAGE', 'there is no record in the request');
  const head = await service.addRecords(member!, parts);
  const writer = new ByteWriter();
  writeHead(writer, member!.agent, head);
  sendBytes(response, writer.finish());
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
