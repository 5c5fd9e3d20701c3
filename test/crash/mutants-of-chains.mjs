/**
 * Mutants of the chain: what the two reviews of its design asked tests to notice (docs/chain.md 1 to 4 and 7 to 9). See
 * `mutant-list.mjs`.
 */
const engine = 'packages/engine/src';
const chains = `${engine}/store/chains`;
const CHAINS = `${chains}/chain-store.test.ts`;
const OWN = `${chains}/own-chain.test.ts`;
const HOLDER = `${engine}/hold/holder.test.ts`;
const COLLECT = `${engine}/collect/collect-released.test.ts`;
const DURABILITY = `${engine}/store/durability.test.ts`;
const CHECKPOINTS = `${chains}/checkpoints.test.ts`;
const JOIN = `${chains}/join-shard.test.ts`;
const RECOVER = `${engine}/recover/recover.test.ts`;
const FOLLOWS = '  return seq === (position?.seq ?? 0) + 1 && previous === (position?.link ?? ZERO_LINK);';

export const MUTANTS_OF_CHAINS = [
  {
    name: 'the link of an entry is not compared',
    edits: [
      [
        `${chains}/followed-chain.ts`,
        FOLLOWS,
        FOLLOWS.replace(' === (position?.link', '.length === (position?.link').replace(
          '?? ZERO_LINK)',
          '?? ZERO_LINK).length',
        ),
      ],
    ],
    tests: [CHAINS],
  },
  {
    name: 'a position is on the trail by its number alone',
    edits: [
      [
        `${chains}/chain-store.ts`,
        'known !== undefined && known.link === position.link && known.incarnation === position.incarnation;',
        'known !== undefined;',
      ],
    ],
    tests: [`${engine}/replicate/replicate-to-peer.test.ts`],
    only: 'put back|after a takeover',
  },
  {
    name: 'an entry is taken although one before it is missing',
    edits: [
      [
        `${chains}/followed-chain.ts`,
        FOLLOWS,
        '  const tail = position?.seq ?? 0;\n  return seq > tail + 1 || (seq === tail + 1 && previous === (position?.link ?? ZERO_LINK));',
      ],
    ],
    tests: [CHAINS, HOLDER],
  },
  {
    name: 'a record is taken without its body',
    edits: [
      [`${chains}/take-entries.ts`, '    else if (!isHoldKind(head.header.kind))\n', '    else if (process.pid < 0)\n'],
    ],
    tests: [CHAINS],
  },
  {
    name: 'an older incarnation goes on behind its successor',
    edits: [
      [
        `${chains}/take-entries.ts`,
        'if (tail !== undefined && header.incarnation !== tail.incarnation) {',
        'if (tail !== undefined && header.incarnation > tail.incarnation) {',
      ],
    ],
    tests: [CHAINS],
  },
  {
    name: 'a second takeover of one incarnation is followed',
    edits: [
      [
        `${chains}/take-entries.ts`,
        'takeover.head.header.incarnation <= (tail?.incarnation ?? 0))',
        'takeover.head.header.incarnation < (tail?.incarnation ?? 0))',
      ],
      [
        `${chains}/take-entries.ts`,
        'if (tail !== undefined && header.incarnation <= tail.incarnation) throw',
        'if (tail !== undefined && header.incarnation < tail.incarnation) throw',
      ],
    ],
    tests: [CHAINS],
  },
  {
    name: 'a branch is not frozen: it gets no holds',
    edits: [
      [
        `${engine}/index/chain-table.ts`,
        "for (const table of ['shards', 'pins', 'forgotten', 'settings', 'disputed'])\n          db.prepare(`UPDATE",
        "for (const table of ['pins', 'forgotten', 'settings', 'disputed'])\n          db.prepare(`UPDATE",
      ],
    ],
    tests: [CHAINS],
  },
  {
    name: 'a release in a branch is applied on the trail',
    edits: [
      [
        `${engine}/index/chain-table.ts`,
        "for (const table of ['shards', 'pins', 'forgotten', 'settings', 'disputed'])\n          db.prepare(`UPDATE",
        "for (const table of ['pins', 'forgotten', 'settings', 'disputed'])\n          db.prepare(`UPDATE",
      ],
      [`${chains}/branches.ts`, '    index.chainTable.makeAllWait(chain.chain);\n', ''],
    ],
    tests: [CHAINS],
  },
  {
    name: 'what only a branch holds is deleted',
    edits: [
      [
        `${engine}/index/hold-lookup.ts`,
        '(c.is_own = 0 OR c.parent IS NOT NULL)',
        '(c.is_own = 0 AND c.parent IS NULL)',
      ],
    ],
    tests: [COLLECT],
  },
  {
    name: 'claims end with their session',
    edits: [[`${engine}/index/claims.ts`, 'ending.waitsFor = new Set(collections);', 'ending.waitsFor = new Set();']],
    tests: [CHAINS],
  },
  {
    name: 'a capture does not claim the snapshot whose rows it uses',
    edits: [
      [`${engine}/capture/capture.ts`, 'before === undefined ? [] : [before.id];', 'before === undefined ? [] : [];'],
    ],
    tests: [`${engine}/capture/held-chunks.test.ts`],
  },
  {
    name: 'an id that was added after the walk is released',
    edits: [[`${engine}/index/release-marks.ts`, ' || added > walkedSeq', '']],
    tests: [CHAINS],
  },
  {
    name: 'an id that a session claims is released',
    edits: [[`${engine}/index/release-marks.ts`, ' || deps.isClaimed(id)', '']],
    tests: [CHAINS],
  },
  {
    name: 'an add does not wait for the end of a release',
    edits: [
      [
        `${chains}/own-chain.ts`,
        'readonly listsFurther?: boolean } = {}): Promise<void> {\n    return this.#turn(async () => {',
        'readonly listsFurther?: boolean } = {}): Promise<void> {\n    return (async (work: () => Promise<void>) => work())(async () => {',
      ],
    ],
    tests: [OWN],
    only: 'being released',
  },
  {
    name: 'a look-up takes an id that is being released for known',
    edits: [[`${engine}/index/chunk-index.ts`, ' || isReleasing(ids[i]!)', '']],
    tests: [CHAINS],
  },
  {
    name: 'a full holder takes no releases',
    edits: [
      [
        `${chains}/take-entries.ts`,
        'const isLeftOut = entry.head.header.kind === EntryKind.add && !',
        'const isLeftOut = isHoldKind(entry.head.header.kind) && !',
      ],
    ],
    tests: [CHAINS],
  },
  {
    name: 'the brake stops entries',
    edits: [
      [
        `${engine}/hold/holder.ts`,
        'const position = await chains.take(owner, entries);',
        `const kv = (deps.index as unknown as { kv?: { get(key: string): string | undefined } }).kv;\n        if (kv?.get(\`grace.\${owner.agent}\`)?.includes('brake') === true) throw new Error('braked');\n        const position = await chains.take(owner, entries);`,
      ],
    ],
    tests: [COLLECT],
  },
  {
    name: 'the index lists a fifth form',
    edits: [
      [`${engine}/index/hold-index.ts`, 'held.rows.length >= LISTED_FORMS_MAX', 'held.rows.length > LISTED_FORMS_MAX'],
    ],
    tests: [CHAINS],
  },
  {
    name: 'a fifth form changes the state',
    edits: [
      [
        `${engine}/chain/hold-state.ts`,
        'held.forms.length >= LISTED_FORMS_MAX',
        'held.forms.length > LISTED_FORMS_MAX',
      ],
    ],
    tests: [`${engine}/chain/hold-state.test.ts`],
  },
  {
    name: 'the index lists a delta form of a held id',
    edits: [[`${engine}/index/hold-index.ts`, 'if (isDelta(form) || isListed', 'if (isListed']],
    tests: [CHAINS],
  },
  {
    name: 'a delta form of a held id changes the state',
    edits: [[`${engine}/chain/hold-state.ts`, '    isDelta(form) || held.forms', '    held.forms']],
    tests: [`${engine}/chain/hold-state.test.ts`],
  },
  {
    name: 'a frame of another owner counts without being opened here',
    edits: [
      [
        `${engine}/index/hold-index.ts`,
        'frames.hasIdentified(id) || frames.goodCopies(id).some((copy) => forms.some((form) => isOf(copy, form)));',
        'frames.hasIdentified(id) || frames.goodCopies(id).some(() => forms.length > 0);',
      ],
    ],
    tests: [CHAINS, HOLDER],
  },
  {
    name: 'a frame of another owner counts when it comes, without being opened here',
    edits: [
      [
        `${engine}/index/hold-index.ts`,
        'if (frame.identified || forms.some((form) => isOf(frame, form))) change(head, SATISFIED, counts);\n      });',
        'if (forms.length >= 0 && frame.id.length > 0) change(head, SATISFIED, counts);\n      });',
      ],
    ],
    tests: [CHAINS, HOLDER],
  },
  {
    name: 'whole does not mind what is lost',
    edits: [
      [
        `${engine}/index/hold-index.ts`,
        'SELECT seq FROM holds WHERE shard_ref = ? AND state <> 0 ORDER BY seq LIMIT 1',
        'SELECT seq FROM holds WHERE shard_ref = ? AND state = 1 ORDER BY seq LIMIT 1',
      ],
    ],
    tests: [CHAINS, HOLDER],
  },
  {
    name: 'an adopted tail is not fsynced',
    edits: [[`${chains}/write-again.ts`, '      await file.sync();\n', '']],
    tests: [DURABILITY],
  },
  {
    name: 'an adopted tail is fsynced, and not written again',
    edits: [
      [
        `${chains}/write-again.ts`,
        '        await writeFully(file, buffer.subarray(0, bytesRead), at);\n',
        '        void writeFully;\n',
      ],
    ],
    tests: [DURABILITY],
  },
  {
    name: 'after a failed append the new file stands beside the old one',
    edits: [
      [
        `${chains}/chain-file.ts`,
        '  await rename(temporary, path);\n  failpoint',
        "  await rename(temporary, path.replace('.chain', '.new'));\n  failpoint",
      ],
    ],
    tests: [OWN],
  },
  {
    name: 'a takeover forgets which snapshots are damaged',
    edits: [[`${engine}/recover/chain-state.ts`, 'damaged.has(one.id) ? { ...one, damaged: true } : one', 'one']],
    tests: [RECOVER],
  },
  {
    name: 'a record checkpoint does not say which snapshots are damaged',
    edits: [
      [`${engine}/chain/record-checkpoint.ts`, '.int(shard).bool(damaged);', '.int(shard).bool(damaged && shard < 0);'],
    ],
    tests: [`${engine}/chain/record-checkpoint.test.ts`],
  },
  {
    name: 'a store does not take over damaged marks of a record checkpoint',
    edits: [[`${chains}/apply-entries.ts`, '      if (damaged) log', '      if (damaged && seq < 0) log']],
    tests: [CHAINS],
  },
  {
    name: 'a hold checkpoint changes the state',
    edits: [
      [
        `${engine}/chain/hold-state.ts`,
        '  if (kind !== EntryKind.add && kind !== EntryKind.release) return state;\n',
        '  if (kind === EntryKind.holdCheckpoint) return new Map(state).set(shard, new Map());\n  if (kind !== EntryKind.add && kind !== EntryKind.release) return state;\n',
      ],
    ],
    tests: [`${engine}/chain/hold-state.test.ts`],
  },
  {
    name: 'parts are not compared with the signed checkpoint',
    edits: [[`${chains}/join-shard.ts`, '    requirePart(checkpoint, byte, part);\n', '    void requirePart;\n']],
    tests: [JOIN],
  },
  {
    name: 'a checkpoint is believed against the chain',
    edits: [
      [
        `${chains}/prove-checkpoints.ts`,
        "difference === undefined ? 'proved' : 'false'",
        "process.pid > 0 ? 'proved' : 'false'",
      ],
    ],
    tests: [CHECKPOINTS],
  },
  {
    name: 'a store jumps to a checkpoint without all of its parts',
    edits: [
      [
        `${chains}/join-shard.ts`,
        'byte < PARTS; byte++) {\n    const part = await readPart',
        'byte < PARTS / 2; byte++) {\n    const part = await readPart',
      ],
    ],
    tests: [JOIN],
  },
  {
    name: 'what a taken checkpoint lacks is not disputed',
    edits: [
      [
        `${engine}/index/part-holds.ts`,
        '            dispute.run(row.key48, chain, shard, id);\n',
        '            void dispute;\n',
      ],
    ],
    tests: [JOIN],
  },
  {
    name: 'ids in grace are left out of the branch',
    edits: [[`${engine}/collect/collect-released.ts`, '    if (chains.branches(owner).length > 0) continue;\n', '']],
    tests: [COLLECT],
  },
];
