#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# crl_full: revoking and CRLs go on when the disk is full, and somebody takes whatever becomes free;
# after a kill, too. Once there is room everything is as before.
#
#   crl_full.sh BUILD SOURCE tmpfs|ext4    in a mount namespace of its own: tests/support/needs.sh
. "$(dirname "$0")/lib.sh"

mkdir disk
if [ "$3" = tmpfs ]; then
    mount -t tmpfs -o size=160m certmill disk
else
    truncate -s 176M image
    mkfs.ext4 -q -m 0 image
    mount -o loop image disk 2>why || {
        echo "skipped: no ext4 in a file: $(cat why)"
        exit 77
    }
fi
filler=
stop_filler() {
    [ -z "$filler" ] || kill "$filler" 2>/dev/null || true
    [ -z "$filler" ] || wait "$filler" 2>/dev/null || true
    filler=
}
leave() {
    stop_filler
    [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true
    [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
    daemon=
    cd / && umount "$work/disk" || true
    cleanup
}
trap leave EXIT

certmill init disk/i --ca main=p256 --ca other=rsa:2048 --subject "C=CN,O=Example" \
    --passphrase-file pass >/dev/null
awk '/name = "/ { split($0, part, "\""); ca = part[2] }
    /# crl_url/ { sub(/# crl_url = ""/, "crl_url = \"http://crl.example.cn/" ca (ca == "other" ? "-%s" : "") ".crl\"") }
    /# crl_shards/ && ca == "other" { sub(/# crl_shards = 1/, "crl_shards = 2") }
    /# crl_delta_minutes/ && ca == "main" { sub(/# crl_delta_minutes = 0/, "crl_delta_minutes = 10") }
    /# reserve_mib/ { sub(/# reserve_mib = 64/, "reserve_mib = 8") }
    { print }' disk/i/certmill.conf >conf && cp conf disk/i/certmill.conf
start disk/i
export CERTMILL_URL=ipc://$work/disk/i/certmill.sock

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null
rounds=6
for ca in main other; do
    for n in $(seq $((rounds + 2))); do
        openssl req -new -key key -subj "/CN=host$n.example.cn" -addext \
            "subjectAltName=DNS:host$n.example.cn" -out csr
        certmill issue --profile tls-server --ca $ca csr --out "$ca-$n.pem" >/dev/null
    done
done
serial_of() { openssl x509 -in "$1" -noout -serial | cut -d= -f2; }

# lists CA NAME SERIAL: the published list of that name is signed by the CA and has the entry.
lists() {
    openssl crl -inform DER -in "disk/i/crl/$2.crl" -CAfile "disk/i/ca/$1.pem" -noout -text \
        >text 2>verdict || return 1
    grep -q 'verify OK' verdict && grep -q "Serial Number: $3" text
}
# listed CA NAME... SERIAL: one of them has it.
listed() {
    local ca=$1 serial=${*: -1} name
    for name in "${@:2:$#-2}"; do
        ! lists "$ca" "$name" "$serial" || return 0
    done
    return 1
}
number_of() { openssl crl -inform DER -in "disk/i/crl/$1.crl" -noout -crlnumber | cut -d= -f2; }

revoke_and_list() { # N TEXT: the Nth certificate of each CA, and lists with it
    local n=$1 main other before
    main=$(serial_of "main-$n.pem")
    other=$(serial_of "other-$n.pem")
    before=$(($(number_of main)))
    check "$2: revoked: number $n of main" certmill revoke --reason superseded "$main"
    check "$2: revoked: number $n of other" certmill revoke --reason keyCompromise "$other"
    check "$2: a delta list" certmill crl make --ca main --delta
    check "$2: which has it" lists main main-delta "$main"
    check "$2: a complete list" certmill crl make --ca main
    check "$2: which has it, too" lists main main "$main"
    check "$2: with a higher number" test $(($(number_of main))) -gt "$before"
    check "$2: lists of both shards" certmill crl make --ca other --all
    check "$2: one of which has it" listed other other-0 other-1 "$other"
}
# all_published: exactly the lists, and a reserve for each.
all_published() {
    local name
    for name in main main-delta other-0 other-1; do
        printf '%s\n' "$name.crl" ".$name.crl.reserve"
    done | LC_ALL=C sort >want
    ls -A disk/i/crl | LC_ALL=C sort | diff want -
}
has_alarm() { { certmill health --json || true; } | grep -q "\"$1\""; }
has_no_alarm() { ! { certmill health --json || true; } | grep -q CRL_; }
soon() { # COMMAND...: it succeeds within some seconds
    local i
    for i in $(seq 100); do
        ! "$@" || return 0
        sleep 0.1
    done
    return 1
}

revoke_and_list 1 "with room"
check "a reserve beside each list" all_published
check "no alarm" has_no_alarm

# ---- full, to the last block, and for ever

fill() { # BLOCK: what is free goes, in blocks of that size
    dd if=/dev/zero of=disk/ballast bs="$1" oflag=append conv=notrunc,nocreat 2>/dev/null || true
}
: >disk/ballast # the only one: what the filler has not opened yet when it goes stays away
fill 1M
fill 1k # a block of this small ext4, in which a list would find room
check "the disk is full" test "$(df --output=avail disk | tail -n 1)" -lt 4
while :; do
    fill 1k
    sleep 0.1
done &
filler=$!
for n in $(seq 2 "$rounds"); do
    revoke_and_list "$n" "full"
done
check "what is needed is told" soon has_alarm CRL_STORAGE_FULL:main
check "the lists, their reserves, nothing else" all_published
check "they were written where there was room" test \
    "$(grep -c 'disk is full, CRL was written into its reserve' daemon.log)" -ge $((rounds * 2))

kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
daemon=
start disk/i
revoke_and_list $((rounds + 1)) "full, after a kill"
check "after the kill nothing else either" all_published

# ---- room again

stop_filler
rm disk/ballast
check "no alarm any more" soon has_no_alarm
revoke_and_list $((rounds + 2)) "with room again"
check "a reserve beside each list still" all_published
check "it stops" stop
check "what is stored is whole" certmilld --config disk/i/certmill.conf --check
finish
