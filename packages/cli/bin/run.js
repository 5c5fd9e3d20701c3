#!/usr/bin/env node
// Starts edgestore. Until the version is known to be right, nothing here may be newer than the oldest Node that can read this file:
// no static imports, old syntax, so that an old Node gets a plain sentence and not a stack trace.
var found = process.versions.node.split('.').map(Number);
if (found[0] < 22 || (found[0] === 22 && found[1] < 22)) {
  process.stderr.write(
    'edgestore: needs Node.js 22.22.0 or newer, this is ' +
      process.versions.node +
      ' (' +
      process.execPath +
      ').\n  Install a newer Node.js; in a clone of the repository, `npx edgestore` brings its own.\n',
  );
  process.exit(2);
} else {
  import('../dist/start.js')
    .then((module) => module.start())
    .catch((error) => {
      var missing = error && error.code === 'ERR_MODULE_NOT_FOUND';
      process.stderr.write(`edgestore: cannot start: ${(error && (missing ? error.message : error.stack)) || error}\n`);
      if (missing) process.stderr.write('  In a clone of the repository, run `npm run build` first.\n');
      process.exit(1);
    });
}
