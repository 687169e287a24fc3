"""Files of a folder that is here or in an object store: a path, file://, s3://, gs:// or abfs://."""

import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs


def locate(url: str) -> tuple[fs.FileSystem, str]:
    """The file system of a URL or a path, and the path in it."""
    if "://" in url:
        system, path = fs.FileSystem.from_uri(url)
        return system, path.rstrip("/")
    return fs.LocalFileSystem(), str(Path(url).absolute())


def beside(url: str, name: str) -> str:
    """`name` as seen from the folder of `url`: as it is when it is absolute or a URL itself."""
    if not name or "://" in name or name.startswith("/"):
        return name
    base, mark, options = url.partition("?")
    return f"{base.rsplit('/', 1)[0] if '/' in base else '.'}/{name}{mark}{options}"


def fetch(url: str, folder: Path) -> Path:
    """A file that tsedge can open: the file itself when it is local, else a copy in `folder`."""
    system, path = locate(url)
    if isinstance(system, fs.LocalFileSystem):
        return Path(path)
    local = folder / Path(path).name
    with system.open_input_stream(path) as source, local.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return local


@dataclass(frozen=True)
class Store:
    system: fs.FileSystem
    root: str

    @classmethod
    def at(cls, url: str) -> "Store":
        system, path = locate(url)
        return cls(system, path)

    def write(self, name: str, data: bytes) -> None:
        """The whole file or none: a rename here, one upload in an object store."""
        path = f"{self.root}/{name}"
        if not isinstance(self.system, fs.LocalFileSystem):
            with self.system.open_output_stream(path) as target:
                target.write(data)
            return
        folder = Path(path).parent
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{uuid.uuid4().hex}.part"
        part.write_bytes(data)
        part.rename(path)

    def read(self, name: str) -> bytes | None:
        """None when there is no such file."""
        try:
            with self.system.open_input_stream(f"{self.root}/{name}") as source:
                return source.read()
        except FileNotFoundError:
            return None

    def read_all(self, folder: str) -> list[bytes]:
        """The `.json` files of a folder, sorted by name."""
        selector = fs.FileSelector(f"{self.root}/{folder}", allow_not_found=True)
        names = sorted(i.base_name for i in self.system.get_file_info(selector))
        names = [f"{folder}/{n}" for n in names if n.endswith(".json")]
        with ThreadPoolExecutor(16) as pool:
            return [data for data in pool.map(self.read, names) if data is not None]
