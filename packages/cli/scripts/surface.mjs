/** What scripts can rely on, out of the manifest: commands with their arguments and flags, without texts. The global flags stand once. */
export function surfaceOf(manifest) {
  const commands = {};
  let globals = {};
  for (const [id, command] of Object.entries(manifest.commands).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const all = Object.values(command.flags);
    globals = Object.fromEntries(all.filter((flag) => flag.helpGroup === 'GLOBAL').map(flagOf));
    commands[id.replaceAll(':', ' ')] = {
      args: Object.values(command.args).map(
        (arg) => `${arg.required ? arg.name : `[${arg.name}]`}${command.strict === false ? '…' : ''}`,
      ),
      flags: Object.fromEntries(all.filter((flag) => flag.helpGroup !== 'GLOBAL').map(flagOf)),
    };
  }
  return { globals, commands };
}

function flagOf(flag) {
  const value =
    flag.type === 'boolean'
      ? ''
      : `=${flag.options === undefined ? (flag.helpValue ?? 'VALUE') : flag.options.join('|')}`;
  const notes = [
    flag.required ? 'required' : '',
    flag.multiple ? 'repeatable' : '',
    flag.allowNo ? 'negatable' : '',
    flag.default === undefined || flag.default === false ? '' : `default ${flag.default}`,
  ].filter(Boolean);
  const name = `--${flag.name}`;
  return [name, [`${flag.char === undefined ? '' : `-${flag.char} `}${name}${value}`, ...notes].join(', ')];
}
