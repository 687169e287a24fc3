"""The Arrow schema follows the JSON Schema, and no event loses anything on its way to Parquet."""

import copy
import json
import re
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleet import schema
from fleet.events import Converter

from .conftest import ROOT, fleet

EVERY = Path(__file__).with_name("every_property.jsonl")
LINES = [EVERY, *sorted(ROOT.glob("tests/golden/*/expected.jsonl"))]


def back(value):
    """A row as the event it was: nulls are absent, a map is an object."""
    if isinstance(value, dict):
        return {k: back(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return {k: back(v) for k, v in value}
        return [back(item) for item in value]
    return value


@pytest.mark.parametrize("lines", LINES, ids=lambda p: p.parent.name)
def test_every_event_comes_back_from_parquet_as_it_was(lines, tmp_path):
    out = tmp_path / "drive.parquet"
    ended = fleet("convert", lines, out, "--drive", "one")
    assert ended.returncode == 0, ended.stderr
    rows = [back(row) for row in pq.read_table(out).to_pylist()]
    assert {row.pop("drive") for row in rows} == {"one"}
    assert rows == [json.loads(line) for line in lines.read_text().splitlines()]


def test_the_example_has_every_property_of_the_schema():
    table = Converter(schema.load()).table(
        "one", Converter(schema.load()).parse(EVERY.read_bytes())
    )
    assert [n for n in table.column_names if table[n].null_count == len(table)] == []


def test_a_new_property_is_a_new_column_at_once():
    law = schema.load()
    law["$defs"]["summary"]["properties"]["night_s"] = {"type": "number"}
    assert schema.arrow_schema(law).field("night_s").type == pa.float64()


def test_two_kinds_that_disagree_on_a_type_are_refused():
    law = copy.deepcopy(schema.load())
    law["$defs"]["summary"]["properties"]["region"] = {"type": "integer"}
    with pytest.raises(ValueError, match="summary.region is int64, in another kind string"):
        schema.arrow_schema(law)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"event":"summary","time_s":1.0}', r"line 1: summary: 'frames' is a required property"),
        (b'{"event":"new"}', r"line 1: no event of the schema: 'new'"),
        (b'\n{"event":', r"line 2: no JSON"),
        (EVERY.read_bytes().splitlines()[2][:-1] + b',"x":1}', r"line 1: speed_limit: Additional"),
    ],
)
def test_what_the_schema_does_not_know_is_refused_with_its_line(line, told):
    with pytest.raises(ValueError, match=told):
        Converter(schema.load()).parse(line)


def test_the_table_in_the_docs_is_the_schema():
    docs = (ROOT / "docs/fleet.md").read_text()
    table = re.search(r"<!-- made: python -m fleet schema -->\n(.*?)\n\n", docs, re.S).group(1)
    assert table + "\n" == schema.markdown(schema.load())


def test_duckdb_and_pandas_read_the_types(tmp_path):
    out = tmp_path / "drive.parquet"
    fleet("convert", EVERY, out)
    query = f"SELECT top[1].class, change.renamed[1].to, box_px[3] FROM '{out}' ORDER BY time_s"
    rows = duckdb.sql(query).fetchall()
    assert rows[0][1] == "unknown_sign" and rows[1][0] == "speed_limit_50" and rows[1][2] == 421
    frame = pd.read_parquet(out)
    assert frame.loc[frame.event == "speed_limit", "value"].item() == 70.5
