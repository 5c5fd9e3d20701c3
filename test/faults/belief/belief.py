#!/usr/bin/env python3
"""Says of each group of stores which snapshots it has whole: every record, page, list and chunk, with bytes that verify.

Nothing of the engine is asked: the reader of test/reader was written from docs/formats alone. Input is one JSON object on stdin:
  {"keys": DATA_DIR, "stores": {NAME: {"packs": FOLDER, "log": FOLDER} or {"bucket": FOLDER}}, "groups": [[NAME, ...], ...]}
"keys" has the vault's descriptor, slots, stored key, cards and the owner's identity. Output: {"groups": [{SNAPSHOT ID: null or what is wrong}],
"damaged": {NAME: [what, ...]}}. A chunk of a file counts when the SHA-256 of its sealed bytes is the one that its pack names; pages and lists are opened.
"""
import json, os, pathlib, re, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reader"))
import read_vault as reader

class Store(reader.Vault):
    """The packs of one store, read with the keys of the owner. A pack that does not verify is as good as absent, and is told."""
    def __init__(self, keys, packs):
        self.damaged, self.whole = [], {}
        super().__init__(keys)
        for path in packs: self.take(path)
    def take(self, path):
        try: self.read_pack(path.name, self.bytes_of(path))
        except (reader.VaultError, ValueError, OSError, LookupError, reader.struct.error) as error: self.damaged.append(f"{path.name[:16]}: {error}")
    def bytes_of(self, path):
        file = os.open(path, os.O_RDONLY)
        try: return reader.mmap.mmap(file, 0, access=reader.mmap.ACCESS_READ)
        finally: os.close(file)
    def has(self, id):
        """Whether the frame is here and has the bytes that were sealed."""
        if id not in self.whole:
            row = self.rows.get(id)
            self.whole[id] = row is not None and self.frame_is_good(row)
        return self.whole[id]
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
    if "bucket" in place: return sorted(pathlib.Path(place["bucket"]).glob("*/*/*/packs/[0-9a-f][0-9a-f]/*.pack"))
    return sorted(pathlib.Path(place["packs"]).glob("[0-9a-f][0-9a-f]/*.pack"))
def link_log(place, agent, view):
    """Puts the owner's log of this store where the reader looks for it in a data dir."""
    if "bucket" not in place: return os.symlink(place["log"], view / "log")
    folder = view / "log" / agent
    folder.mkdir(parents=True)
    newest = {}
    for path in sorted(pathlib.Path(place["bucket"]).glob(f"*/{agent}/*/log/*.seg")):
        incarnation, (first, last) = path.parts[-3], re.fullmatch("([0-9a-f]{16})-([0-9a-f]{16})", path.stem).groups()
        newest[incarnation, first] = path
    for (incarnation, first), path in newest.items(): os.symlink(path, folder / f"{incarnation}-{first}.log")
def snapshots_of(keys, place):
    """Id in hex → the entry of the snapshot's top, of what this store's copy of the owner's log says."""
    identity = reader.clear(keys / "agent/identity.edge", b"EDGEAGNT", 32)[0]
    with tempfile.TemporaryDirectory() as folder:
        view = pathlib.Path(folder)
        for name in ("key", "vault.edge", "slots", "cards", "agent"): os.symlink(keys / name, view / name)
        link_log(place, identity[0].hex(), view)
        vault = reader.Vault(view)
        return {row[3].hex(): row[4][5] for row in reader.read_log(vault)}

def main():
    asked = json.load(sys.stdin)
    keys = pathlib.Path(asked["keys"]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        bare = pathlib.Path(folder)
        for name in ("key", "vault.edge", "slots"): os.symlink(keys / name, bare / name)
        stores = {name: Store(bare, packs_of(place)) for name, place in asked["stores"].items()}
    logs, unreadable = {}, {}
    for name, place in asked["stores"].items():
        try: logs[name] = snapshots_of(keys, place)
        except (reader.VaultError, OSError) as error: logs[name], unreadable[name] = {}, [f"its log: {error}"]
    answers = []
    for names in asked["groups"]:
        group, answer = Group([stores[name] for name in names]), {}
        for id, entry in {id: entry for name in names for id, entry in logs[name].items()}.items():
            try: answer[id] = group.need_entry(entry, b"")
            except reader.VaultError as error: answer[id] = str(error)
        answers.append(answer)
    json.dump({"groups": answers, "damaged": {name: store.damaged + unreadable.get(name, []) for name, store in stores.items()}}, sys.stdout)

if __name__ == "__main__":
    sys.setrecursionlimit(100_000)
    main()
