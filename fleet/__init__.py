"""Replays many drives with tsedge on Ray and keeps the events as Parquet (docs/fleet.md).

Modules in the order of the data: `store` (files here or in an object store), `drives` (what is to
be replayed), `track` (way and date of a drive), `schema` (Arrow from the JSON Schema), `events`
(JSON lines to Parquet), `replay` (one drive), `job` (all of them, on Ray), `report` (the sum).
"""
