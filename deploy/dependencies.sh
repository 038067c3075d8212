#!/usr/bin/env bash
# Installs what a step needs, or names what is missing and how to get it.
#   deploy/dependencies.sh build   the compiler's needs: swift, libssl-dev
#   deploy/dependencies.sh test    also the real clients and peers: kcat, ZooKeeper, Python packages
set -euo pipefail
cd "$(dirname "$0")/.."
step=${1:-build}

have_package() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }

need() {
  local missing=()
  for package in "$@"; do have_package "$package" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return 0
  local root=""
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then root="sudo"; else
      echo "missing: ${missing[*]}. Install with: sudo apt-get install ${missing[*]}" >&2
      exit 1
    fi
  fi
  echo "installing ${missing[*]}"
  $root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

command -v swift >/dev/null 2>&1 || {
  echo "missing: the Swift 6.3 toolchain (swift is not on PATH); see https://www.swift.org/install" >&2
  exit 1
}
command -v dpkg-query >/dev/null 2>&1 || {
  echo "this script knows Debian and Ubuntu; elsewhere install OpenSSL's headers by hand" >&2
  exit 0
}
need libssl-dev pkg-config
[ "$step" = build ] && exit 0

need openssl kcat zookeeper zookeeper-bin python3 python3-venv libsnappy1v5 liblz4-1 libzstd1 zlib1g
version=$(dpkg-query -W -f='${Version}' zookeeper)
case "$version" in
  3.8.*) ;;
  *) echo "zookeeper $version is installed; the tests are written against 3.8" >&2 ;;
esac
venv=${JACKDAW_VENV:-run/venv}
wanted=$(sha256sum Tests/clients/requirements.txt | cut -d' ' -f1)
if [ ! -x "$venv/bin/python" ] || [ "$(cat "$venv/.wanted" 2>/dev/null)" != "$wanted" ]; then
  echo "installing the Python clients into $venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r Tests/clients/requirements.txt
  echo "$wanted" >"$venv/.wanted"
fi
