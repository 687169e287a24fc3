"""Pack: python -m detector.pack --out FOLDER

What `detector.train --pack FOLDER` needs of the data, in parts of 15 MB at most, for machines that
take little at a time. No validation frame is in it. Needs TSEDGE_DATA.
"""

import argparse
from pathlib import Path

from tsedge_training.paths import data_root

from . import stock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="chooses the crops and the boards")
    args = parser.parse_args()
    found = stock.gathered(data_root(), args.seed)
    stock.write(found, args.out)
    files = sorted(args.out.glob(f"{stock.PACK}*"))
    print(f"{found}: {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
