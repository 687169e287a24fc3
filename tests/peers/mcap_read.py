"""Reads an MCAP file with the `mcap` package and prints it as JSON lines: its schemas, then its messages.

With `--cut` the file has no end, as after a power loss, and is read from its start as far as it goes.
"""

import json
import sys

from mcap.exceptions import EndOfFile, RecordLengthLimitExceeded
from mcap.reader import NonSeekingReader, make_reader

path = sys.argv[-1]
cut = "--cut" in sys.argv
with open(path, "rb") as file:
    if cut:
        reader = NonSeekingReader(file, validate_crcs=True)
    else:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        print(json.dumps({"count": summary.statistics.message_count, "chunks": len(summary.chunk_indexes)}))
    schemas = set()
    try:
        for schema, channel, message in reader.iter_messages(log_time_order=not cut):
            assert schema.encoding == "jsonschema" and channel.message_encoding == "json"
            if schema.name not in schemas:
                schemas.add(schema.name)
                print(json.dumps({"schema": schema.name, "text": json.loads(schema.data)}))
            data = json.loads(message.data)
            print(json.dumps({"topic": channel.topic, "of": schema.name, "at": message.log_time, "data": data}))
    except (EndOfFile, RecordLengthLimitExceeded):
        if not cut:
            raise
