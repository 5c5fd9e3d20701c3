/** Reads entries that the index knows from their files, compared with what it knows of them. */
import { decodeHead, HEAD_BYTES, requireBody, type SignedHead } from '../../chain/entry-head.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import type { BodyPlace, ChainTable, EntryRow } from '../../ports/chain-index.ts';
import type { ChainEntry } from '../../ports/chains.ts';
import type { PlacedEntry } from './chain-file.ts';
import type { ChainBytes } from './read-chain-bytes.ts';
import { DAMAGE_HINT } from './read-chain-end.ts';
import { LENGTH_BYTES } from './scan-chain-file.ts';

export interface ReadEntryDeps {
  readonly index: { readonly chainTable: Pick<ChainTable, 'placeOf' | 'row'> };
  readonly bytes: ChainBytes;
}

/** E_INTEGRITY names file and offset; E_IO. */
export function readHead(row: EntryRow, { index, bytes }: ReadEntryDeps): SignedHead {
  const { agent, parent, position } = index.chainTable.row(row.chain);
  const { fileIncarnation, file, offset } = row;
  const branch = parent === undefined ? undefined : position?.link;
  const place: BodyPlace = {
    agent,
    branch,
    fileIncarnation,
    file,
    isLate: false,
    at: offset + LENGTH_BYTES,
    bytes: HEAD_BYTES,
  };
  const path = bytes.pathOf(place);
  try {
    const head = decodeHead(bytes.read(place, 0, HEAD_BYTES));
    if (head.link === row.link) return head;
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT')) throw error;
  }
  throw damagedEntry(row, path, offset, 'its header is damaged');
}

/** Undefined where the body is not here. E_INTEGRITY, E_IO. */
export function readBody(row: EntryRow, head: SignedHead, { index, bytes }: ReadEntryDeps): Uint8Array | undefined {
  const place = index.chainTable.placeOf(row);
  if (place === undefined) return undefined;
  const body = bytes.read(place, 0, place.bytes);
  try {
    requireBody(head, body);
    return body;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    throw damagedEntry(row, bytes.pathOf(place), place.at, 'its body is damaged');
  }
}

export function readEntry(row: EntryRow, deps: ReadEntryDeps): ChainEntry {
  const head = readHead(row, deps);
  return { head, body: readBody(row, head, deps) };
}

/** An entry whose record is applied again; undefined where it is damaged, which is told. */
export function readRecord(
  row: EntryRow,
  deps: ReadEntryDeps & { readonly onProblem: (problem: EdgeError) => void },
): PlacedEntry | undefined {
  try {
    return { ...readEntry(row, deps), place: row };
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    deps.onProblem(error);
    return undefined;
  }
}

function damagedEntry({ incarnation, seq }: EntryRow, path: string, offset: number, problem: string): EdgeError {
  return new EdgeError(
    'E_INTEGRITY',
    `chain ${path} is damaged at byte ${offset}: entry ${incarnation}/${seq}: ${problem}`,
    {
      hint: DAMAGE_HINT,
      context: { path, offset, incarnation, seq },
    },
  );
}
