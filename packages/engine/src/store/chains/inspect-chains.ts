/** What is wrong with the chain files of a data dir, without a key and without changing anything; a running agent may be appending to them. */
import { verifyHead } from '../../chain/entry-head.ts';
import { type Link, type Position, ZERO_LINK } from '../../chain/position.ts';
import type { Sodium } from '../../codec/sodium.ts';
import { EdgeError, toEdgeError } from '../../core/errors.ts';
import type { AgentId, VaultId } from '../../core/ids.ts';
import { type DataDir, readFolder } from '../data-dir.ts';
import { chainFile, chainFilesIn, chainFolder } from './chain-paths.ts';
import { DAMAGE_HINT } from './read-chain-end.ts';
import { scanChainFile } from './scan-chain-file.ts';

export interface InspectChainsDeps {
  readonly sodium: Sodium;
  readonly vault: VaultId;
  readonly self: AgentId;
  /** The end of each chain that the index applied: files with less of it lost something that was acknowledged. */
  readonly known: ReadonlyMap<AgentId, Position>;
  /** Undefined where no card is known: then signatures are not checked. */
  readonly signPublicKey: (agent: AgentId, incarnation: number) => Uint8Array | undefined;
}

export interface ChainInspection {
  readonly agent: AgentId;
  readonly entries: number;
  /** The first thing that is wrong. */
  readonly problem: EdgeError | undefined;
}

/** Every chain that is there or that the index knows; the agent's own is among them also when nothing of it is left. */
export async function inspectChains(
  dir: Pick<DataDir, 'chainsDir'>,
  deps: InspectChainsDeps,
): Promise<ChainInspection[]> {
  const agents = new Set([deps.self, ...deps.known.keys()]);
  for (const name of await readFolder(dir.chainsDir)) if (/^[0-9a-f]{32}$/.test(name)) agents.add(name);
  const out: ChainInspection[] = [];
  for (const agent of [...agents].sort()) out.push(await inspectChain(agent, chainFolder(dir.chainsDir, agent), deps));
  return out;
}

async function inspectChain(agent: AgentId, folder: string, deps: InspectChainsDeps): Promise<ChainInspection> {
  let entries = 0;
  let next = 1;
  let link: Link = ZERO_LINK;
  try {
    for (const name of chainFilesIn(await readFolder(folder))) {
      const path = chainFile(folder, name);
      const damaged = (offset: number, why: string): EdgeError =>
        new EdgeError('E_INTEGRITY', `${path} is damaged at byte ${offset}: ${why}`, {
          hint: DAMAGE_HINT,
          context: { path, offset },
        });
      for await (const part of scanChainFile(path)) {
        // An unfinished end is what the next start moves aside, or what is being written right now.
        if (part.kind === 'rest' && part.isTorn) continue;
        if (part.kind !== 'entry') throw damaged(part.offset, 'bytes that are no entry');
        const { header } = part.head;
        if (header.vault !== deps.vault || header.agent !== agent)
          throw damaged(part.offset, 'an entry of another vault or agent');
        if (header.seq !== next || header.previous !== link)
          throw damaged(part.offset, `entry ${header.incarnation}/${header.seq} does not follow ${next - 1}`);
        if (part.isBodyDamaged)
          throw damaged(
            part.offset,
            `the body of entry ${header.incarnation}/${header.seq} is not the one that was signed`,
          );
        const key = deps.signPublicKey(agent, header.incarnation);
        try {
          if (key !== undefined) verifyHead(deps.sodium, part.head, key);
        } catch (error) {
          throw damaged(part.offset, toEdgeError(error).message);
        }
        entries++;
        next++;
        link = part.head.link;
      }
    }
    const known = deps.known.get(agent);
    if (known !== undefined && known.seq >= next) {
      throw new EdgeError(
        'E_INTEGRITY',
        `${folder} ends before entry ${known.incarnation}/${known.seq}, which was acknowledged`,
        {
          hint: DAMAGE_HINT,
          context: { path: folder },
        },
      );
    }
    return { agent, entries, problem: undefined };
  } catch (error) {
    return { agent, entries, problem: toEdgeError(error) };
  }
}
