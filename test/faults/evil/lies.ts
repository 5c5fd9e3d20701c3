/** Ways to lie. Each changes what an honest service would answer, or answers a request itself. */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AgentHome } from '../../../packages/agent/dist/home/agent-home.js';
import type { FrameItem } from '../../../packages/agent/dist/http/frame-stream.js';
import type { PeerService } from '../../../packages/agent/dist/http/peer-service.js';
import { decodeStatement, encodeStatement, type Statement } from '../../../packages/engine/dist/chain/statement.js';

export interface Lie {
  readonly service?: PeerService;
  /** True when it answered itself. */
  readonly answer?: (route: string, message: IncomingMessage, response: ServerResponse) => boolean;
}
type MakeLie = (given: { readonly home: AgentHome; readonly honest: PeerService }) => Lie;

/** Says something else, with its own signature. `turn` counts its statements. */
function stating(
  change: (
    said: Statement,
    turn: number,
    home: AgentHome,
  ) => { statement: Statement; lists?: Uint8Array[] } | Uint8Array,
  more: Partial<PeerService> = {},
): MakeLie {
  return ({ home, honest }) => {
    let turn = 0;
    const statement: PeerService['statement'] = async (question) => {
      const answer = await honest.statement(question);
      const said = change(decodeStatement(answer.statement), ++turn, home);
      if (said instanceof Uint8Array) return { statement: said, lists: [...answer.lists] };
      const { sodium, identity } = home.engine;
      return {
        statement: encodeStatement(sodium, said.statement, identity.signSeed),
        lists: said.lists ?? [...answer.lists],
      };
    };
    return { service: { ...honest, statement, ...more } };
  };
}

const NO_LIST = '0'.repeat(64);
const EMPTY_DIGEST = createHash('sha256').digest('hex');
const whole = (said: Statement): Statement => ({
  ...said,
  shards: said.shards.map((shard) => ({
    ...shard,
    applied: said.position?.seq ?? 0,
    whole: said.position?.seq ?? 0,
    wanted: 0,
    lost: 0,
    unreadable: 0,
    listDigest: EMPTY_DIGEST,
  })),
});
const emptyLists = (said: Statement): Uint8Array[] => said.shards.map(() => new Uint8Array(0));

export const LIES: Record<string, MakeLie> = {
  honest: () => ({}),
  /** Has everything, it says, and keeps no frame. */
  'says whole': ({ home, honest }) => {
    const lie = stating((said) => ({ statement: whole(said), lists: emptyLists(said) }))({ home, honest });
    return {
      service: {
        ...lie.service!,
        wanted: async () => [],
        receive: async (_caller, _owner, frames) => {
          let count = 0;
          for await (const _ of frames) count++;
          return count;
        },
      },
    };
  },
  /**
   * Keeps no frame, says that it has everything, and when it is asked for bytes it fetches them from the owner itself.
   */
  'relays the owner': ({ home, honest }) => {
    const says = LIES['says whole']!({ home, honest }).service!;
    const frames = async (ids: readonly Uint8Array[]): Promise<Map<string, FrameItem>> => {
      const found = new Map<string, FrameItem>();
      for (const member of home.peers.members()) {
        const source = member.role === 'holder' ? undefined : home.peers.link(member.agent)?.source;
        if (source === undefined) continue;
        const there = (await source.locate(ids)).filter((one) => one !== undefined);
        for await (const { address, ...answer } of source.fetch(there)) {
          if (!('sealed' in answer)) continue;
          const { id, keyId } = address;
          const header = { id, keyId, packClass: 'data' as const, sealedBytes: answer.sealed.length };
          found.set(Buffer.from(id).toString('hex'), { type: 'frame', header, sealed: answer.sealed });
        }
      }
      return found;
    };
    return {
      service: {
        ...says,
        verify: async (nonce, ids) => {
          const found = await frames(ids);
          return ids.map((id) => {
            const frame = found.get(Buffer.from(id).toString('hex'));
            return frame?.type === 'frame' ? home.engine.sodium.crypto_generichash(32, frame.sealed, nonce) : undefined;
          });
        },
        locate: async (ids) => {
          const found = await frames(ids);
          return ids.map((id) => {
            const frame = found.get(Buffer.from(id).toString('hex'));
            return frame?.type === 'frame'
              ? { sealedBytes: frame.sealed.length, keyId: frame.header.keyId }
              : undefined;
          });
        },
        read: async function* (ids) {
          yield* (await frames(ids)).values();
        },
      },
    };
  },
  /**
   * Holds everything until it has shown the bytes; then it says that it lacks all of it, under the same start and
   * epoch.
   */
  'forgets what it showed': ({ home, honest }) => {
    let hasShown = false;
    const lie = stating((said) => ({
      statement: hasShown
        ? { ...said, shards: said.shards.map((shard) => ({ ...shard, whole: 0, wanted: 70_000, listDigest: NO_LIST })) }
        : said,
    }))({ home, honest });
    return {
      service: {
        ...lie.service!,
        verify: async (...asked) => {
          const shown = await honest.verify(...asked);
          hasShown = asked[1].length > 4;
          return shown;
        },
      },
    };
  },
  'no shards': stating((said) => ({ statement: { ...said, shards: [] }, lists: [] })),
  'no list where there is one': stating((said) => ({
    statement: { ...said, shards: said.shards.map((shard) => ({ ...shard, listDigest: NO_LIST })) },
  })),
  'an older statement': (() => {
    let first: Uint8Array | undefined;
    return stating((said, _turn, home) => {
      first ??= encodeStatement(home.engine.sodium, said, home.engine.identity.signSeed);
      return first;
    });
  })(),
  'beyond the position': stating((said) => ({
    statement: {
      ...said,
      position: said.position && { ...said.position, seq: said.position.seq + 1000, link: 'ab'.repeat(32) },
    },
  })),
  'a higher incarnation': stating((said) => ({
    statement: {
      ...said,
      position: said.position && { ...said.position, incarnation: said.position.incarnation + 7 },
    },
  })),
  'another start each time': stating((said) => ({ statement: { ...said, startId: randomBytes(16).toString('hex') } })),
  'a start that comes back': stating((said, turn) => ({
    statement: { ...said, startId: (turn % 2 === 0 ? 'aa' : 'bb').repeat(16) },
  })),
  'the last epoch': stating((said) => ({ statement: { ...said, epoch: 2n ** 64n - 1n } })),
  'thirty shards with full lists': ({ home, honest }) => {
    const { sodium, identity } = home.engine;
    const list = Buffer.alloc(65_536 * 33);
    for (let i = 0; i < 65_536; i++) {
      list.writeUInt32BE(i, i * 33);
      list[i * 33 + 32] = 1;
    }
    const listDigest = createHash('sha256').update(list).digest('hex');
    return {
      service: {
        ...honest,
        statement: async (question) => {
          const said = decodeStatement((await honest.statement(question)).statement);
          const seq = said.position?.seq ?? 0;
          const own = new Set(said.shards.map(({ shard }) => shard));
          const more = Array.from({ length: 30 }, (_, i) => i + 100).filter((shard) => !own.has(shard));
          const shards = [
            ...said.shards,
            ...more.map((shard) => ({
              shard,
              applied: seq,
              whole: 0,
              wanted: 65_536,
              lost: 0,
              unreadable: 0,
              listDigest,
            })),
          ];
          return {
            statement: encodeStatement(sodium, { ...said, shards }, identity.signSeed),
            lists: [...(await honest.statement(question)).lists, ...more.map(() => list)],
          };
        },
      },
    };
  },
  /** Headers that never end, a byte now and then. */
  'a header by drip': () => ({
    answer: (route, message, response) => {
      if (route !== 'POST /peer/1/statement') return false;
      message.resume();
      const socket = response.socket!;
      socket.write('HTTP/1.1 200 OK\r\nx-slow: ');
      const timer = setInterval(() => socket.write('a'), 1000);
      socket.once('close', () => clearInterval(timer));
      return true;
    },
  }),
  'interim answers without end': () => ({
    answer: (route, message, response) => {
      if (route !== 'POST /peer/1/statement') return false;
      message.resume();
      const timer = setInterval(() => response.writeProcessing(), 200);
      response.once('close', () => clearInterval(timer));
      return true;
    },
  }),
  'a body by drip': () => ({
    answer: (route, message, response) => {
      if (route !== 'POST /peer/1/statement') return false;
      message.resume();
      response.writeHead(200, { 'content-length': 1_000_000 });
      const timer = setInterval(() => response.write('a'), 1000);
      response.once('close', () => clearInterval(timer));
      return true;
    },
  }),
  'frames by drip': () => ({
    answer: (route, message, response) => {
      if (route !== 'POST /peer/1/fetch') return false;
      message.resume();
      response.writeHead(200);
      const timer = setInterval(() => response.write('\x01'), 1000);
      response.once('close', () => clearInterval(timer));
      return true;
    },
  }),
  'an answer of ten gigabytes': () => ({
    answer: (route, message, response) => {
      if (route !== 'POST /peer/1/statement') return false;
      message.resume();
      response.writeHead(200);
      const piece = Buffer.alloc(1 << 20);
      const more = (): void => {
        while (response.write(piece));
        response.once('drain', more);
      };
      more();
      return true;
    },
  }),
  'empty parts without end': () => ({
    answer: (route, message, response) => {
      if (route !== 'POST /peer/1/statement') return false;
      message.resume();
      const body = Buffer.alloc(60 << 20);
      body.writeUInt32LE((body.length - 4) / 4, 0);
      response.writeHead(200, { 'content-length': body.length });
      response.end(body);
      return true;
    },
  }),
  ...Object.fromEntries(
    [
      'E_INTERRUPTED',
      'E_ROLLBACK',
      'E_FORK',
      'E_NO_VAULT',
      'E_CONFIG',
      'E_DELETE_GUARD',
      'E_NO_SPACE',
      'E_NEWER_FORMAT',
    ].map((code) => [
      `answers ${code}`,
      () => ({
        answer: (route: string, message: IncomingMessage, response: ServerResponse) => {
          if (route !== 'POST /peer/1/statement') return false;
          message.resume();
          response.writeHead(500, { 'content-type': 'application/problem+json' });
          response.end(
            JSON.stringify({
              code,
              detail: `\u001b[31mhello\u001b]0;title\u0007 from ${code}`,
              hint: '\u001b[2J',
              retryable: true,
            }),
          );
          return true;
        },
      }),
    ]),
  ),
};
