# Debian packages, unpacked into a folder and not installed; for scripts to source.
# usage: debs_open WORK SUITE; debs_depends PACKAGE PATTERN; debs_unpack DIR PACKAGE:ARCH...; debs_close
#   DEBIAN_MIRROR   default: the one that this machine's apt uses

debs_open() {
  debs=$1
  local mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep -v security | head -n1)}
  : "${mirror:?apt names no mirror: set DEBIAN_MIRROR}"
  rm -rf "$debs"
  mkdir -p "$debs"/{state/lists/partial,cache/archives/partial,debs}
  touch "$debs/status"
  echo "deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $2 main" >"$debs/sources.list"
  # A mirror's index may be past its date; its signature is still checked.
  debs_options=(-q -o Dir::Etc::sourcelist="$debs/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$debs/state"
    -o Dir::State::status="$debs/status" -o Dir::Cache="$debs/cache" -o APT::Architectures::=amd64
    -o APT::Architectures::=arm64 -o Acquire::Languages=none
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Check-Valid-Until=false
    -o APT::Sandbox::User=root)
  apt-get "${debs_options[@]}" update
}

# The first package that PACKAGE depends on whose name is PATTERN and a number.
debs_depends() { apt-cache "${debs_options[@]}" depends "$1" | sed -n "s/.*Depends: \($2[0-9.]*\)\$/\1/p" | head -n1; }

debs_unpack() {
  local dir=$1
  shift
  mkdir -p "$dir"
  (cd "$debs/debs" && apt-get "${debs_options[@]}" download "$@")
  for package in "$debs"/debs/*.deb; do dpkg -x "$package" "$dir"; done
  rm "$debs"/debs/*.deb
}

debs_close() { rm -rf "$debs"; }
