/** Colours of one stream: on a terminal, unless the user's environment or flag says otherwise. */

export interface Colours {
  readonly on: boolean;
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
}

export interface ColourInput {
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--no-color`. */
  readonly forbidden: boolean;
}

/** `--no-color` over FORCE_COLOR over NO_COLOR over TERM=dumb over whether the stream is a terminal. */
export function chooseColours(input: ColourInput): Colours {
  const on = wantsColours(input);
  const paint = (code: number, end: number) => (text: string) => (on ? `\x1b[${code}m${text}\x1b[${end}m` : text);
  return { on, bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), green: paint(32, 39), yellow: paint(33, 39) };
}

function wantsColours({ isTerminal, env, forbidden }: ColourInput): boolean {
  if (forbidden) return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  if (env.NO_COLOR) return false;
  return isTerminal && env.TERM !== 'dumb';
}
