/** Invitations that this agent gave out: `agent/invites/<id>.json` in the data dir, until they expire. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CardRole,
  type DataDir,
  EdgeError,
  errnoOf,
  readFolder,
  removeIfThere,
  toEdgeError,
  writeFileDurably,
} from '@edgestore/engine';
import { z } from 'zod';
import { createTurns } from '../work/turns.ts';

const inviteSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  role: z.enum(['edge', 'holder', 'reader']),
  expiresNs: z.string().regex(/^\d{1,20}$/),
  uses: z.int().min(1).max(1000),
  /** Hex of the public halves of the secret (see `invite-keys.ts`). */
  proofPublicKey: z.string().regex(/^[0-9a-f]{64}$/),
  boxPublicKey: z.string().regex(/^[0-9a-f]{64}$/),
  /** Who joined: pin of the key and agent id. The same one may ask again, since an answer can be lost. */
  joined: z.array(z.strictObject({ pin: z.string(), agent: z.string() })),
});

export interface Invite extends z.output<typeof inviteSchema> {
  readonly role: CardRole;
}

export interface Invites {
  /** One after the other: between looking whether there is a use left and taking it, nobody else may look. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  add(invite: Invite): Promise<void>;
  /** E_DENIED when it is unknown, expired or used up (by others than `pin`). */
  find(id: string, pin: string, nowNs: bigint): Promise<Invite>;
  /** Durable before the answer leaves: a use cannot be had twice by a crash. */
  use(invite: Invite, pin: string, agent: string): Promise<void>;
  list(): Promise<Invite[]>;
  removeExpired(nowNs: bigint): Promise<number>;
}

export function openInvites(dataDir: DataDir): Invites {
  const folder = join(dataDir.agentDir, 'invites');
  const fileOf = (id: string): string => join(folder, `${id}.json`);
  const write = (invite: Invite): Promise<void> =>
    writeFileDurably(fileOf(invite.id), Buffer.from(JSON.stringify(invite)), 0o600);
  const read = (id: string): Invite | undefined => {
    let text: string;
    try {
      text = readFileSync(fileOf(id), 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw toEdgeError(error, 'reading an invitation');
    }
    const parsed = inviteSchema.safeParse(parseJson(text));
    // A damaged invitation lets nobody in; a new one is easily made.
    return parsed.success ? parsed.data : undefined;
  };

  const turns = createTurns();
  return {
    inTurn: (work) => turns.run('join', work),
    async add(invite) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      await write(invite);
    },
    async find(id, pin, nowNs) {
      const invite = /^[0-9a-f]{32}$/.test(id) ? read(id) : undefined;
      if (invite === undefined) throw denied('is not known here');
      if (nowNs > BigInt(invite.expiresNs)) throw denied('has expired');
      const isAgain = invite.joined.some((one) => one.pin === pin);
      if (!isAgain && invite.joined.length >= invite.uses) throw denied('was used already');
      return invite;
    },
    async use(invite, pin, agent) {
      if (invite.joined.some((one) => one.pin === pin)) return;
      await write({ ...invite, joined: [...invite.joined, { pin, agent }] });
    },
    async list() {
      const names = await readFolder(folder);
      return names.flatMap((name) => (name.endsWith('.json') ? (read(name.slice(0, -5)) ?? []) : []));
    },
    async removeExpired(nowNs) {
      let removed = 0;
      for (const invite of await this.list()) {
        if (nowNs > BigInt(invite.expiresNs) && (await removeIfThere(fileOf(invite.id)))) removed++;
      }
      return removed;
    },
  };
}

function denied(problem: string): EdgeError {
  return new EdgeError('E_DENIED', `the invitation ${problem}`, {
    hint: 'Ask for a new one: `edgestore peer invite`.',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
