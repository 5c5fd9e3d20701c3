/**
 * Five verbs over immutable named objects. Every driver (memory, folder, S3) and wrapper passes the contract suite in
 * `testing/object-store-contract.ts`, switched by its capabilities.
 *
 * Keys are relative, `/`-separated, of characters [A-Za-z0-9._-/]; drivers refuse others with E_USAGE.
 */
export interface ObjectStore {
  readonly capabilities: ObjectStoreCapabilities;
  /** For messages: `s3://bucket/prefix`, `file:///dir`; no credentials. */
  readonly label: string;

  /**
   * Stores the whole object or nothing (readers never see a part); durable when it resolves.
   * `ifAbsent`: E_BUSY when the key exists. A lost reply retried is not an error when the stored bytes are the same.
   */
  put(
    key: string,
    body: Uint8Array,
    options?: { readonly ifAbsent?: boolean; readonly signal?: AbortSignal },
  ): Promise<void>;
  /** The object's bytes, or the given range of it (`length` bytes from `offset`, all there); undefined when there is no such object. */
  get(
    key: string,
    options?: { readonly range?: { readonly offset: number; readonly length: number }; readonly signal?: AbortSignal },
  ): Promise<Uint8Array | undefined>;
  /** Undefined when there is no such object. */
  stat(key: string, options?: { readonly signal?: AbortSignal }): Promise<ObjectStat | undefined>;
  /** Every key below the prefix, in byte order; only keys behind `after` where it is given, which costs no request for those before it. */
  list(prefix: string, options?: { readonly after?: string; readonly signal?: AbortSignal }): AsyncIterable<ObjectStat>;
  /** Removing what is not there is no error. */
  delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * What lies below the prefix now has its name on stable storage when it resolves. Only for a store in which a killed
   * put may leave an object of which a power loss takes the name; asked before an object counts that this process did
   * not put.
   */
  settle?(prefix: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Makes the place itself, where it is not there and the store can make it. Asked only before the first put of a
   * store in which nothing was ever put: a put
   * makes no place, so that one that went away is not made again, empty, in its stead.
   */
  makePlace?(options?: { readonly signal?: AbortSignal }): Promise<void>;
}

export interface ObjectStat {
  readonly key: string;
  readonly size: number;
  /** Hex MD5 of the content where the store gives one that can be trusted (a single-part S3 PUT). */
  readonly md5?: string;
  /** From `list`, where the store knows it: when the object was put, in nanoseconds since 1970. */
  readonly modifiedNs?: bigint;
}

export interface ObjectStoreCapabilities {
  /** `ifAbsent` has exactly one winner. */
  readonly conditionalPut: boolean;
  /** `stat` gives `md5`. */
  readonly statMd5: boolean;
}
