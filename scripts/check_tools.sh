#!/bin/sh
# Says, all at once, which of the tools that tsedge is built with are missing.
cargo=${1:-cargo} python=${2:-python3}
missing=0
need() { # what, how to get it, command that must work
    what=$1 remedy=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        echo "missing: $what ($remedy)" >&2
        missing=1
    fi
}
need "a Rust toolchain, 1.95 or newer" "https://rustup.rs" "$cargo" --version
need "a C++ compiler" "apt install g++, or your system's" c++ --version
need "Python 3.9 or newer" "apt install python3" "$python" -c 'import sys; assert sys.version_info >= (3, 9)'
need "pip" "apt install python3-pip" "$python" -m pip --version
if [ "$(uname -m)" = x86_64 ] && ! command -v nasm >/dev/null; then
    echo "note: without nasm the H.264 decoder is built without vector code and takes two to three times as long (apt install nasm)" >&2
fi
exit $missing
