/** The ignore rules that hold in a folder, in a form that can be posted to a worker: the root's patterns, then each ignore file on the way down. */
import { splitPath } from '../files/path-bytes.ts';
import { createIgnoreRules, type FolderIgnore } from '../policy/ignore-rules.ts';

export interface IgnoreChain {
  /** The same number, the same rules: workers keep compiled rules by it. */
  readonly key: number;
  /** Patterns of the root's configuration. */
  readonly exclude: readonly string[];
  /** Ignore files, outermost first, by the path of their folder below the root. */
  readonly files: readonly { readonly folder: Uint8Array; readonly text: Uint8Array }[];
}

/** Whether an entry of the folder is left out. */
export type IgnoreMatcher = (name: Uint8Array, isFolder: boolean) => boolean;

/** Compiled rules kept; a tree with more ignore files than this compiles some again. */
const COMPILED_MAX = 256;
const compiled = new Map<number, { readonly rules: FolderIgnore; readonly depth: number }>();
const NO_RULES: IgnoreChain = { key: 0, exclude: [], files: [] };

/** The rules inside a folder that may have an ignore file of its own. Undefined when there are none, which is the common case and costs nothing. */
export function compileIgnoreChain(
  chain: IgnoreChain | undefined,
  folder: Uint8Array,
  ownText: Uint8Array | undefined,
): IgnoreMatcher | undefined {
  if (chain === undefined && ownText === undefined) return undefined;
  const names = splitPath(folder);
  let { rules, depth } = compile(chain ?? NO_RULES);
  if (names.length === 0 && ownText !== undefined) {
    rules = createIgnoreRules(chain?.exclude ?? [], ownText);
  } else {
    for (; depth < names.length; depth++) {
      rules = rules.enter(names[depth]!, depth === names.length - 1 ? ownText : undefined);
    }
  }
  return (name, isFolder) => rules.match(name, isFolder) !== undefined;
}

/** The rules down to the folder of the innermost ignore file. */
function compile(chain: IgnoreChain): { readonly rules: FolderIgnore; readonly depth: number } {
  const known = compiled.get(chain.key);
  if (known !== undefined) return known;
  const files = new Map(chain.files.map((file) => [Buffer.from(file.folder).toString('latin1'), file.text]));
  let rules = createIgnoreRules(chain.exclude, files.get(''));
  const innermost = splitPath(chain.files.at(-1)?.folder ?? new Uint8Array(0));
  let path = '';
  for (const name of innermost) {
    path = `${path}${path === '' ? '' : '/'}${Buffer.from(name).toString('latin1')}`;
    rules = rules.enter(name, files.get(path));
  }
  if (compiled.size >= COMPILED_MAX) compiled.clear();
  const made = { rules, depth: innermost.length };
  if (chain.key !== 0) compiled.set(chain.key, made);
  return made;
}
