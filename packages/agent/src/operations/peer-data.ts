/** What the `peer` commands answer. */
export interface PeerData {
  /** Null for a configured peer that was not met yet. */
  readonly agent: string | null;
  readonly name: string;
  readonly site: string;
  readonly role: 'edge' | 'holder' | 'reader' | 'unknown';
  readonly address: string | null;
  readonly addresses: readonly string[];
  /** SHA-256 of its key, hex. */
  readonly fingerprint: string;
  /** Null when it was not asked. */
  readonly reachable: boolean | null;
  readonly last_seen: string | null;
  /** Snapshots that wait to be sent to it. */
  readonly pending: number;
  readonly last_error: string | null;
  /** Someone answers there who is not this peer, or who refuses us: another certificate, vault or version. */
  readonly refused: PeerRefusal | null;
  /** One of the targets that hold this agent's chunks. */
  readonly holds_ours: boolean;
  /** Chunks that it asked to hold here. */
  readonly held_here: number;
}

export interface PeerRefusal {
  readonly code: string;
  readonly message: string;
  readonly exit: number;
  readonly hint: string | null;
  /** Fingerprints, when it is about them. */
  readonly expected: string | null;
  readonly seen: string | null;
}

export interface PeerListData {
  readonly peers: readonly PeerData[];
}

export interface PeerShowData {
  readonly peer: PeerData;
}

export interface InviteData {
  readonly token: string;
  readonly invite: string;
  readonly role: string;
  readonly uses: number;
  readonly expires: string;
  readonly addresses: readonly string[];
}

export interface JoinData {
  readonly vault: string;
  readonly agent: string;
  readonly name: string;
  readonly site: string;
  readonly role: string;
  readonly data_dir: string;
  readonly peers: readonly { readonly name: string; readonly site: string; readonly address: string | null }[];
}
