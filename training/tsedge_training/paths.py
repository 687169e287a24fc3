"""Where things lie: the repository, the data folder, the cache of downloads and arrays."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "models"
CACHE = REPOSITORY / "training" / "cache"


def data_root() -> Path:
    """The data folder named by TSEDGE_DATA."""
    value = os.environ.get("TSEDGE_DATA")
    if not value:
        raise RuntimeError("TSEDGE_DATA is not set: point it at the folder of crops_manifest.csv")
    root = Path(value)
    if not (root / "crops_manifest.csv").is_file():
        raise RuntimeError(f"TSEDGE_DATA={root}: there is no crops_manifest.csv in it")
    return root
