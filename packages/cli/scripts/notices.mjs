// The licences of the libraries that are inside the bundle, as their authors ask for: each with its text.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** @param modules paths of the modules in the bundle. Throws for a library that brings no licence text. */
export function noticesOf(modules) {
  const libraries = new Map();
  for (const id of modules) {
    const folder = libraryOf(id);
    if (folder === undefined) continue;
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    libraries.set(`${name} ${version}`, `${name} ${version} (${license})\n\n${licenceText(folder, name)}\n`);
  }
  const sorted = [...libraries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
  return ['The program contains these libraries.\n', ...sorted].join(`\n${'-'.repeat(80)}\n\n`);
}

/** The folder of the package in node_modules that a module belongs to; undefined for our own and for what the bundler makes. */
function libraryOf(id) {
  if (!id.startsWith('/') || !id.includes('/node_modules/')) return undefined;
  let folder = dirname(id);
  // A package.json without a name only says how its folder is to be read.
  while (!existsSync(join(folder, 'package.json')) || !nameOf(folder)) folder = dirname(folder);
  return folder;
}

function nameOf(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).name;
}

function licenceText(folder, name) {
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  if (file === undefined) throw new Error(`${name} is bundled and has no licence text in ${folder}`);
  return readFileSync(join(folder, file), 'utf8').trim();
}
