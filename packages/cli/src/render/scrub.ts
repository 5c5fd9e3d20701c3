/** Text of `scrub`. */
import type { ScrubData } from '@edgestore/agent/operations/scrub';
import { formatBytes, formatDuration } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { printable } from '../output/printable.ts';
import { shortId, shownPath } from './lines.ts';

export type { ScrubData };

const FILES_SHOWN_MAX = 20;

export function renderScrub(data: ScrubData, { colours, verbose }: TextContext): string[] {
  if (data.log !== undefined) return renderLog(data.log, colours);
  const lines = [
    `${formatCount(data.packs.read)} of ${formatCount(data.packs.total)} packs read, ${formatCount(data.chunks)} chunks, ${formatBytes(data.bytes)}, in ${formatDuration(data.duration_s * 1000)}`,
  ];
  for (const one of data.unread) lines.push(`${colours.yellow('not read')}  ${one.store}: ${printable(one.message)}`);
  const { lost, unknown } = data;
  if (unknown.chunks + unknown.unread > 0) {
    lines.push(
      `${colours.yellow('unknown')}  ${formatCount(unknown.chunks)} chunks have no known copy, ${formatCount(unknown.unread)} listings could not be read; not reached: ${unknown.places.map((one) => printable(one)).join(', ') || 'nobody'}. Nothing counts as lost until they were asked.`,
    );
  }
  for (const chain of data.chains) {
    const whose = chain.own ? 'the own chain' : `the chain of ${printable(chain.name ?? shortId(chain.agent))}`;
    const mended =
      chain.repaired === 0
        ? ''
        : `, ${formatCount(chain.repaired)} mended from ${chain.from.map((one) => printable(one)).join(', ')}`;
    const state = chain.damaged > 0 ? colours.red('damaged') : colours.yellow('mended');
    lines.push(`${state}  ${whose}: ${formatCount(chain.damaged)} ranges cannot be read${mended}`);
    for (const message of chain.messages) lines.push(`  ${printable(message)}`);
  }
  for (const holds of data.holds) lines.push(...renderHolds(holds, colours));
  const { given_up } = data;
  if (data.findings.length + lost.chunks + data.chains.length + data.holds.length + given_up.chunks === 0) {
    if (unknown.chunks + unknown.unread > 0) return lines;
    return [...lines, colours.green('No damage found.')];
  }
  for (const finding of data.findings) {
    const copies = finding.repaired
      ? ', repaired'
      : finding.other_copies > 0
        ? `, ${finding.other_copies} other good copies`
        : '';
    const what = finding.what === 'missing' ? 'missing' : 'damaged';
    lines.push(
      `${colours.red(what)}  ${finding.store} pack ${shortId(finding.pack)}: ${printable(finding.message)}${copies}`,
    );
  }
  if (lost.chunks > 0) {
    lines.push(
      `${colours.red('lost')}  ${lost.complete ? '' : 'more than '}${formatCount(lost.chunks)} chunks that snapshots need are in no place.${data.given_up.chunks + data.given_up.stored_again > 0 ? '' : ' What still stands in the roots is stored again by the next sync; --all --repair gives up the rest.'}`,
    );
  }
  lines.push(...renderGivenUp(given_up, colours));
  if (data.dry_run) {
    const own = data.findings.filter((finding) => finding.store === 'local').length;
    lines.push(`Nothing was changed (dry run); --repair would look for good copies of ${formatCount(own)} elsewhere.`);
  }
  const shown = verbose ? data.files : data.files.slice(0, FILES_SHOWN_MAX);
  if (shown.length > 0) lines.push('Files that it touches:');
  for (const file of shown)
    lines.push(`  ${file.state}  ${shortId(file.snapshot)} ${file.root}: ${shownPath(file) || '/'}`);
  const more = data.files.length - shown.length + data.files_omitted;
  if (more > 0) lines.push(`  … and ${formatCount(more)} more${verbose ? '' : ' (-v shows more)'}`);
  return lines;
}

function renderGivenUp(given: ScrubData['given_up'], colours: TextContext['colours']): string[] {
  const lines: string[] = [];
  if (given.stored_again > 0)
    lines.push(
      `${colours.yellow('mended')}  ${formatCount(given.stored_again)} of them were found again, or stored from files`,
    );
  if (given.chunks > 0) {
    lines.push(
      `${colours.red('given up')}  ${formatCount(given.chunks)} chunks that no store has. These snapshots are damaged: they restore by file, and never count as safe.`,
    );
    for (const one of given.snapshots) lines.push(`  ${shortId(one.id)} ${printable(one.root)} ${one.time}`);
  }
  if (given.waits_for.length > 0) {
    lines.push(
      `${colours.yellow('kept')}  Nothing was given up, because not every place could say that it has nothing:`,
    );
    for (const reason of given.waits_for) lines.push(`  ${printable(reason)}`);
  }
  return lines;
}

function renderHolds(holds: ScrubData['holds'][number], colours: TextContext['colours']): string[] {
  const whose = holds.own ? 'this agent' : printable(holds.name ?? shortId(holds.agent));
  const place = `of the ${formatCount(holds.held)} chunks that ${whose} holds here in shard ${holds.shard}`;
  const lines: string[] = [];
  if (holds.wrong > 0 || holds.miscounted) {
    const what =
      holds.wrong > 0 ? `${formatCount(holds.wrong)} differ from the chain or the packs` : 'the counts differ';
    const state = holds.repaired ? colours.yellow('mended') : colours.red('index');
    lines.push(`${state}  ${place}, in the index ${what}${holds.repaired ? '; it was made again from the files' : ''}`);
  }
  if (holds.lost + holds.unreadable > 0)
    lines.push(
      `${colours.red('lacking')}  ${place}, ${formatCount(holds.lost)} are lost, ${formatCount(holds.unreadable)} cannot be read`,
    );
  return [...lines, `  next: ${printable(holds.next)}`];
}

function renderLog(log: NonNullable<ScrubData['log']>, colours: TextContext['colours']): string[] {
  const lines = [
    log.repaired === 'whole'
      ? colours.green(`The chain of this agent is whole again: ${formatCount(log.records)} entries.`)
      : colours.yellow(
          `The chain of this agent was cut: it has ${formatCount(log.records)} entries and goes on in a new incarnation.`,
        ),
    `The damaged files were kept: ${log.aside === '' ? 'beside the mended ones' : printable(log.aside)}`,
  ];
  if (log.from.length > 0) lines.push(`Entries came from: ${log.from.map((one) => printable(one)).join(', ')}`);
  for (const [state, snapshots] of [
    [colours.green('there '), log.snapshots],
    [colours.yellow('behind'), log.behind],
    [colours.red('lost  '), log.lost],
  ] as const) {
    for (const one of snapshots)
      lines.push(`  ${state}  ${shortId(one.id)} ${printable(one.root)} ${one.time ?? '(time unknown)'}`);
  }
  if (log.behind.length > 0)
    lines.push('Snapshots behind the damage can be restored; they do not count as safe. Sync again for one that does.');
  return [...lines, 'Packs were not looked at; run the command again for that.'];
}
