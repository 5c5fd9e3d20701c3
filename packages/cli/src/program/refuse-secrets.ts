/** Nothing secret on the command line: it is in the shell's history and in every user's process list. */
import { EdgeError } from '@edgestore/engine/errors';

const SAFE_WAYS: readonly { readonly flag: RegExp; readonly what: string; readonly way: string }[] = [
  {
    flag: /^--(pass(word|phrase)?|new-pass(word|phrase)?)(=|$)/i,
    what: 'a passphrase',
    way: 'Type it at the prompt, or name a file in EDGESTORE_PASSPHRASE_FILE or a command in EDGESTORE_PASSPHRASE_COMMAND.',
  },
  { flag: /^--(vault-key|key|secret|secret-key)(=|$)/i, what: 'a key', way: 'Name a key file (0600) with --key-file.' },
  {
    flag: /^--(token|invite)(=|$)/i,
    what: 'a token',
    way: 'Give it on stdin, at the prompt, or name a file with --token-file.',
  },
  {
    flag: /^--(recovery|recovery-(code|words?|sheet))(=|$)/i,
    what: 'a recovery code',
    way: 'Type it at the prompt, give it on stdin, or name a file with --recovery-file.',
  },
  {
    flag: /^--(access-key|aws-secret.*|aws-access.*)(=|$)/i,
    what: 'credentials',
    way: "Use the AWS SDK's own places: its environment variables, ~/.aws/credentials, an instance role.",
  },
];

const SECRET_VALUES: readonly { readonly value: RegExp; readonly what: string; readonly way: string }[] = [
  { value: /^edgestore-key-\d+:/, what: 'a key', way: 'Put it in a file (0600) and name that with --key-file.' },
  {
    value: /^edgestore-invite-|^edge-?invite[:-]/,
    what: 'a token',
    way: 'Give it on stdin, at the prompt, or name a file with --token-file.',
  },
  {
    value: /^([0-9A-HJKMNP-TV-Z]{5}[\s-]+){7,}[0-9A-HJKMNP-TV-Z]{5}$/i,
    what: 'a recovery code',
    way: 'Type it at the prompt, give it on stdin, or name a file with --recovery-file.',
  },
  {
    value: /^(s3|https?):\/\/[^/@\s]+:[^/@\s]+@/i,
    what: 'credentials',
    way: "Take them out of the address; the AWS SDK's own places are used (environment, ~/.aws/credentials, an instance role).",
  },
];

/** E_USAGE when an argument is or holds a secret; the message never repeats it. */
export function refuseSecrets(argv: readonly string[]): void {
  for (const argument of argv) {
    if (argument === '--') return;
    const flag = SAFE_WAYS.find((one) => one.flag.test(argument));
    if (flag !== undefined) throw refusal(`${argument.replace(/=.*$/s, '')} does not exist: ${flag.what}`, flag.way);
    const value = SECRET_VALUES.find((one) => one.value.test(argument.replace(/^--[a-z-]+=/, '')));
    if (value !== undefined) throw refusal(value.what, value.way);
  }
}

function refusal(what: string, way: string): EdgeError {
  return new EdgeError(
    'E_USAGE',
    `${what} is never taken from the command line, where other users and the shell's history see it`,
    {
      hint: `${way} What was typed should be changed or withdrawn.`,
    },
  );
}
