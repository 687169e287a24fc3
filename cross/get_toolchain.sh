#!/usr/bin/env bash
# Puts what builds tsedge for boards into DIR, nothing installed: Debian's rustc with the standard libraries of
# both architectures, and zig (C and C++ compiler, linker, the symbols of any glibc) with cargo-zigbuild.
# usage: get_toolchain.sh DIR
#   DEBIAN_SUITE    default: forky, the oldest whose rustc is new enough; DEBIAN_MIRROR as in debs.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: get_toolchain.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
stamp=$(cat "$0" "$here/requirements.txt" | sha256sum)
[ "$(cat "$dir/ready" 2>/dev/null)" != "$stamp" ] || exit 0

. "$here/debs.sh"
rm -rf "$dir/root"
debs_open "$dir/apt" "${DEBIAN_SUITE:-forky}"
std=$(debs_depends libstd-rust-dev libstd-rust-)
llvm=$(debs_depends "$std" libllvm)
debs_unpack "$dir/root" rustc:amd64 "$std:amd64" libstd-rust-dev:amd64 libstd-rust-dev:arm64 "$llvm:amd64" libc6:amd64 \
  libgcc-s1:amd64 libstdc++6:amd64 libz3-4:amd64 libxml2-16:amd64 libedit2:amd64 zlib1g:amd64 libzstd1:amd64 libffi8:amd64 \
  libtinfo6:amd64 libbsd0:amd64 libmd0:amd64
debs_close
cat >"$dir/rustc" <<'W'
#!/bin/sh
r=$(dirname "$(readlink -f "$0")")/root
exec "$r/usr/lib64/ld-linux-x86-64.so.2" --library-path "$r/usr/lib/x86_64-linux-gnu" "$r/usr/bin/rustc" --sysroot "$r/usr" "$@"
W
chmod +x "$dir/rustc"

"${PYTHON:-python3}" -m venv --clear "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --require-hashes -r "$here/requirements.txt"
"$dir/rustc" -V
echo "$stamp" >"$dir/ready"
