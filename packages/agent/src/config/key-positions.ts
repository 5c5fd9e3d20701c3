/**
 * Line numbers of the keys of a TOML text. The TOML parser gives positions of syntax errors only, and a message without a line sends the
 * user searching. The text is known to parse, so this only has to find its way, not to judge.
 */

/** Key paths, joined by NUL (array indexes in decimal), with the 1-based line where the key or element stands. */
export type KeyPositions = ReadonlyMap<string, number>;

export function pathKey(path: readonly PropertyKey[]): string {
  return path.map(String).join('\0');
}

/** The line of the longest known beginning of the path; 1 when not even its first key is there. */
export function lineOf(positions: KeyPositions, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const line = positions.get(pathKey(path.slice(0, length)));
    if (line !== undefined) return line;
  }
  return 1;
}

export function findKeyPositions(text: string): KeyPositions {
  const scanner = new Scanner(text);
  scanner.document();
  return scanner.positions;
}

class Scanner {
  readonly positions = new Map<string, number>();
  readonly #text: string;
  readonly #arrayLengths = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    let table: string[] = [];
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#peek() === '[') {
        table = this.#header();
      } else {
        this.#keyValue(table);
      }
    }
  }

  /** `[a.b]` or `[[a.b]]`; answers the path that the following keys are under. */
  #header(): string[] {
    const isArray = this.#text.startsWith('[[', this.#at);
    this.#at += isArray ? 2 : 1;
    const line = this.#line;
    const keys = this.#key();
    this.#skipSpaces();
    this.#at += isArray ? 2 : 1;
    const path: string[] = [];
    for (const [i, key] of keys.entries()) {
      path.push(key);
      this.#note(path, line);
      const known = this.#arrayLengths.get(pathKey(path)) ?? 0;
      if (isArray && i === keys.length - 1) {
        this.#arrayLengths.set(pathKey(path), known + 1);
        path.push(String(known));
        this.#note(path, line);
      } else if (known > 0) {
        // A table below an array of tables belongs to its newest element.
        path.push(String(known - 1));
      }
    }
    return path;
  }

  #keyValue(table: readonly string[]): void {
    const line = this.#line;
    const path = [...table];
    for (const key of this.#key()) {
      path.push(key);
      this.#note(path, line);
    }
    this.#skipSpaces();
    this.#at++; // the equals sign
    this.#value(path);
  }

  #value(path: readonly string[]): void {
    this.#skipSpaces();
    const next = this.#peek();
    if (next === '"' || next === "'") this.#string();
    else if (next === '[') this.#array(path);
    else if (next === '{') this.#inlineTable(path);
    else while (this.#at < this.#text.length && !/[,\]}#\n]/.test(this.#peek())) this.#at++;
  }

  #array(path: readonly string[]): void {
    this.#at++;
    for (let i = 0; this.#at < this.#text.length; i++) {
      this.#skipBlank();
      if (this.#peek() === ']') break;
      this.#note([...path, String(i)], this.#line);
      this.#value([...path, String(i)]);
      this.#skipBlank();
      if (this.#peek() === ',') this.#at++;
    }
    this.#at++;
  }

  #inlineTable(path: readonly string[]): void {
    this.#at++;
    while (this.#at < this.#text.length) {
      this.#skipBlank();
      if (this.#peek() === '}') break;
      this.#keyValue(path);
      this.#skipBlank();
      if (this.#peek() === ',') this.#at++;
    }
    this.#at++;
  }

  /** A bare, quoted or dotted key. */
  #key(): string[] {
    const keys: string[] = [];
    for (;;) {
      this.#skipSpaces();
      const next = this.#peek();
      if (next === '"' || next === "'") {
        keys.push(this.#string());
      } else {
        const start = this.#at;
        while (/[A-Za-z0-9_-]/.test(this.#peek())) this.#at++;
        // What is no key character is stepped over, so that a scan of anything ends.
        if (this.#at === start) this.#at++;
        keys.push(this.#text.slice(start, this.#at));
      }
      this.#skipSpaces();
      if (this.#peek() !== '.') return keys;
      this.#at++;
    }
  }

  /** Steps over a string of any of the four kinds; escapes are not decoded, which only matters for odd keys. */
  #string(): string {
    const quote = this.#peek();
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at);
    const closing = isLong ? quote.repeat(3) : quote;
    this.#at += closing.length;
    const start = this.#at;
    while (this.#at < this.#text.length && !this.#text.startsWith(closing, this.#at)) {
      if (quote === '"' && this.#peek() === '\\') this.#at++;
      if (this.#peek() === '\n') this.#line++;
      this.#at++;
    }
    const content = this.#text.slice(start, this.#at);
    this.#at += closing.length;
    // A long string may end in one or two quotes of its own kind before the closing three.
    while (isLong && this.#peek() === quote) this.#at++;
    return content;
  }

  #skipSpaces(): void {
    while (this.#peek() === ' ' || this.#peek() === '\t') this.#at++;
  }

  /** Spaces, line ends and comments. */
  #skipBlank(): void {
    for (;;) {
      const next = this.#peek();
      if (next === '\n') this.#line++;
      if (next === '#') while (this.#at < this.#text.length && this.#peek() !== '\n') this.#at++;
      else if (next !== '' && /\s|\uFEFF/.test(next)) this.#at++;
      else return;
    }
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #note(path: readonly string[], line: number): void {
    const key = pathKey(path);
    if (!this.positions.has(key)) this.positions.set(key, line);
  }
}
