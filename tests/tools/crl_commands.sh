#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# crl_commands: certmill crl show, verify and diff, by their answers and exit codes.
#
#   crl_commands.sh MAKE_CRLS CERTMILL
set -euo pipefail
make_crls=$1 certmill=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

# expect CODE PATTERN ARGUMENT...: the exit code, and what is said.
expect() {
    local want=$1 pattern=$2 out code=0
    shift 2
    out=$("$certmill" crl "$@" 2>&1) || code=$?
    if [ "$code" != "$want" ] || ! grep -q -- "$pattern" <<<"$out"; then
        echo "crl_commands: crl $*: $code, not $want; wanted '$pattern':"
        echo "$out" | head -20
        bad=1
    fi
}

now=$(date +%s)
"$make_crls" "$dir" "$now" >/dev/null
cd "$dir"

expect 0 'good, 0 errors' verify p256.one.crl --issuer p256.crt
expect 0 'good, 0 errors' verify sm2.delta.crl --issuer sm2.crt --url http://crl.example.cn/test/1.crl
expect 1 'error    POINT_OTHER' verify p256.one.crl --issuer p256.crt --url http://crl.example.cn/test/2.crl
expect 1 'error    SIGNATURE' verify p256.one.crl --issuer p384.crt
expect 1 'error    EXPIRED' verify p256.one.crl --issuer p256.crt --at $((now + 90000))
expect 1 'error    NOT_YET' verify p256.one.crl --issuer p256.crt --at $((now - 90000))
expect 0 'PREVIOUS_CHANGES .*1 added, 0 removed' verify p256.one.crl --issuer p256.crt --previous p256.empty.crl
expect 1 'PREVIOUS_NUMBER' verify p256.empty.crl --issuer p256.crt --previous p256.one.crl
expect 1 '"good": false' verify p256.one.crl --issuer p384.crt --json
expect 2 'usage' verify p256.one.crl
expect 2 'usage' show
expect 2 'no such command' frobnicate
expect 2 'nowhere: No such file' show nowhere
expect 2 'nowhere: No such file' verify nowhere --issuer p256.crt
expect 2 'nowhere: No such file' verify p256.one.crl --issuer nowhere
expect 2 'nowhere: No such file' verify p256.one.crl --issuer p256.crt --previous nowhere
expect 2 'nowhere: No such file' diff p256.one.crl nowhere

# One bit of the to-be-signed part, of an entry's date.
cp p256.one.crl flipped.crl
printf '\x38' | dd of=flipped.crl bs=1 seek=137 conv=notrunc status=none
cmp -s p256.one.crl flipped.crl || expect 1 'error' verify flipped.crl --issuer p256.crt
head -c 200 p256.one.crl >cut.crl
expect 1 'CRL_PARSE' verify cut.crl --issuer p256.crt

openssl crl -inform DER -in p256.large.crl -out large.pem
expect 0 '100,000 entries' show large.pem
expect 0 'keyCompromise .*16\.7 %' show p256.large.crl
expect 0 '"entries": 100000' show --json p256.large.crl
expect 0 'delta, on the list with number 0x0100' show p256.delta.crl
expect 0 '0 added, 0 removed, 0 changed' diff p256.large.crl large.pem
expect 0 '1 added, 100000 removed' diff --count p256.large.crl p256.one.crl
expect 0 '^+ 0100000001' diff p256.empty.crl p256.one.crl
expect 0 '"change": "removed"' diff --json p256.one.crl p256.empty.crl

# Bars where there is a terminal, in the characters it has.
bars() { LC_ALL=$1 script -qec "'$certmill' crl show p256.large.crl" bars.out >/dev/null; }
bars C.UTF-8 && grep -q '█' bars.out || { echo 'crl_commands: no bars'; bad=1; }
bars C && grep -q '####' bars.out || { echo 'crl_commands: no plain bars'; bad=1; }
exit $bad
