/** The first line of a file in `conf.d`: who wrote it. */

const FIRST_LINES = {
  command: '# Written by edgestore; change it with its commands, or remove the file.',
  recover:
    '# Written by edgestore recover, from the settings of before. Remove it when your own edgestore.toml says the same.',
} as const;

export type ConfigItemWriter = keyof typeof FIRST_LINES;

export function firstLineBy(writer: ConfigItemWriter): string {
  return FIRST_LINES[writer];
}

/** Undefined for a file that a person wrote. */
export function configItemWriter(text: string): ConfigItemWriter | undefined {
  const writers = Object.keys(FIRST_LINES) as ConfigItemWriter[];
  return writers.find((writer) => text.startsWith(`${FIRST_LINES[writer]}\n`));
}
