#!/usr/bin/env python3
"""Says of each group of stores which snapshots it has whole: every record, page, list and chunk, with bytes that verify.

Nothing of the engine is asked: the reader of test/reader was written from docs/formats alone. Input is one JSON object on stdin:
  {"keys": DATA_DIR, "stores": {NAME: {"packs": FOLDER, "chains": FOLDER} or {"bucket": FOLDER}}, "groups": [[NAME, ...], ...]}
"keys" has the vault's descriptor, slots, stored key and the owner's identity; "verified" may name a file that remembers signatures. Output: {"groups": [{SNAPSHOT ID: null or what is wrong}],
"damaged": {NAME: [what, ...]}}. A chunk of a file counts when the SHA-256 of its sealed bytes is the one that its pack names; pages and lists are opened.
"""
import json, os, pathlib, re, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reader"))
import read_vault as reader

class Rows(dict):
    """Id → row, as the reader keeps it: the one that was read last. `all` has those of every pack, since a damaged frame may have a good copy elsewhere."""
    def __init__(self): self.all = {}
    def __setitem__(self, id, row):
        self.all.setdefault(id, []).append(row)
        super().__setitem__(id, row)

class Store(reader.Vault):
    """The packs of one store, read with the keys of the owner. Of a pack that does not verify, which is told, a frame counts when it opens."""
    def __init__(self, keys, packs):
        self.damaged, self.whole, self.salvaged = [], {}, {}
        super().__init__(keys)
        self.rows = Rows()
        for path in packs: self.take(path)
    def take(self, path):
        try: self.read_pack(path.name, self.bytes_of(path))
        except (reader.VaultError, ValueError, OSError, LookupError, reader.struct.error) as error: self.salvage(path, error)
    def salvage(self, path, error):
        """pack.md: frames follow one another from byte 64 on, so those before the damage are found without the pack's index."""
        self.damaged.append(f"{path.name[:16]}: {error}")
        pack, at = path.read_bytes(), 64
        while pack[at:at + 4] == b"EFRM" and at + 48 < len(pack):
            end = at + 48 + int.from_bytes(pack[at + 4:at + 8], "little")
            if end <= len(pack): self.salvaged.setdefault(pack[at + 16:at + 48], []).append((path.name, pack, at + 48, pack[at:at + 48], reader.sha256(pack[at + 48:end])))
            at = end
    def bytes_of(self, path):
        file = os.open(path, os.O_RDONLY)
        try: return reader.mmap.mmap(file, 0, access=reader.mmap.ACCESS_READ)
        finally: os.close(file)
    def has(self, id):
        """Whether the frame is here and has the bytes that were sealed."""
        if id not in self.whole:
            good = next((row for row in self.rows.all.get(id, []) if self.frame_is_good(row)), None)
            if good is not None: self.rows[id] = good
            self.whole[id] = good is not None or any(self.opens(id, row) for row in self.salvaged.get(id, []))
        return self.whole[id]
    def opens(self, id, row):
        before, self.rows[id] = self.rows.get(id), row
        for kind in (1, 2, 3):
            try: return self.chunk(kind, id) is not None
            except reader.VaultError: pass
        self.rows[id] = before
        if before is None: del self.rows[id]
        return False
    def frame_is_good(self, row):
        name, pack, offset, header, digest = row
        size = int.from_bytes(header[4:8], "little")
        return pack[offset - 48:offset] == header and reader.sha256(pack[offset:offset + size]) == digest

class Group:
    """Several stores taken together: a chunk is there when one of them has it."""
    def __init__(self, stores):
        self.stores, self.good = stores, set()
    def open(self, kind, id):
        error = None
        for store in self.stores:
            if not store.has(id): continue
            try: return store.chunk(kind, id)
            except reader.VaultError as found: error = found
        raise reader.VaultError(str(error) if error else f"E_NOT_FOUND: no {({2: 'page', 3: 'list'})[kind]} {id.hex()[:8]}")
    def need_data(self, id, path):
        if id in self.good: return
        if not any(store.has(id) for store in self.stores): raise reader.VaultError(f"E_NOT_FOUND: no chunk {id.hex()[:8]} of {path!r}")
        self.good.add(id)
    def need_entry(self, entry, path):
        for part in reader.slices(entry.get(7, b""), 32 + 4):
            for row in reader.slices(self.open(3, part[:32])[16:], 36): self.need_data(row[:32], path)
        for row in reader.slices(entry.get(6, b""), 36): self.need_data(row[:32], path)
        for page in reader.slices(entry.get(10, b""), 32): self.need_page(page, path)
    def need_page(self, id, path):
        if id in self.good: return
        for entry in reader.cbor(self.open(2, id))[3]: self.need_entry(entry, path + b"/" + entry[0])
        self.good.add(id)

# ---- Where a store keeps what. Only this part knows the layout of data dirs and buckets.
def packs_of(place):
    found = pathlib.Path(place.get("bucket") or place["packs"]).glob("**/*.pack")
    return sorted(path for path in found if re.fullmatch("[0-9a-f]{64}.pack", path.name) and path.parent.name == path.name[:2])
def link_chain(place, agent, view):
    """Puts the owner's chain of this store where the reader looks for it in a data dir. A segment of a bucket is a chain file."""
    folder = view / "chains" / agent
    folder.mkdir(parents=True)
    if "bucket" in place:
        for path in pathlib.Path(place["bucket"]).glob(f"*/{agent}/log/*.seg"): os.symlink(path, folder / f"{path.stem}.chain")
        return
    source = pathlib.Path(place["chains"]) / agent
    for path in source.glob("**/*.chain"):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.with_suffix(".bodies").exists(): target.write_bytes(without_replaced_bodies(path))
        else: os.symlink(path, target)
def without_replaced_bodies(path):
    """chain-segment.md: a damaged body counts as absent when its good one lies with the late bodies."""
    late, digests, at = path.with_suffix(".bodies").read_bytes(), set(), 0
    while at + 12 < len(late):
        end = at + 4 + int.from_bytes(late[at:at + 4], "little")
        digests.add(reader.sha256(late[at + 12:end]))
        at = end
    data, kept, at = path.read_bytes(), [], 0
    while size := reader.whole(data, at):
        item = data[at + 4:at + 4 + size]
        if len(item) > 203 and reader.sha256(item[203:]) != item[107:139] and item[107:139] in digests: item = item[:203]
        kept += [len(item).to_bytes(4, "little"), item]
        at += 4 + size
    return b"".join([*kept, data[at:]])
def snapshots_of(keys, place):
    """Id in hex → what this store's copy of the owner's chain says: the entry of the snapshot's top, and whether it is called damaged."""
    with tempfile.TemporaryDirectory() as folder:
        view = pathlib.Path(folder)
        for name in ("key", "vault.edge", "slots", "agent"): os.symlink(keys / name, view / name)
        (view / "packs").mkdir()
        vault = reader.Vault(view)
        agent = reader.own_agent(vault)
        link_chain(place, agent.hex(), view)
        return {id.hex(): (body[5], damaged) for *_, id, body, damaged in reader.read_snapshots(reader.read_entries(vault, agent))}

# ---- A signature takes a while in plain Python; what was verified once is remembered beside the keys.
def remember_signatures(file):
    known, slowly = set(file.read_text().split() if file.exists() else ()), reader.verify
    def verify(public, domain, message, signature, what):
        name = reader.sha256(b"".join((public, domain, bytes(1), message, signature))).hex()
        if name in known: return
        slowly(public, domain, message, signature, what)
        known.add(name)
    reader.verify = verify
    return lambda: file.write_text("\n".join(known))

def main():
    asked = json.load(sys.stdin)
    keys = pathlib.Path(asked["keys"]).resolve()
    keep = remember_signatures(pathlib.Path(asked["verified"])) if "verified" in asked else lambda: None
    with tempfile.TemporaryDirectory() as folder:
        bare = pathlib.Path(folder)
        for name in ("key", "vault.edge", "slots"): os.symlink(keys / name, bare / name)
        stores = {name: Store(bare, packs_of(place)) for name, place in asked["stores"].items()}
    chains, unreadable = {}, {}
    for name, place in asked["stores"].items():
        try: chains[name] = snapshots_of(keys, place)
        except (reader.VaultError, OSError) as error: chains[name], unreadable[name] = {}, [f"its chain: {error}"]
    answers = []
    for names in asked["groups"]:
        group, answer = Group([stores[name] for name in names]), {}
        for id, (entry, damaged) in {id: row for name in names for id, row in chains[name].items()}.items():
            try: answer[id] = "it is called damaged" if damaged else group.need_entry(entry, b"")
            except reader.VaultError as error: answer[id] = str(error)
        answers.append(answer)
    keep()
    json.dump({"groups": answers, "damaged": {name: store.damaged + unreadable.get(name, []) for name, store in stores.items()}}, sys.stdout)

if __name__ == "__main__":
    sys.setrecursionlimit(100_000)
    main()
