#!/usr/bin/env python3
"""Restores a snapshot from an edgestore data dir, without edgestore: the proof that the formats are open.

Written from the pages in docs/formats alone (each part names its pages), with nothing but Python's own library and libzstd.
What does not verify is never used: the error begins with the code of the pages (E_INTEGRITY, E_FORMAT, E_NEWER_FORMAT, ...).
"""
import argparse, array, base64, ctypes, hashlib, hmac, mmap, os, pathlib, stat, struct, sys
class VaultError(Exception): pass
def need(holds, code, what):
    if not holds: raise VaultError(f"{code}: {what}")
def sha256(data): return hashlib.sha256(data).digest()
def slices(data, size):
    need(len(data) % size == 0, "E_FORMAT", "rows of another length")
    return [data[at:at + size] for at in range(0, len(data), size)]

# ---- keys.md: XChaCha20-Poly1305. A number holds one word of many blocks, 64 bits apart, which makes pure Python bearably fast.
QUARTERS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
def chacha_rounds(key, rest, ones, counters=0):
    begin = [word * ones for word in struct.unpack("<16I", b"expand 32-byte k" + key + rest)]
    begin[12] += counters
    x, mask = list(begin), 0xFFFFFFFF * ones
    for a, b, c, d in QUARTERS * 10:
        for to, plus, turned, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[to] = x[to] + x[plus] & mask
            mixed = x[turned] ^ x[to]
            x[turned] = (mixed << by | mixed >> 32 - by) & mask
    return begin, x, mask
def chacha_xor(key, nonce, counter, data):
    count = (len(data) + 63) // 64
    ones = int.from_bytes(struct.pack(f"<{count}Q", *[1] * count), "little")
    counters = int.from_bytes(struct.pack(f"<{count}Q", *range(counter, counter + count)), "little")
    begin, end, mask = chacha_rounds(key, bytes(8) + nonce, ones, counters)
    stream = array.array("I", bytes(64 * count))
    for word in range(16): stream[word::16] = array.array("I", (begin[word] + end[word] & mask).to_bytes(8 * count, "little"))[::2]
    return (int.from_bytes(data, "little") ^ int.from_bytes(stream.tobytes()[:len(data)], "little")).to_bytes(len(data), "little")
def unseal(key, nonce, sealed, associated, what):  # The content does not exist before the tag was found right.
    need(key and len(sealed) >= 16, "E_INTEGRITY", f"{what}: too short, or of an unknown key id")
    _, mixed, _ = chacha_rounds(key, nonce[:16], 1)
    key, body, total = struct.pack("<8I", *mixed[:4], *mixed[12:]), sealed[:-16], 0
    r, s = struct.unpack("<16s16s", chacha_xor(key, nonce[16:], 0, bytes(32)))
    r = int.from_bytes(r, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    message = b"".join(part + bytes(-len(part) % 16) for part in (associated, body)) + struct.pack("<QQ", len(associated), len(body))
    for block in slices(message, 16): total = (total + int.from_bytes(block + b"\1", "little")) * r % ((1 << 130) - 5)
    tag = (total + int.from_bytes(s, "little") & (1 << 128) - 1).to_bytes(16, "little")
    need(hmac.compare_digest(tag, sealed[-16:]), "E_INTEGRITY", f"{what}: its tag does not verify")
    return chacha_xor(key, nonce[16:], 1, body)

# ---- keys.md: Ed25519 (RFC 8032, section 5.1), only verifying.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P
def times(scalar, point):
    total = (0, 1, 1, 0)
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        if bit == "1": total = add(total, point)
    return total
def point(data):
    y, odd = int.from_bytes(data, "little") % 2**255, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT % P
    need(y < P and x * x % P == square and (x or not odd), "E_INTEGRITY", "not a point of Ed25519")
    return (x if x % 2 == odd else P - x), y, 1, (x if x % 2 == odd else P - x) * y % P
def verify(public, domain, message, signature, what):
    scalar = int.from_bytes(signature[32:], "little")
    challenge = hashlib.sha512(signature[:32] + public + domain + b"\0" + message).digest()
    left = times(scalar, point(b"\x58" + b"\x66" * 31))
    right = add(point(signature[:32]), times(int.from_bytes(challenge, "little") % L, point(public)))
    need(scalar < L and all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1)), "E_INTEGRITY", f"{what}: its signature")

# ---- tree.md, keys.md: deterministic CBOR, and the frame of what is in the clear.
def cbor(data):
    value, end = item(data, 0, 0)
    return need(end == len(data), "E_FORMAT", "bytes behind the CBOR") or value
def item(data, at, depth):
    need(at < len(data) and depth <= 48, "E_FORMAT", "CBOR ends early, or is nested too deep")
    kind, number, at = data[at] >> 5, data[at] & 31, at + 1
    if kind == 7 and 20 <= number <= 22: return (False, True, None)[number - 20], at
    need(kind < 6 and number < 28, "E_FORMAT", "CBOR that is not allowed")
    if number >= 24:
        size = 1 << number - 24
        number, at = int.from_bytes(data[at:at + size], "big"), at + size
        need(number >= (24 if size == 1 else 1 << 4 * size), "E_FORMAT", "a CBOR number that is not the shortest")
    if kind < 2: return (-1 - number if kind else number), at
    need(number <= len(data) - at, "E_FORMAT", "CBOR ends early")
    if kind < 4: return (data[at:at + number].decode() if kind == 3 else data[at:at + number]), at + number
    values, last = [], b""
    for turn in range(number * (kind - 3)):
        start, (value, at) = at, item(data, at, depth + 1)
        values.append(value)
        if kind == 5 and turn % 2 == 0:
            need(data[start:at] > last, "E_FORMAT", "a CBOR map out of order")
            need(type(value) is str or value >= 0, "E_NEWER_FORMAT", f"the critical key {value}")
            last = data[start:at]
    return (dict(zip(values[::2], values[1::2])) if kind == 5 else values), at
def clear(data, what, magic, trailer, features=None):  # The CBOR, the bytes that are vouched for, and the trailer that does so.
    need(data[:8] == magic and len(data) > 14 + trailer, "E_FORMAT", f"{what}: not what it should be")
    need(data[8:10] == b"\1\0", "E_NEWER_FORMAT", f"{what}: its version")
    need(14 + int.from_bytes(data[10:14], "little") + trailer == len(data) <= 65696, "E_FORMAT", f"{what}: its length")
    fields = cbor(data[14:-trailer])
    need(not fields.get(features), "E_NEWER_FORMAT", f"{what}: features {fields.get(features)}")
    return fields, data[:-trailer], data[-trailer:]

# ---- sealed-chunk.md: what was sealed comes here only after its tag was verified.
def zstd(name, *arguments):
    function = getattr(ctypes.CDLL("libzstd.so.1"), f"ZSTD_{name}")
    function.restype = ctypes.c_ulonglong
    return function(*(ctypes.c_size_t(value) if type(value) is int else value for value in arguments))
def unpack(body, limit, what):
    plain, size, codec = struct.unpack_from("<IIB", body)
    exponent, data = (9 + size).bit_length() - 1, body[9:9 + size]
    unit = 1 << max(0, exponent - exponent.bit_length())
    need(plain <= limit and -(-(9 + size) // unit) * unit == len(body) and not any(body[9 + size:]), "E_INTEGRITY", f"{what}: its lengths")
    need(codec < 2, "E_NEWER_FORMAT", f"{what}: codec {codec}")
    if codec == 1:
        need(data[:4] == b"\x28\xb5\x2f\xfd" and size > 5 and data[4] & 3 == 0, "E_INTEGRITY", f"{what}: not a zstd frame")
        window = 0 if data[4] & 32 else (1 << (data[5] >> 3) + 7) * (8 + data[5] % 8)
        lengths = zstd("findFrameCompressedSize", data, size), zstd("getFrameContentSize", data, size)
        need(lengths == (size, plain) and window <= max(plain, 8 << 20), "E_INTEGRITY", f"{what}: not one zstd frame of its length")
        out = ctypes.create_string_buffer(max(1, plain))
        data = out.raw[:plain] if zstd("decompress", out, plain, data, size) == plain else None
    need(data is not None and len(data) == plain, "E_INTEGRITY", f"{what}: its zstd frame or plain length")
    return data

# ---- data-dir.md, keys.md, vault.md, pack.md: from the key file to the keys, from an id to a chunk.
def mac(key, message, **parameters): return hashlib.blake2b(message, digest_size=32, key=key, **parameters).digest()
def derive(key, context, number): return mac(key, b"", salt=struct.pack("<QQ", number, 0), person=context)
class Vault:
    def __init__(self, path):
        self.path, (fields, signed, trailer) = path, clear((path / "vault.edge").read_bytes(), "vault.edge", b"EDGEVALT", 96, 2)
        self.id, self.admin, key, slots = fields[0], fields[5], None, [slot.read_bytes() for slot in path.glob("slots/*.slot")]
        start, secret, check = (path / "key").read_text("ascii").strip().split(":")
        need(start == "edgestore-key-1" and len(secret) == 43, "E_FORMAT", "key: not a key file")
        need(sha256(f"{start}:{secret}".encode()).hex()[:8] == check, "E_INTEGRITY", "key: damaged")
        for slot in slots:
            if slot[:11] == b"EDGESLOT\1\0\2" and sha256(slot[:276]) == slot[276:] and slot[28:44] == self.id:
                master = mac(base64.urlsafe_b64decode(secret + "="), b"edgestore slot v1\0\2" + slot[92:108])
                if hmac.compare_digest(derive(master, b"edgeslot", 2), slot[108:140]):
                    key, opened = unseal(derive(master, b"edgeslot", 1), slot[140:164], slot[164:212], slot[:140], "the slot"), slot
        damaged = any(sha256(slot[:276]) != slot[276:] for slot in slots)
        need(key, "E_INTEGRITY" if damaged else "E_WRONG_KEY", "no slot opens with the key file")
        need(hmac.compare_digest(mac(derive(key, b"edgemac_", 1), signed), trailer[:32]), "E_INTEGRITY", "vault.edge: its MAC")
        verify(self.admin, b"edgestore vault v1", signed + trailer[:32], trailer[32:], "vault.edge")
        if opened[11] == 1: verify(self.admin, b"edgestore slot v1", opened[:212], opened[212:276], "the slot")
        need(fields[1] == 1, "E_NEWER_FORMAT", "a vault of a newer version")
        self.id_key, self.rows, self.sealing, self.record, wrap = derive(key, b"edge-id_", 1), {}, {}, {}, derive(key, b"edgewrap", 1)
        for id, wrapped in ((row[0], row[2]) for row in fields[4]):
            bound = b"edgestore generation v1\0" + self.id + struct.pack("<I", id)
            secret = unseal(wrap, wrapped[:24], wrapped[24:], bound, f"generation {id}")
            self.sealing[id], self.record[id] = derive(secret, b"edgeseal", id), derive(secret, b"edgelog_", id)
        for path in sorted(path.glob("packs/[0-9a-f][0-9a-f]/*.pack")):
            self.read_pack(path.name, mmap.mmap(os.open(path, os.O_RDONLY), 0, access=mmap.ACCESS_READ))
    def read_pack(self, name, pack):
        need(pack[:8] == b"EDGEPACK" and 208 < len(pack) <= 134217728, "E_FORMAT", f"{name}: not a pack")
        start, count, version, digest, end = struct.unpack("<QII32s8x8s", pack[-64:])
        need(pack[8:10] == b"\1\0" and version == 1 and pack[10] < 3 and not any(pack[12:16]), "E_NEWER_FORMAT", f"{name}: its version")
        need(start + 80 * count + 64 == len(pack) and end == b"EDGEPEND" and pack[20:36] == self.id, "E_FORMAT", f"{name}: its lengths")
        at, named = 64, sha256(pack[start:-64]) == digest and sha256(pack[:64] + pack[start:]).hex() + ".pack" == name
        need(named, "E_INTEGRITY", f"{name}: its index or name is damaged")
        for id, offset, size, key_id, digest in struct.iter_unpack("<32sQII32s", pack[start:-64]):
            need(offset == at + 48, "E_FORMAT", f"{name}: rows with gaps")
            at, self.rows[id] = offset + size, (name, pack, offset, struct.pack("<4sIIB3x32s", b"EFRM", size, key_id, pack[10], id), digest)
        need(at == start, "E_FORMAT", f"{name}: rows that do not end at the index")
    def chunk(self, kind, id, length=None):
        need(id in self.rows, "E_NOT_FOUND", f"the chunk {id.hex()} is in no pack")
        name, pack, offset, header, digest = self.rows[id]
        _, size, key_id = struct.unpack_from("<III", header)
        sealed, what = pack[offset:offset + size], f"{name}: the chunk {id.hex()[:8]}"
        need(pack[offset - 48:offset] == header and sha256(sealed) == digest and 49 <= size <= 5 << 20, "E_INTEGRITY", f"{what}: damaged")
        associated = struct.pack("<B16sIB32s", 1, self.id, key_id, kind, id)
        plain = unpack(unseal(self.sealing.get(key_id), sealed[:24], sealed[24:], associated, what), 4 << 20, what)
        need(hmac.digest(self.id_key, sha256(bytes([kind]) + plain), "sha256") == id, "E_INTEGRITY", f"{what} is another")
        need(length in (None, len(plain)), "E_FORMAT", f"{what} is not as long as its reference says")
        return plain
    def chunks(self, kind, references): return (self.chunk(kind, row[:32], int.from_bytes(row[32:], "little")) for row in slices(references, 36))

# ---- card.md, chain-segment.md, chain.md, record.md: the chain, to snapshots, as (on the trail, incarnation, seq, id, body, damaged).
def whole(data, at):  # The length of the item that stands here, or 0.
    size, body = (int.from_bytes(data[place:place + 4], "little") for place in (at, at + 107))
    return size if data[at + 4:at + 12] == b"EDGECHN1" and size in (203, 203 + body) and size <= min(len(data) - at - 4, 16777419) else 0
def read_items(path):
    data, at, items = path.read_bytes(), 0, []
    while size := whole(data, at):
        items.append(data[at + 4:at + 4 + size])
        at += 4 + size
    damaged = any(whole(data, start) for start in range(at, len(data)) if data.startswith(b"EDGECHN1", start + 4))
    need(not damaged, "E_INTEGRITY", f"{path.name}: damaged at {at}")
    if at < len(data): print(f"{path.name}: left out a torn end of {len(data) - at} bytes", file=sys.stderr)
    return items
def own_agent(vault):
    identity, signed, digest = clear((vault.path / "agent/identity.edge").read_bytes(), "agent/identity.edge", b"EDGEAGNT", 32)
    need(sha256(signed) == digest, "E_INTEGRITY", "agent/identity.edge is damaged")
    return identity[0]
def read_entries(vault, agent):  # Link to (incarnation, seq, previous link, kind, shard, body), in the order of seqs; branches are among them.
    paths, entries, lives, places = sorted(vault.path.glob(f"chains/{agent.hex()}/**/*.chain")), {}, {}, {}
    order = lambda item: (item[54:62][::-1], item[50:54][::-1])
    for item in sorted((item for path in paths for item in read_items(path)), key=order):
        head, body = item[:203], item[203:]
        version, critical, _, *found, life, number, previous, kind, shard, key_id, size, digest = struct.unpack_from("<HII16s16sIQ32sBIII32s", head, 8)
        id, what, before, base = sha256(previous + sha256(head)), f"entry {life}/{number}", entries.get(previous, (0, 0)), None
        if kind == 7:
            card, signed, signature = clear(body, f"{what}: its card", b"EDGECARD", 64, 11)
            verify(vault.admin, b"edgestore card v1", signed, signature, f"{what}: its card")
            need([card[0], card[1], card[2]] == [vault.id, agent, life], "E_INTEGRITY", f"{what}: the card of another agent or vault")
            base, known = card[9] and tuple(card[9][field] for field in range(3)), lives.setdefault(life, (card[6], id))
            need(known[1] == id, "E_FORK", f"{what}: another takeover of its incarnation")
        need(life in lives, "E_INTEGRITY", f"{what}: before its takeover")
        verify(lives[life][0], b"edgestore entry v1", head[:139], head[139:], what)
        need(version == 1 and critical == 0 and kind in (1, 2, 3, 5, 7, 8, 9), "E_NEWER_FORMAT", f"{what}: version, features or kind")
        need(len(body) == size and sha256(body) == digest or not body and kind in (2, 3, 5), "E_INTEGRITY", f"{what}: its body")
        need(places.setdefault((life, number), id) == id, "E_FORK", f"{what}: another one with its number")
        first = kind == 7 and not base and number == 1 and previous == bytes(32)
        follows = before[:2] == (life, number - 1) if kind != 7 else base == (*before[:2], previous) and base[0] < life
        need(found == [vault.id, agent] and (first or follows and before[1] == number - 1), "E_INTEGRITY", f"{what}: not the next of this chain")
        if kind in (1, 9): body = cbor(unpack(unseal(vault.record.get(key_id), body[:24], body[24:], head[:107], what), 64 << 20, what))
        need(kind != 1 or 1 <= body[0] <= 6, "E_NEWER_FORMAT", f"{what}: its type")
        entries[id] = life, number, previous, kind, shard, body
    return entries
def read_snapshots(entries):
    trail, snapshots, damaged, parts, at = set(), {}, set(), [], max(entries, key=lambda id: entries[id][:2], default=None)
    while at in entries:
        trail.add(at)
        at = entries[at][2]
    for id, (life, number, _, kind, _, body) in entries.items():
        if kind == 1 and body[0] == 1: snapshots[id] = id in trail, life, number, id, body
        if kind == 1 and body[0] == 6: damaged.update(body[1] if id in trail else set(body[1]) - trail)
        if id not in trail: continue
        if kind == 1 and body[0] == 2: snapshots.pop(body[1], None)
        parts = (parts if body[0] == len(parts) + 1 else [])[:body[0] - 1] + [body] if kind == 9 else []
        if not parts or not len(parts) == body[0] == body[1]: continue
        snapshots = {id: row for id, row in snapshots.items() if not row[0]}
        for id, life, number, _, bad, body in (row for part in parts for row in part[2]):
            snapshots[id], damaged = (True, life, number, id, body), damaged | ({id} if bad else set())
    return [(*row, row[3] in damaged) for row in snapshots.values()]

# ---- tree.md: into the target. Each name is checked, nothing is followed, and nothing that is there already is written to.
class Restore:
    def __init__(self, vault):
        self.vault, self.links, self.refused = vault, {}, 0
    def folder(self, folder):
        last = b""
        for page in (cbor(self.vault.chunk(2, id)) for id in slices(folder.get(10, b""), 32)):
            need(page[0] == 1 and page[1] == 0, "E_NEWER_FORMAT", "a page: version or features")
            for entry in page[3]:
                name, before, last = entry[0], last, entry[0]
                allowed = type(name) is bytes and name not in (b".", b"..") and not {0, 47} & set(name)
                need(allowed and len(name) <= 1024 and name > before, "E_FORMAT", f"the name {name}, here")
                self.entry(entry, name)
    def entry(self, entry, name):
        kind, link, posix = entry[1], entry.get(11), entry[4]
        need(kind <= 6, "E_NEWER_FORMAT", f"an entry of type {kind}")
        try:
            if link in self.links: return os.link(self.links[link], name, follow_symlinks=False)
            if kind == 1: self.file(entry, name)
            elif kind == 2:
                if name != b".": os.mkdir(name, 0o700)
                os.chdir(name)
                self.folder(entry)
                if name != b".": os.chdir(b"..")
            elif kind == 3: os.symlink(entry[9], name)
            else: os.mknod(name, (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK)[kind - 4], os.makedev(*posix.get(3, (0, 0))))
            self.links.update({link: os.path.join(os.getcwdb(), name)} if link else {})
            if os.geteuid() == 0: os.chown(name, posix[1], posix[2], follow_symlinks=False)
            for key, value in posix.get(4, []): os.setxattr(name, key, value, follow_symlinks=False)
            if kind != 3: os.chmod(name, posix[0])
            os.utime(name, ns=(entry[2] * 10**9 + entry[3],) * 2, follow_symlinks=False)
        except PermissionError as error:
            self.refused += 1
            print(f"{name}: {error}", file=sys.stderr)
    def file(self, entry, name):
        size, edges, references = entry[5], entry.get(8, []), entry.get(6, b"")
        for part in self.vault.chunks(3, entry.get(7, b"")):
            need(part[:12] == b"ELST\1\0\0\0\0\0\0\0", "E_NEWER_FORMAT" if part[:4] == b"ELST" else "E_FORMAT", "not a list of version 1")
            references += part[16:]
        at, holes = 0, [*zip(edges[::2], edges[1::2]), (size, 0)]
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            for data in self.vault.chunks(1, references):
                while data:
                    while at == holes[0][0] and len(holes) > 1: at += holes.pop(0)[1]
                    need(at < holes[0][0], "E_FORMAT", f"{name}: content and holes do not make up its size")
                    file.seek(at)
                    at, data = at + file.write(data[:holes[0][0] - at]), data[holes[0][0] - at:]
            while at == holes[0][0] and len(holes) > 1: at += holes.pop(0)[1]
            need(at == size and len(holes) == 1, "E_FORMAT", f"{name}: content and holes do not make up its size")
            file.truncate(size)

def main():
    parser = argparse.ArgumentParser(description="Restores a snapshot from an edgestore data dir.")
    for name in ("data_dir", "target"): parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("snapshot", nargs="?", default="", help="first digits of its id; otherwise the newest, not of a branch")
    parser.add_argument("--root", help="name of the root")
    asked = parser.parse_args()
    vault = Vault(asked.data_dir.resolve())
    found = [row for row in read_snapshots(read_entries(vault, own_agent(vault))) if row[3].hex().startswith(asked.snapshot) and asked.root in (None, row[4][1])]
    roots = sorted({row[4][1] for row in found})
    need(len(found) == 1 or found and not asked.snapshot and len(roots) == 1, "E_USAGE", f"{len(found)} snapshots, of the roots {roots}")
    *_, id, body, damaged = max(found)
    if damaged: print("this snapshot is damaged: something that it reaches was given up", file=sys.stderr)
    asked.target.mkdir(0o700, parents=True, exist_ok=True)
    os.chdir(asked.target)
    need(not os.listdir(), "E_USAGE", "the target is not empty")
    restore = Restore(vault)
    restore.entry(body[5], b"." if body[5][1] == 2 else os.path.basename(body[2]))
    print(f"restored {id.hex()}, of the root {body[1]}")
    sys.exit(3 if restore.refused else 0)

if __name__ == "__main__":
    sys.setrecursionlimit(100_000)
    try: main()
    except (VaultError, OSError, LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
        code = "" if isinstance(error, VaultError) else "E_IO: " if isinstance(error, OSError) else f"E_FORMAT: {type(error).__name__} "
        sys.exit(f"read_vault: {code}{error}")
