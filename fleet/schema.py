"""The Arrow schema of events, derived from docs/schema/events.schema.json.

One wide table: a column for each property of any kind of event, null where a kind does not have it.
A property that two kinds have must have one type, else `arrow_schema` refuses.
"""

import json
from pathlib import Path

import pyarrow as pa

FILE = Path(__file__).parents[1] / "docs/schema/events.schema.json"
SCALARS = {
    "string": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}


def load(file: Path = FILE) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def kinds(schema: dict) -> dict[str, dict]:
    """The kinds of events by the name of their definition."""
    names = [each["$ref"].rpartition("/")[2] for each in schema["oneOf"]]
    return {name: schema["$defs"][name] for name in names}


def arrow_schema(schema: dict) -> pa.Schema:
    found: dict[str, pa.Field] = {}
    tell: dict[str, list[str]] = {}
    for kind, body in kinds(schema).items():
        for name, node in body["properties"].items():
            made = arrow_type(node, schema["$defs"], f"{kind}.{name}")
            if name in found and found[name].type != made:
                raise ValueError(f"{kind}.{name} is {made}, in another kind {found[name].type}")
            always = all(name in other["required"] for other in kinds(schema).values())
            found[name] = pa.field(name, made, nullable=not always)
            told = resolve(node, schema["$defs"]).get("description", "")
            if told and told not in tell.setdefault(name, []):
                tell[name].append(told)
    drive = pa.field("drive", pa.string(), False, {"description": "Id of the drive."})
    told = {name: {"description": " / ".join(tell.get(name, []))} for name in found}
    return pa.schema([drive, *(field.with_metadata(told[name]) for name, field in found.items())])


def arrow_type(node: dict, defs: dict, place: str) -> pa.DataType:
    node = resolve(node, defs)
    values = node.get("enum", [node["const"]] if "const" in node else [])
    if values and all(isinstance(value, str) for value in values):
        return pa.string()
    kind = node.get("type")
    if kind in SCALARS:
        return SCALARS[kind]
    if kind == "array":
        item = arrow_type(node["items"], defs, f"{place}[]")
        return pa.list_(pa.field("element", item, nullable=False))
    if kind == "object" and "properties" in node:
        parts = node["properties"].items()
        required = node.get("required", [])
        return pa.struct(
            [pa.field(n, arrow_type(p, defs, f"{place}.{n}"), n not in required) for n, p in parts]
        )
    if kind == "object" and isinstance(node.get("additionalProperties"), dict):
        return pa.map_(pa.string(), arrow_type(node["additionalProperties"], defs, f"{place}.*"))
    raise ValueError(f"{place}: no Arrow type for {json.dumps(node)}")


def resolve(node: dict, defs: dict) -> dict:
    """Follows a reference; what stands beside it counts more, as in a description."""
    if "$ref" not in node:
        return node
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return resolve(defs[node["$ref"].rpartition("/")[2]], defs) | beside


def markdown(schema: dict) -> str:
    """The table of docs/fleet.md."""
    lines = ["| column | type | in | meaning |", "|---|---|---|---|"]
    for field in arrow_schema(schema):
        having = [k for k, body in kinds(schema).items() if field.name in body["properties"]]
        where = "all" if field.name == "drive" or len(having) == len(kinds(schema)) else ""
        told = field.metadata[b"description"].decode()
        kind = str(field.type).replace("element: ", "").replace(" not null", "")
        lines.append(f"| `{field.name}` | {kind} | {where or ', '.join(having)} | {told} |")
    return "\n".join(lines) + "\n"
