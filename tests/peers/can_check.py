"""Reads CAN messages from standard input, one `t_ms id data` in hex a line, with cantools and autosar-e2e.

Checks every message's CRC and counter from outside and prints it decoded, as JSON lines.
"""

import json
import sys

import cantools
import e2e.p01 as profile_1

database = cantools.database.load_file(sys.argv[1])
last_counter: dict[int, int] = {}
for line in sys.stdin:
    t_ms, identifier, data = line.split()
    identifier, data = int(identifier, 16), bytearray.fromhex(data)
    message = database.get_message_by_frame_id(identifier)
    data_id = message.dbc.attributes["E2EDataId"].value
    if not profile_1.e2e_p01_check(data, data_id):
        sys.exit(f"{message.name} at {t_ms} ms: CRC of {data.hex()} does not fit")
    counter = data[1] & 0x0F
    if identifier in last_counter and counter != (last_counter[identifier] + 1) % 15:
        sys.exit(f"{message.name} at {t_ms} ms: counter {counter} after {last_counter[identifier]}")
    last_counter[identifier] = counter
    signals = database.decode_message(identifier, data, decode_choices=True)
    plain = {name: value if isinstance(value, (int, float)) else str(value)
             for name, value in signals.items()}  # fmt: skip
    print(json.dumps({"t_ms": int(t_ms), "message": message.name, **plain}))
