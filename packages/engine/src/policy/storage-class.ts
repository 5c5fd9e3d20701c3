/** Storage classes of a bucket that packs may be put into. */

/** Those from which an object can be read at once. */
const READABLE = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'REDUCED_REDUNDANCY',
  'GLACIER_IR',
  'EXPRESS_ONEZONE',
];
/** Those that have to be thawed first, for hours: a restore, a scrub or the check of a drop would find nothing to read. */
const ARCHIVES = ['GLACIER', 'DEEP_ARCHIVE', 'ARCHIVE', 'DEEP_ARCHIVE_ACCESS', 'ARCHIVE_ACCESS'];

/** What is wrong with a configured class, in words that follow its name; undefined for a usable one. */
export function storageClassProblem(name: string): string | undefined {
  if (READABLE.includes(name)) return undefined;
  if (ARCHIVES.includes(name.toUpperCase()))
    return 'is an archive: what lies there cannot be read at once, and so not be verified or restored';
  return `is not a storage class that edgestore knows: ${READABLE.join(', ')}`;
}
