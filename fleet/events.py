"""Events of one drive: JSON lines in, one Parquet file out."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from .schema import arrow_schema, kinds


class Converter:
    """Takes only events that the JSON Schema allows, so nothing is dropped for want of a column."""

    def __init__(self, schema: dict):
        self.arrow = arrow_schema(schema)
        self.checks = {}
        for body in kinds(schema).values():
            check = Draft202012Validator({**body, "$defs": schema["$defs"]})
            event = body["properties"]["event"]
            for name in event.get("enum", [event.get("const")]):
                self.checks[name] = check

    def parse(self, lines: bytes) -> list[dict]:
        return [self.event(line, n) for n, line in enumerate(lines.splitlines(), 1) if line.strip()]

    def event(self, line: bytes, number: int) -> dict:
        try:
            event = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: no JSON: {error}") from None
        name = event.get("event") if isinstance(event, dict) else None
        if name not in self.checks:
            raise ValueError(f"line {number}: no event of the schema: {name!r}")
        fault = best_match(self.checks[name].iter_errors(event))
        if fault:
            raise ValueError(
                f"line {number}: {name}{fault.json_path[1:]}: {fault.message}; use the "
                "events.schema.json of the tsedge that wrote it"
            )
        return event

    def table(self, drive: str, events: list[dict]) -> pa.Table:
        return pa.Table.from_pylist([{"drive": drive, **e} for e in events], schema=self.arrow)

    def parquet(self, drive: str, events: list[dict]) -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(self.table(drive, events), sink, compression="zstd")
        return sink.getvalue().to_pybytes()
