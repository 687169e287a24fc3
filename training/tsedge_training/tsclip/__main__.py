"""The same commands, without importing what only the small encoder's training needs."""

import argparse

from . import cli


def main() -> None:
    parser = argparse.ArgumentParser(prog="tsedge_training.tsclip", description=__doc__)
    cli.add(parser.add_subparsers(dest="command", required=True))
    cli.act(parser.parse_args())


if __name__ == "__main__":
    main()
