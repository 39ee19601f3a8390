"""The parts of the test site: the files of `pages/`, and pictures and data made by rule."""

import hashlib
import json
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).with_name("pages")
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".bin": "application/octet-stream",
}
DAYS = 20
CHARTS = ("spring", "neap", "wind", "swell")
STATIONS = ("North Pier", "Old Harbour", "Skerry Light", "Mill Creek", "Sandgate")
DATA_BYTES = 2**20


@dataclass(frozen=True)
class Resource:
    """One file of the site."""

    path: str
    body: bytes

    @property
    def kind(self):
        return KINDS[Path(self.path).suffix] if "." in self.path else KINDS[".html"]

    @property
    def checks(self):
        return {
            "path": self.path,
            "length": len(self.body),
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "fnv": f"{fnv1a(self.body):08x}",
        }


def make_site():
    """All resources by path; `/manifest.json` lists every other one with its checks."""
    parts = {f"/{path.relative_to(PAGES).as_posix()}": path.read_bytes() for path in files()}
    parts["/"] = parts.pop("/index.html")
    parts |= {f"/images/day-{day}.png": tile(day) for day in range(DAYS)}
    parts |= {f"/images/{name}.svg": chart(number) for number, name in enumerate(CHARTS)}
    parts["/images/icon.svg"] = ICON.encode()
    parts["/images/shore.png"] = shore()
    parts["/data/record.bin"] = hashlib.shake_256(b"tide record").digest(DATA_BYTES)
    days = [{"number": day, "chart": CHARTS[day % len(CHARTS)]} for day in range(DAYS)]
    parts["/data/days.json"] = json.dumps(days).encode()
    levels = [
        {"name": name, "high": 4 + i / 7, "low": 0.4 + i / 9} for i, name in enumerate(STATIONS)
    ]
    parts["/data/stations.json"] = json.dumps(levels).encode()
    site = {path: Resource(path, body) for path, body in parts.items()}
    manifest = json.dumps([resource.checks for resource in site.values()]).encode()
    return site | {"/manifest.json": Resource("/manifest.json", manifest)}


def files():
    return sorted(path for path in PAGES.rglob("*") if path.is_file())


def fnv1a(data):
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def png(width, height, rows):
    """A true-colour PNG of rows of RGB bytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def tile(day):
    """A small picture of a day's tide."""

    def pixel(x, y):
        level = 48 + 22 * math.sin((x + 9 * day) / 14)
        sky = (250 - y, 190 + y // 2 - 3 * day, 130 + 5 * day)
        sea = (20 + day * 3, 90 + y // 2, 120 + y)
        return bytes(max(0, min(255, part)) for part in (sea if y > level else sky))

    return png(96, 96, [b"".join(pixel(x, y) for x in range(96)) for y in range(96)])


def shore():
    """A picture of about a megabyte: a sky, a sea and the grain of film."""
    width, height = 1344, 640
    grain = hashlib.shake_256(b"grain").digest(width * height * 3)
    rows = []
    for y in range(height):
        sky = (250 - y // 3, 180 - y // 9, 110 + y // 3)
        sea = (25 + y // 8, 70 + y // 5, 100 + y // 6)
        base = sea if y > 0.55 * height else sky
        noise = grain[y * width * 3 : (y + 1) * width * 3]
        rows.append(bytes(min(255, base[at % 3] + (noise[at] >> 5)) for at in range(width * 3)))
    return png(width, height, rows)


def chart(number):
    """A curve as SVG."""
    points = " ".join(
        f"{x},{60 - 35 * math.sin((x + 40 * number) / (18 + 6 * number)):.1f}"
        for x in range(0, 301, 4)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 120">'
        f'<text x="10" y="18" font-size="13" fill="#14405a">{CHARTS[number]}</text>'
        f'<polyline points="{points}" fill="none" stroke="#2a7f9e" stroke-width="3"/></svg>'
    ).encode()


ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><circle cx="24" cy="24" r="23" '
    'fill="#d8f0e6"/><path d="M4 28q5-7 10 0t10 0 10 0 10 0v8q-20 9-40 0z" fill="#14405a"/></svg>'
)
