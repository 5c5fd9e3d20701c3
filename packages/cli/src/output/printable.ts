/** Text for a terminal: control characters (which could move the cursor or worse) become `\xNN`; `allowed` ones stay. */
export function printable(text: string, allowed = ''): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point.
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) =>
    allowed.includes(c) ? c : [...Buffer.from(c, 'utf8')].map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join(''),
  );
}
