#!/usr/bin/env bash
# Builds the packages of the newest commit twice, in two folders of different names, and compares them byte for byte.
# usage: compare_builds.sh amd64|arm64
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
arch=${1:?usage: compare_builds.sh amd64|arm64}
commit=$(git -C "$root" rev-parse HEAD)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for folder in "$scratch/first" "$scratch/another-place/second"; do
  git clone -q --no-hardlinks "$root" "$folder"
  # Someone may go on committing meanwhile.
  git -C "$folder" checkout -q "$commit"
  # The tools are the same; where they lie is not.
  cp -a "$root/.cross" "$folder/.cross"
  (cd "$folder" && cross/package.sh "$arch" packages)
done
first=$(cd "$scratch/first/packages" && sha256sum ./*.deb) second=$(cd "$scratch/another-place/second/packages" && sha256sum ./*.deb)
printf '%s\n' "$first"
[ "$first" = "$second" ] || { printf 'the second time:\n%s\n' "$second" >&2; exit 1; }
