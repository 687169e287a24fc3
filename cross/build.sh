#!/usr/bin/env bash
# Builds the program for a board: needs glibc 2.31 or newer there and nothing else but ONNX Runtime.
# usage: build.sh amd64|arm64
#   TSEDGE_TOOLCHAIN   folder of get_toolchain.sh   (default: .cross in the checkout)
#   CARGO_TARGET_DIR   where cargo works            (default: target/cross in the checkout)
# The last line printed names the program. The same commit gives the same bytes in any folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
case ${1:-} in
  amd64) target=x86_64-unknown-linux-gnu ;;
  arm64) target=aarch64-unknown-linux-gnu ;;
  *) sed -n 3p "$0" >&2; exit 2 ;;
esac
glibc=2.31
tools=${TSEDGE_TOOLCHAIN:-$root/.cross}
"$here/get_toolchain.sh" "$tools" >&2
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/cross}
export RUSTC=$tools/rustc PATH=$tools/venv/bin:$PATH CARGO_INCREMENTAL=0
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
# Names of folders stand in messages of asserts and panics: the same ones everywhere.
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
map=() cmap=()
for folder in "$CARGO_TARGET_DIR=/target" "$root=/tsedge" "$registry=/cargo" "$tools/root/usr=/rust"; do
  map+=("--remap-path-prefix=$folder")
  cmap+=("-ffile-prefix-map=$folder")
done
export RUSTFLAGS="${map[*]}" CFLAGS="${cmap[*]}" CXXFLAGS="${cmap[*]}"
"$RUSTC" -V >&2
cd "$root"
cargo-zigbuild zigbuild --profile dist --locked --bin tsedge --target "$target.$glibc" >&2
program=$CARGO_TARGET_DIR/$target/dist/tsedge
"$here/check_program.sh" "$program" "$glibc" >&2
echo "$program"
