#!/usr/bin/env bash
# Fails when a program needs a newer glibc than it should, or a library that a bare system lacks.
# usage: check_program.sh PROGRAM GLIBC
set -euo pipefail
program=${1:?usage: check_program.sh PROGRAM GLIBC} floor=${2:?usage: check_program.sh PROGRAM GLIBC}
needed=$(readelf -W --dyn-syms --version-info "$program" | grep -o 'GLIBC_[0-9.]*' | sort -u -V | tail -n1)
needed=${needed#GLIBC_}
[ -n "$needed" ] || { echo "$program: needs no glibc: is it a program for Linux?" >&2; exit 1; }
if [ "$(printf '%s\n%s\n' "$needed" "$floor" | sort -V | tail -n1)" != "$floor" ]; then
  echo "$program: needs glibc $needed, more than $floor; these symbols do:" >&2
  readelf -W --dyn-syms "$program" | grep "GLIBC_$needed" >&2
  exit 1
fi
foreign=$(readelf -W -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
  grep -vxE 'lib(c|m|dl|rt|pthread|gcc_s)\.so\.[0-9]+|ld-linux-.*' || true)
[ -z "$foreign" ] || { echo "$program: needs libraries that a bare system lacks: $foreign" >&2; exit 1; }
echo "$program: glibc $needed (at most $floor)"
