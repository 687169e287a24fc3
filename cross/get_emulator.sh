#!/usr/bin/env bash
# Puts an emulator of ARM64 programs into DIR, nothing installed, with the C and C++ libraries of the oldest
# system that is supported (glibc 2.31). QEMU older than 9 crashes inside ONNX Runtime, so it is a newer Debian's.
# usage: get_emulator.sh DIR     then: DIR/run PROGRAM [ARGUMENT...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: get_emulator.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
stamp=$(sha256sum <"$0")
[ "$(cat "$dir/ready" 2>/dev/null)" != "$stamp" ] || exit 0

. "$here/debs.sh"
rm -rf "$dir/tools" "$dir/root"
debs_open "$dir/apt" forky
debs_unpack "$dir/tools" qemu-user:amd64
debs_open "$dir/apt" bullseye
debs_unpack "$dir/root" libc6:arm64 libstdc++6:arm64 libgcc-s1:arm64
debs_close
cat >"$dir/run" <<'W'
#!/bin/sh
d=$(dirname "$(readlink -f "$0")")
exec "$d/tools/usr/bin/qemu-aarch64" -cpu cortex-a76 -L "$d/root" "$@"
W
chmod +x "$dir/run"
"$dir/tools/usr/bin/qemu-aarch64" --version
echo "$stamp" >"$dir/ready"
