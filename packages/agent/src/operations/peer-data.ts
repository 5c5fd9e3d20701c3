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
  /** Null after a dry run, as the invitation's number. */
  readonly token: string | null;
  readonly invite: string | null;
  readonly role: string;
  readonly uses: number;
  readonly expires: string;
  readonly addresses: readonly string[];
  readonly dry_run: boolean;
}

export interface JoinData {
  readonly vault: string;
  /** Null after a dry run: it is made when it joins. */
  readonly agent: string | null;
  readonly name: string;
  readonly site: string;
  readonly role: string;
  readonly data_dir: string;
  /** Name and site are null after a dry run, which asks nobody. */
  readonly peers: readonly {
    readonly name: string | null;
    readonly site: string | null;
    readonly address: string | null;
  }[];
  readonly dry_run: boolean;
}
