/**
 * Mutants of what counts as a copy: statements, levels, buckets, marks and merges (docs/chain.md 2.7, 3.9, 5 and 6).
 * See `mutant-list.mjs`.
 */
const engine = 'packages/engine/src';
const replicate = `${engine}/replicate`;
const COVER = `${engine}/chain/cover.test.ts`;
const PEER = `${replicate}/replicate-to-peer.test.ts`;
const BUCKET = `${replicate}/replicate-to-bucket.test.ts`;
const REPLICATOR = `${replicate}/replicator.test.ts`;
const INDEXED = `${engine}/store/bucket/indexed-source.test.ts`;
const P5 = `${engine}/demote/demote.test.ts`;
const MARKS = `${engine}/store/marks.test.ts`;

export const MUTANTS_OF_STORES = [
  {
    name: 'a statement counts that is ahead of the own trail, or beside it',
    edits: [[`${engine}/chain/cover.ts`, "  if (!owner.isOnTrail(position)) return 'not-on-trail';\n", '']],
    tests: [COVER],
  },
  {
    name: 'a statement of an older incarnation counts',
    edits: [
      [
        `${engine}/chain/cover.ts`,
        "  if (position.incarnation !== owner.incarnation) return 'older-incarnation';\n",
        '',
      ],
    ],
    tests: [COVER],
  },
  {
    name: 'an answer from before the question counts',
    edits: [
      [
        `${replicate}/wait-for-level.ts`,
        'targets.filter(({ target }) => fresh.has(target))',
        'targets.filter(() => true)',
      ],
    ],
    tests: [REPLICATOR],
    only: 'from memory',
  },
  {
    name: 'an answer from before the snapshot was recorded counts',
    edits: [[`${engine}/chain/cover.ts`, "  if (answer.askedAtSeq < snapshot.seq) return 'asked-before';\n", '']],
    tests: [COVER],
  },
  {
    name: 'a list counts without the bodies that it is of',
    edits: [
      [`${engine}/chain/cover.ts`, 'stated === undefined || stated.applied < snapshot.seq', 'stated === undefined'],
    ],
    tests: [COVER],
  },
  {
    name: 'a damaged snapshot counts',
    edits: [[`${engine}/chain/cover.ts`, "  if (snapshot.damaged) return 'damaged';\n", '']],
    tests: [COVER],
  },
  {
    name: 'a damaged snapshot counts for a bucket',
    edits: [[`${replicate}/coverage.ts`, 'snapshot.branch || snapshot.damaged', 'snapshot.branch']],
    tests: [`${replicate}/coverage.test.ts`],
  },
  {
    name: 'stores behind one bucket count twice',
    edits: [
      [
        `${engine}/chain/cover.ts`,
        `, \`agent \${store.agent}\`, ...store.backing.map((location) => \`bucket \${location}\`)];`,
        `, \`agent \${store.agent}\`];`,
      ],
    ],
    tests: [COVER],
  },
  {
    name: 'a statement under another layout counts',
    edits: [[`${engine}/chain/cover.ts`, "  if (layoutVersion !== owner.layoutVersion) return 'other-layout';\n", '']],
    tests: [COVER],
  },
  {
    name: 'a store that is not ranked counts',
    edits: [[`${engine}/chain/cover.ts`, "  if (!input.isRanked) return 'not-ranked';\n", '']],
    tests: [COVER],
  },
  {
    name: 'P5 counts a statement under another layout',
    edits: [[`${engine}/demote/verify-at-peers.ts`, '    layoutVersion === LAYOUT_VERSION &&\n', '']],
    tests: [P5],
    only: 'not ranked',
  },
  {
    name: 'P5 counts a copy at a holder that is not ranked',
    edits: [
      [
        `${engine}/demote/verify-at-peers.ts`,
        'is not among the holders of this agent`);\n    return [];',
        'is not among the holders of this agent`);\n    return [...wanted];',
      ],
      [
        `${engine}/demote/verify-at-peers.ts`,
        'if (before === undefined || there.length === 0)',
        'if (there.length === 0)',
      ],
      [
        `${engine}/demote/verify-at-peers.ts`,
        '      requireSameStart(before, now);',
        '      if (before !== undefined) requireSameStart(before, now);',
      ],
      [
        `${engine}/demote/verify-at-peers.ts`,
        '{ ...storeOf(chunk, before), agent, site }',
        "{ ...(before === undefined ? { type: 'peer', storeId: agent, backing: [] } : storeOf(chunk, before)), agent, site }",
      ],
    ],
    tests: [P5],
    only: 'not ranked',
  },
  {
    name: 'whoever says that he is ahead stops the owner, without proof',
    edits: [
      [`${replicate}/own-trail.ts`, '  if (!isSignedByUs(head, deps)) throw unproved(link.label, position);\n', ''],
    ],
    tests: [PEER],
    only: 'did not sign, stops only',
  },
  {
    name: 'a segment that the agent did not sign stops the owner',
    edits: [[`${replicate}/judge-segments.ts`, '  requireProof(foreign, segment, deps);\n', '  void requireProof;\n']],
    tests: [BUCKET],
  },
  {
    name: 'a segment has the same key whatever is in it, so the later one replaces the other',
    edits: [
      [
        `${engine}/chain/chain-segment.ts`,
        "sha256: createHash('sha256').update(bytes).digest('hex').slice(0, 16) };",
        "sha256: createHash('sha256').digest('hex').slice(0, 16) };",
      ],
      [
        `${engine}/chain/chain-segment.ts`,
        "if (createHash('sha256').update(bytes).digest('hex').slice(0, 16) !== key.sha256)",
        'if (key.sha256.length !== 16)',
      ],
    ],
    tests: [BUCKET],
  },
  {
    name: 'nobody looks for segments of another writer behind the own ones',
    edits: [
      [`${replicate}/put-segments.ts`, '  await requireNoOther(listed, deps, signal);\n', '  void requireNoOther;\n'],
    ],
    tests: [BUCKET],
  },
  {
    name: 'segments are listed by their first entry',
    edits: [
      [
        `${engine}/chain/chain-segment.ts`,
        `-\${digits(last, 16)}-\${digits(first, 16)}-\${sha256`,
        `-\${digits(first, 16)}-\${digits(last, 16)}-\${sha256`,
      ],
      [
        `${engine}/chain/chain-segment.ts`,
        'const [, agent, incarnation, last, first, sha256] =',
        'const [, agent, incarnation, first, last, sha256] =',
      ],
    ],
    tests: [`${engine}/chain/chain-segment.test.ts`],
  },
  {
    name: 'a good read lifts no mark',
    edits: [
      [
        `${engine}/store/chunk-store/fetch-frames.ts`,
        '      if (row.marked !== undefined && address.pack !== undefined) lifts.push({ id: address.id, pack: address.pack });\n',
        '',
      ],
    ],
    tests: [MARKS],
  },
  {
    name: 'a good read of a bucket lifts no mark',
    edits: [
      [
        `${engine}/store/bucket/indexed-source.ts`,
        'if (row !== undefined && sha256Matches(sealed, row.sealedSha256))\n',
        'if (row !== undefined && sha256Matches(sealed, row.sealedSha256) && process.pid < 0)\n',
      ],
    ],
    tests: [INDEXED],
  },
  {
    name: 'a merge skips a frame that cannot be read',
    edits: [
      [
        `${engine}/store/chunk-store/compact-packs.ts`,
        '          problems.set(pack.name, (outcome as SealedMiss).detail);\n          continue;',
        '          continue;',
      ],
      [`${engine}/index/chunk-index.ts`, '        requireAllAmong(added, old, frames);\n', ''],
    ],
    tests: [MARKS],
  },
  {
    name: 'the swap of a merge does not mind a frame that was not copied',
    edits: [[`${engine}/index/chunk-index.ts`, '        requireAllAmong(added, old, frames);\n', '']],
    tests: [MARKS, `${engine}/index/index.test.ts`],
  },
  {
    name: 'a read that verifies is answered from the cache',
    edits: [
      [
        `${engine}/store/chunk-store/fetch-frames.ts`,
        '      if (fromMedium) readFromMedium(file.fd, range.start, range.end - range.start);\n',
        '',
      ],
    ],
    tests: [`${engine}/store/chunk-store/verify-from-medium.test.ts`],
  },
  {
    name: 'a bucket that is not there is taken for an empty one by a pass',
    edits: [
      [
        `${engine}/store/bucket/store-id.ts`,
        '  if (descriptor === undefined) throw emptyStore(store.label, name);\n',
        '  void [descriptor, emptyStore];\n',
      ],
    ],
    tests: [BUCKET],
  },
  {
    name: 'a bucket that is not there is taken for an empty one by a read',
    edits: [[`${engine}/store/bucket/bucket-source.ts`, '    await deps.requireIdentity(signal);\n', '']],
    tests: [INDEXED],
  },
];
