"""Which drives to replay: a CSV file, or a folder of videos, each with its track beside it."""

import csv
import io
import re
from dataclasses import dataclass, fields

from pyarrow import fs

from .store import beside, locate

VIDEOS = (".mp4", ".mov", ".avi")
TRACKS = (".gpx", ".nmea")


@dataclass(frozen=True)
class Drive:
    """A row of the CSV file, whose columns have these names; only `video` must be there."""

    id: str
    video: str
    gps: str = ""
    region: str = ""
    date: str = ""
    gps_offset_s: str = ""


def read_drives(url: str) -> list[Drive]:
    system, path = locate(url)
    kind = system.get_file_info(path).type
    if kind == fs.FileType.NotFound:
        raise ValueError(f"{url}: there is no such file or folder")
    drives = in_folder(url) if kind == fs.FileType.Directory else in_csv(url)
    seen = set()
    for drive in drives:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", drive.id):
            raise ValueError(
                f"{url}: {drive.id!r} is no id: letters, digits, '.', '_' and '-' only"
            )
        if drive.date and not re.fullmatch(r"\d{4}-\d\d-\d\d", drive.date):
            raise ValueError(f"{url}: drive {drive.id}: {drive.date!r} is no date like 2026-05-04")
        if drive.id in seen:
            raise ValueError(f"{url}: two drives are called {drive.id}: give each its own `id`")
        seen.add(drive.id)
    if not drives:
        raise ValueError(f"{url}: no drives; a folder needs videos ({', '.join(VIDEOS)})")
    return drives


def in_csv(url: str) -> list[Drive]:
    system, path = locate(url)
    with system.open_input_stream(path) as source:
        text = source.read().decode("utf-8-sig")
    reader = csv.DictReader(io.StringIO(text))
    known = {f.name for f in fields(Drive)}
    unknown = set(reader.fieldnames or []) - known
    if unknown or "video" not in (reader.fieldnames or []):
        raise ValueError(f"{url}: the first line names columns: video, and any of {sorted(known)}")
    drives = []
    for row in reader:
        if None in row or not row["video"]:
            raise ValueError(
                f"{url} line {reader.line_num}: a video, and no more cells than columns"
            )
        row = {name: (cell or "").strip() for name, cell in row.items()}
        row["id"] = row.get("id") or id_of(row["video"].partition("?")[0].rsplit("/", 1)[-1])
        row |= {name: beside(url, row.get(name, "")) for name in ("video", "gps")}
        drives.append(Drive(**row))
    return drives


def in_folder(url: str) -> list[Drive]:
    system, path = locate(url)
    found = system.get_file_info(fs.FileSelector(path, recursive=True))
    names = {i.path[len(path) + 1 :] for i in found if i.is_file}
    base, mark, options = url.partition("?")

    def full(name: str) -> str:
        return f"{base.rstrip('/')}/{name}{mark}{options}"

    drives = []
    for name in sorted(n for n in names if n.lower().endswith(VIDEOS)):
        stem = name.rpartition(".")[0]
        track = next((stem + end for end in TRACKS if stem + end in names), "")
        drives.append(Drive(id_of(name), full(name), gps=full(track) if track else ""))
    return drives


def id_of(name: str) -> str:
    return name.rpartition(".")[0].replace("/", "-")
