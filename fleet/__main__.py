"""python -m fleet: convert, run, report, schema."""

import argparse
import sys
from pathlib import Path

from . import schema
from .drives import read_drives
from .events import Converter
from .report import make_report
from .store import Store


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fleet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("convert", help="JSON lines of one drive to a Parquet file")
    one.set_defaults(do=convert)
    one.add_argument("jsonl", type=Path)
    one.add_argument("parquet", type=Path)
    one.add_argument("--drive", help="its id; the file's name if not given")
    many = commands.add_parser("run", help="replay many drives on Ray; goes on where it stopped")
    many.set_defaults(do=run)
    many.add_argument("drives", help="CSV file with a column `video`, or a folder; a path or a URL")
    many.add_argument("--out", required=True, help="folder for the results: a path or a URL")
    many.add_argument("--tsedge", required=True, help="the program, where each node has it")
    many.add_argument(
        "--workers", type=positive, help="drives at a time; what the cluster has room for"
    )
    many.add_argument("--cpus", type=positive, default=1, help="processors a drive (1)")
    many.add_argument("--address", help="of a Ray cluster; without it one is started here")
    many.add_argument("--attempts", type=positive, default=3, help="for each drive (3)")
    many.add_argument("--timeout-s", type=float, default=7200, help="for one attempt (7200)")
    many.add_argument("--retry-failed", action="store_true", help="also those given up before")
    many.epilog = "What stands after `--` goes to tsedge replay, as in: -- --long-side-px 960"
    total = commands.add_parser("report", help="sum up the status records again")
    total.set_defaults(do=report)
    total.add_argument("out")
    table = commands.add_parser("schema", help="print the columns as a Markdown table")
    table.set_defaults(do=columns)
    mine, options = split(sys.argv[1:])
    args = parser.parse_args(mine)
    args.options = options
    try:
        return args.do(args)
    except (ValueError, OSError) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """Those before and those after `--`, which are tsedge's own."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def convert(args: argparse.Namespace) -> int:
    converter = Converter(schema.load())
    try:
        events = converter.parse(args.jsonl.read_bytes())
    except ValueError as error:
        raise ValueError(f"{args.jsonl} {error}") from None
    data = converter.parquet(args.drive or args.jsonl.stem, events)
    Store.at(str(args.parquet.parent)).write(args.parquet.name, data)
    print(f"{args.parquet}: {len(events)} events")
    return 0


def run(args: argparse.Namespace) -> int:
    from . import job  # Ray takes a second to load, and `convert` does without
    from .replay import Settings

    settings = Settings(
        out=args.out if "://" in args.out else str(Path(args.out).absolute()),
        tsedge=str(Path(args.tsedge).absolute()) if "/" in args.tsedge else args.tsedge,
        schema=schema.load(),
        cpus=args.cpus,
        timeout_s=args.timeout_s,
        options=tuple(args.options),
    )
    drives = read_drives(args.drives if "://" in args.drives else str(Path(args.drives).absolute()))
    ended = job.run(drives, settings, args.workers, args.address, args.attempts, args.retry_failed)
    print(f"{ended['replayed']} replayed, {ended['failed']} given up", end=", ")
    print(f"{len(drives) - ended['replayed'] - ended['failed']} were there already")
    return report(args)


def report(args: argparse.Namespace) -> int:
    """Exit code 3, as tsedge has it: done, but something is missing."""
    told = make_report(args.out)
    print(f"{args.out}: {told['done']} of {told['drives']} drives, {told['hours']} h, ", end="")
    print(f"{told['km']} km, {told['failed']} failed; see report.md there")
    return 3 if told["failed"] else 0


def columns(_: argparse.Namespace) -> int:
    print(schema.markdown(schema.load()), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
