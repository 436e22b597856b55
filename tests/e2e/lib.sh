# SPDX-License-Identifier: Apache-2.0
# lib: what the end-to-end scripts share. Sourced with the build folder as $1.
set -euo pipefail
PATH=$1:$PATH
work=$(mktemp -d /tmp/certmill-e2e.XXXXXX)
daemon=
failures=0

cleanup() {
    [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
(umask 077 && echo 'correct horse battery' >pass && echo 'wrong horse battery' >wrong)

# check TEXT COMMAND...: the command succeeds. What it writes is in out, for checks that follow;
# those write nothing, and leave it there.
check() {
    local text=$1
    shift
    if "$@" >now 2>err; then
        echo "ok: $text"
        [ ! -s now ] || mv now out
    else
        echo "FAILED: $text: $*"
        cat now err
        failures=$((failures + 1))
    fi
}
# refused TEXT EXIT-CODE PATTERN COMMAND...: it exits so, and says something like the pattern.
refused() {
    local text=$1 code=$2 pattern=$3 got=0
    shift 3
    "$@" >now 2>err || got=$?
    if [ "$got" -eq "$code" ] && grep -qE -- "$pattern" err; then
        echo "ok: $text"
    else
        echo "FAILED: $text: exit $got instead of $code, or no '$pattern': $*"
        cat now err
        failures=$((failures + 1))
    fi
}
finish() {
    [ "$failures" -eq 0 ] || echo "$failures failed"
    exit $((failures > 0))
}

# start INSTANCE [PASSPHRASE-OPTION...]: the daemon, ready. Without options the passphrase is in
# the file $passphrase, or pass. One that ends instead closes the fifo, and is told at once; the
# minute is for one that hangs, as ctest's own limit would end this script without a word.
start() {
    local instance=$1
    shift
    [ $# -gt 0 ] || set -- --passphrase-file "${passphrase:-pass}"
    rm -f ready
    mkfifo ready
    certmilld --config "$instance/certmill.conf" "$@" --ready-fd 9 9>ready 2>daemon.log &
    daemon=$!
    if ! read -r -t 60 _ <ready; then
        cat daemon.log
        exit 1
    fi
}
# stop: as a service manager would; the daemon's exit code, and what it said if that is not 0.
stop() {
    local code=0
    kill -TERM "$daemon"
    wait "$daemon" || code=$?
    daemon=
    [ "$code" -eq 0 ] || cat daemon.log >&2
    return "$code"
}
