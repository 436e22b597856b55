#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deps: tools/deps.sh as root, with sudo and without, told from each other by programs that stand in
# for the system's. Nothing is installed.
set -euo pipefail
deps=$1
work=$(mktemp -d /tmp/certmill-deps.XXXXXX)
trap 'rm -rf "$work"' EXIT
failures=0
cd "$work"

# stand_in NAME TEXT: a program in the only folder that deps.sh finds any in.
stand_in() {
    printf '#!/bin/bash\n%s\n' "$2" >"bin/$1"
    chmod +x "bin/$1"
}
# shellcheck disable=SC2016 # for the programs, not for us
begin() {
    rm -rf bin calls
    mkdir bin
    : >calls
    ln -s "$(command -v grep)" "$(command -v env)" "$(command -v bash)" bin
    stand_in id 'echo "$UID_TOLD"'
    stand_in dpkg-query '[ "${@: -1}" != "$MISSING" ] || exit 1; echo installed'
    stand_in apt-get 'echo "apt-get $*" >>calls; [ ! -e refuse ]'
}
# check TEXT EXIT-CODE LINES-SAID PATTERN-OF-CALLS
check() {
    local text=$1 code=$2 lines=$3 calls=$4 got=0
    PATH=$work/bin bash "$deps" >out 2>&1 || got=$?
    if [ "$got" -ne "$code" ] || [ "$(wc -l <out)" -ne "$lines" ] ||
        [[ ! $(tr '\n' ';' <calls) =~ $calls ]]; then
        echo "FAILED: $text: exit $got instead of $code; said, and called:"
        cat out calls
        failures=$((failures + 1))
    fi
}
said() {
    grep -qE "$1" out || {
        echo "FAILED: not said: $1"
        failures=$((failures + 1))
    }
}

export UID_TOLD=1000 MISSING=none
begin
stand_in sudo 'echo sudo >>calls; exit 1'
check "all are there: nothing said, nobody asked" 0 0 '^$'

export MISSING=libsodium-dev
begin
check "no root, no sudo" 3 1 '^$'
said '^deps: .*apt-get install libsodium-dev$'

begin
# shellcheck disable=SC2016
stand_in sudo 'echo sudo >>calls; exec "$@"'
check "with sudo" 0 1 '^sudo;apt-get update -qq;sudo;apt-get install [^;]* libsodium-dev;$'
said 'with sudo libsodium-dev$'

begin
stand_in sudo 'exit 1'
check "a user that sudo does not let in" 3 2 '^$'
said 'apt-get install libsodium-dev$'

export UID_TOLD=0
begin
check "as root" 0 1 '^apt-get update -qq;apt-get install [^;]* libsodium-dev;$'

begin
: >refuse
check "no package to be had" 3 2 '^apt-get update -qq;$'
rm refuse

begin
rm bin/apt-get bin/dpkg-query
check "another system" 3 1 '^$'
said 'apt-get install build-essential .* valgrind$'

exit $((failures > 0))
