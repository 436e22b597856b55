#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deps: the Debian 12 packages that building and testing need. Says nothing when all are there, and
# then needs no rights. What is missing is installed as root, or with sudo; where that is not to be
# had: one line that says what to install, and exit 3.
set -euo pipefail

packages=(
    build-essential cmake ninja-build pkg-config git
    libconfig-dev libgmp-dev liblmdb-dev libnng-dev libp11-kit-dev libprotobuf-c-dev libseccomp-dev
    libsodium-dev libssl-dev
    liburing-dev protobuf-c-compiler
    # tests and checks
    clang-format-14 gnutls-bin libcriterion-dev openssl python3 python3-asn1crypto softhsm2
    e2fsprogs mount util-linux valgrind
)

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
        missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

ask() {
    echo "deps: missing; as root, please: apt-get install ${missing[*]}" >&2
    exit 3
}

command -v apt-get >/dev/null || ask
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || ask
    as_root=(sudo)
fi
echo "deps: installing ${as_root:+with sudo }${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq || ask
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || ask
