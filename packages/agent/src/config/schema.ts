/** What one configuration file may say: the main file and each file of `conf.d` alike. Strict: an unknown key is an error. */

import { storageClassProblem } from '@edgestore/engine';
import { z } from 'zod';
import { ageInNs, durationInMs, maxDelete, rateInBytes, sizeInBytes } from './units.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const name = z
  .string()
  .regex(NAME, 'is not a name: letters, digits, "." "_" "-", at most 64, beginning with a letter or digit');
const absolutePath = z
  .string()
  .regex(/^\//, 'is not an absolute path')
  .refine((path) => !path.includes('\0'), 'has a NUL byte in it');
const patterns = z.array(z.string());
const count = z.int().min(0);

/** `host:port`, `[v6]:port` or `:port`. */
const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^:/\s]*):\d{1,5}$/, 'is not a listen address such as "0.0.0.0:7420"');
const peerAddress = z.string().regex(/^https:\/\/[^/\s]+$/, 'is not an address such as "https://dc-a.example:7420"');
const storeUrl = z
  .string()
  .regex(
    /^(s3:\/\/[A-Za-z0-9][A-Za-z0-9._-]+(\/[^\s]*)?|file:\/\/\/[^\s]*)$/,
    'is not "s3://bucket/prefix" or "file:///folder"',
  );

const agent = z.strictObject({
  name: name.optional(),
  site: name.optional(),
  data_dir: absolutePath.optional(),
  pack_dir: absolutePath.optional(),
  listen: listenAddress.optional(),
  advertise: z.array(peerAddress).optional(),
  api_listen: listenAddress.optional(),
  api_token_file: absolutePath.optional(),
});

const root = z.strictObject({
  name,
  path: absolutePath,
  exclude: patterns.optional(),
  watch: z.boolean().optional(),
  rescan: durationInMs.optional(),
  settle: durationInMs.optional(),
  max_delete: maxDelete.optional(),
  one_file_system: z.boolean().optional(),
  tiering: name.optional(),
  replication: name.optional(),
});

const replication = z.strictObject({
  copies: count.max(64).optional(),
  sites: count.max(64).optional(),
  store: name.optional(),
  dead_after: durationInMs.optional(),
});

const peer = z.strictObject({
  name,
  site: name.optional(),
  address: peerAddress,
  fingerprint: z.string().regex(/^(sha256:)?[0-9a-fA-F]{64}$/, 'is not the SHA-256 of a key: 64 hex digits'),
  weight: z.number().positive().max(1e6).optional(),
});

const store = z.strictObject({
  url: storeUrl,
  endpoint: z
    .string()
    .regex(/^https?:\/\/[^\s]+$/, 'is not an http(s) URL')
    .optional(),
  region: z.string().optional(),
  path_style: z.boolean().optional(),
  storage_class: z
    .string()
    .superRefine((value, ctx) => {
      const problem = storageClassProblem(value);
      if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem });
    })
    .optional(),
  lock: z.string().optional(),
});

const tiering = z.strictObject({
  match: patterns.optional(),
  hot: ageInNs.optional(),
  warm: ageInNs.optional(),
  cold: name.optional(),
  warm_to: name.optional(),
  low: z.string().optional(),
  high: z.string().optional(),
  pin: patterns.optional(),
  budget: z.string().optional(),
});

const limits = z.strictObject({
  upload: rateInBytes.optional(),
  download: rateInBytes.optional(),
  schedule: z.array(z.string()).optional(),
  workers: z.int().min(1).max(256).optional(),
  memory: sizeInBytes.optional(),
  compression: z.enum(['fast', 'default', 'high']).optional(),
  recall_per_day: sizeInBytes.optional(),
  checkpoint: sizeInBytes.optional(),
});

const retention = z.strictObject({
  keep_last: count.optional(),
  keep_hourly: count.optional(),
  keep_daily: count.optional(),
  keep_weekly: count.optional(),
  keep_monthly: count.optional(),
  keep_yearly: count.optional(),
  keep_within: ageInNs.optional(),
});

const coordination = z.strictObject({
  kind: z.enum(['etcd', 's3']),
  endpoints: z.array(z.string()).optional(),
  store: name.optional(),
});

/** Keys as written in the files; the output has parsed units but still the files' names. */
export const configFileSchema = z.strictObject({
  agent: agent.optional(),
  roots: z.array(root).optional(),
  replication: z.record(name, replication).optional(),
  peers: z.array(peer).optional(),
  stores: z.record(name, store).optional(),
  tiering: z.record(name, tiering).optional(),
  limits: limits.optional(),
  retention: retention.optional(),
  coordination: coordination.optional(),
});

export type ConfigFile = z.output<typeof configFileSchema>;

/** The schema of the files as JSON Schema (draft 2020-12), for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configFileSchema, { io: 'input', unrepresentable: 'any' }), title: 'edgestore.toml' };
}

/** The keys that are known at a path of the files, for suggestions. */
export function knownKeys(path: readonly PropertyKey[]): string[] {
  const [top, , ...rest] = path;
  if (path.length === 0) return Object.keys(configFileSchema.shape);
  const tables: Record<string, z.ZodObject> = {
    agent,
    roots: root,
    replication,
    peers: peer,
    stores: store,
    tiering,
    limits,
    retention,
    coordination,
  };
  const table = tables[String(top)];
  const depth = ['agent', 'limits', 'retention', 'coordination'].includes(String(top))
    ? path.length === 1
    : rest.length === 0 && path.length === 2;
  return table !== undefined && depth ? Object.keys(table.shape) : [];
}
