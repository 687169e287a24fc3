#!/usr/bin/env bash
# Makes the Debian packages tsedge and tsedge-onnxruntime; building comes first (build.sh).
# usage: package.sh amd64|arm64 [FOLDER]    FOLDER: target/packages by default
#   TSEDGE_VERSION   the package's version   (default: that of Cargo.toml)
#   TSEDGE_PROGRAM   a program that is built already, for this machine's own tests
# Fails when program or package are larger than SPECIFICATION.md promises. The same commit gives the same bytes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cd "$root"
case ${1:-} in
  amd64) triple=x86_64-unknown-linux-gnu machine=x86_64 ;;
  arm64) triple=aarch64-unknown-linux-gnu machine=aarch64 ;;
  *) sed -n 3p "$0" >&2; exit 2 ;;
esac
arch=$1 out=${2:-target/packages} python=${PYTHON:-python3}
most_program=12000000 most_package=40000000
mkdir -p "$out"
if [ -n "${TSEDGE_PROGRAM:-}" ]; then
  program=$out/tsedge-$arch
  strip -o "$program" "$TSEDGE_PROGRAM"
  most_program=$((1 << 30)) # the limit is for the program that is shipped, which takes longer to link
else
  program=$("$here/build.sh" "$arch")
fi
runtime=target/cross/onnxruntime-$arch
"$python" scripts/get_onnxruntime.py "$runtime" "$machine"
manual=$(mktemp -d)
trap 'rm -rf "$manual" "$tree"' EXIT
tree=$(mktemp -d)
"${CARGO:-cargo}" run --quiet --locked --example manual -- "$manual"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
# One thread: xz gives other bytes with more.
export SOURCE_DATE_EPOCH DPKG_DEB_THREADS_MAX=1

put() { # MODE FROM... TO: files into the tree
  local mode=$1 to=${*: -1}
  shift
  mkdir -p "$tree/$(dirname "$to")"
  case $to in */) mkdir -p "$tree/$to"; install -m "$mode" "${@:1:$#-1}" "$tree/$to" ;;
  *) install -m "$mode" "$1" "$tree/$to" ;; esac
}

pack() { # NAME VERSION: the tree as a package
  local name=$1 version=$2 size file=$out/$1_$2_$arch.deb
  size=$(find "$tree" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
  mkdir "$tree/DEBIAN"
  sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$size/" "$here/debian/$name.control" >"$tree/DEBIAN/control"
  for script in postinst prerm postrm; do
    [ ! -e "$here/debian/$name.$script" ] || install -m 755 "$here/debian/$name.$script" "$tree/DEBIAN/$script"
  done
  (cd "$tree" && find etc -type f -printf '/%p\n' 2>/dev/null | sort >DEBIAN/conffiles) || true
  [ -s "$tree/DEBIAN/conffiles" ] || rm "$tree/DEBIAN/conffiles"
  (cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  find "$tree" -type d -exec chmod 755 {} +
  find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$file" >/dev/null
  rm -rf "${tree:?}"/*
  echo "$file: $(stat -c %s "$file") bytes, $size KiB installed"
}

at_most() { # LIMIT FILE
  local bytes
  bytes=$(stat -c %s "$2")
  [ "$bytes" -le "$1" ] || { echo "$2: $bytes bytes, at most $1 are promised" >&2; exit 1; }
}

version=${TSEDGE_VERSION:-$(sed -n '0,/^version = "\(.*\)"/s//\1/p' Cargo.toml)}
at_most $most_program "$program"
put 755 "$program" usr/bin/tsedge
put 644 systemd/tsedge.service usr/lib/systemd/system/tsedge.service
put 644 systemd/61-tsedge.rules usr/lib/udev/rules.d/61-tsedge.rules
put 644 systemd/tsedge.tmpfiles usr/lib/tmpfiles.d/tsedge.conf
put 644 systemd/tsedge.toml etc/tsedge/tsedge.toml
put 644 models/*.onnx models/*.toml models/*.safetensors models/tokenizer.json usr/share/tsedge/models/
put 644 models/packs/*.safetensors usr/share/tsedge/models/packs/
put 644 models/prompts/*.toml usr/share/tsedge/models/prompts/
put 644 can/tsedge.dbc usr/share/tsedge/tsedge.dbc
put 644 docs/schema/events.schema.json usr/share/tsedge/events.schema.json
put 644 README.md SPECIFICATION.md docs/*.md usr/share/doc/tsedge/
put 644 systemd/tsedge.toml systemd/realtime.conf can/example/receiver.c usr/share/doc/tsedge/examples/
put 644 "$here/debian/tsedge.copyright" usr/share/doc/tsedge/copyright
"$python" cross/third_party.py "$triple" >"$tree/usr/share/doc/tsedge/third-party.txt"
gzip -9n "$tree/usr/share/doc/tsedge/third-party.txt"
put 644 "$manual"/man1/*.1 usr/share/man/man1/
gzip -9n "$tree"/usr/share/man/man1/*.1
put 644 "$manual/completions/tsedge.bash" usr/share/bash-completion/completions/tsedge
put 644 "$manual/completions/_tsedge" usr/share/zsh/vendor-completions/_tsedge
put 644 "$manual/completions/tsedge.fish" usr/share/fish/vendor_completions.d/tsedge.fish
pack tsedge "$version"
at_most $most_package "$out/tsedge_${version}_$arch.deb"

put 644 "$runtime/libonnxruntime.so" usr/lib/tsedge/libonnxruntime.so
put 644 "$runtime/LICENSE" usr/share/doc/tsedge-onnxruntime/copyright
put 644 "$runtime/ThirdPartyNotices.txt" usr/share/doc/tsedge-onnxruntime/third-party.txt
gzip -9n "$tree/usr/share/doc/tsedge-onnxruntime/third-party.txt"
pack tsedge-onnxruntime "$(sed -n 's/^VERSION = "\(.*\)"/\1/p' scripts/get_onnxruntime.py)"
