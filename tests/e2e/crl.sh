#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# crl: lists of a running and of a stopped daemon, read by other programs; what is in certificates
# and lists fits; two at once; damaged files.
. "$(dirname "$0")/lib.sh"
here=$2

kinds="p256 p384 rsa pss ed25519 sm2"
certmill init i --ca p256=p256 --ca p384=p384 --ca rsa=rsa:2048 --ca pss=rsa:2048 \
    --ca ed25519=ed25519 --ca sm2=sm2 --subject "C=CN,O=Example" --passphrase-file pass >/dev/null
# Every CA has an address for its list, p256 three shards, and delta lists with an address, which
# p384 has too; pss has its padding.
awk '/name = "/ { split($0, part, "\""); ca = part[2] }
    /# crl_url/ { sub(/# crl_url = ""/, "crl_url = \"http://crl.example.cn/" ca (ca == "p256" ? "-%s" : "") ".crl\"") }
    /# crl_shards/ && ca == "p256" { sub(/# crl_shards = 1/, "crl_shards = 3") }
    /# crl_delta_minutes/ && ca ~ /^(p256|p384)$/ { sub(/# crl_delta_minutes = 0/, "crl_delta_minutes = 10") }
    /# crl_delta_url/ && ca ~ /^(p256|p384)$/ { sub(/# crl_delta_url = ""/, "crl_delta_url = \"http://crl.example.cn/" ca (ca == "p256" ? "-%s" : "") "-delta.crl\"") }
    /# signature/ && ca == "pss" { sub(/# signature = ""/, "signature = \"pss-sha256\"") }
    { print }' i/certmill.conf >conf && cp conf i/certmill.conf
sed -i 's/hold = false;/hold = true;/' i/profiles/tls-server.conf
echo 'freshest_crl = true;' >>i/profiles/tls-server.conf
for kind in $kinds; do
    openssl x509 -in "i/ca/$kind.pem" -outform DER -out "$kind.der"
done
start i
export CERTMILL_URL=ipc://$work/i/certmill.sock

# ---- certificates, some of them revoked

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null
issue() { # CA N: certificate CA-N.pem
    openssl req -new -key key -subj "/CN=host$2.example.cn" -addext \
        "subjectAltName=DNS:host$2.example.cn" -out csr
    certmill issue --profile tls-server --ca "$1" csr --out "$1-$2.pem" >/dev/null
}
serial_of() { openssl x509 -in "$1" -noout -serial | cut -d= -f2; }
for n in 1 2 3 4 5 6 7 8; do
    issue p256 $n
done
for kind in p384 rsa pss ed25519 sm2; do
    issue $kind 1
    check "revoked: a certificate of $kind" certmill revoke --reason superseded "$(serial_of $kind-1.pem)"
done
check "revoked: keyCompromise" certmill revoke --reason keyCompromise "$(serial_of p256-1.pem)"
check "lists of every CA and shard" certmill crl make --all
check "one of each" test "$(grep -c full out)" = 8
check "delta lists" certmill crl make --ca p256 --all --delta
check "one of each shard" test "$(grep -c delta out)" = 3
mkdir fetched
check "all of them, to a folder" certmill crl export --all --out fetched
check "delta lists, to a folder" certmill crl export --ca p256 --all --delta --out fetched
check "and that of p384" certmill crl export --ca p384 --delta --out fetched
check "under the names they are published by" test "$(ls fetched)" = "$(ls i/crl)"
for file in fetched/*; do
    check "${file##*/} is what is published" cmp "$file" "i/crl/${file##*/}"
done

# ---- read by others

reads() { # CA FILE COUNT
    local text
    text=$(openssl crl -inform DER -in "$2" -noout -text)
    [ "$(grep -c 'Serial Number:' <<<"$text")" = "$3" ] || return 1
    /usr/bin/python3 "$here/tests/e2e/crl_read.py" "$1.der" "$2" "$3" || return 1
    certmill crl verify "$2" --issuer "$1.der" >/dev/null || return 1
    [ "$1" != sm2 ] || return 0 # neither takes the identity that SM2 needs
    openssl crl -inform DER -in "$2" -noout -verify -CAfile "i/ca/$1.pem" 2>&1 | grep -q 'verify OK' ||
        return 1
    openssl crl -inform DER -in "$2" -out list.pem
    certtool --verify-crl --load-ca-certificate "i/ca/$1.pem" --infile list.pem |
        grep -q 'Verification output: Verified'
}
for kind in p384 rsa pss ed25519 sm2; do
    check "$kind: openssl, certtool, asn1crypto read its list" reads $kind fetched/$kind.crl 1
done
check "certificates' distribution points are the lists', octet for octet" \
    /usr/bin/python3 "$here/tests/e2e/crl_points.py" fetched p256 p256-?.pem
openssl verify -crl_check -CAfile i/ca/rsa.pem -CRLfile <(openssl crl -inform DER -in fetched/rsa.crl) \
    rsa-1.pem >verdict 2>&1 || true
check "openssl refuses what is revoked" grep -q 'certificate revoked' verdict

# ---- where delta lists are

check "which have the addresses of delta lists, in complete lists too" \
    /usr/bin/python3 "$here/tests/e2e/crl_deltas.py" fetched p256 p256-?.pem
check "and none where there are none" /usr/bin/python3 "$here/tests/e2e/crl_deltas.py" --none \
    fetched/rsa.crl rsa-1.pem
check "openssl sees the address in a list" grep -A 3 'X509v3 Freshest CRL' \
    <(openssl crl -inform DER -in fetched/p384.crl -noout -text)
check "not critical, and of the delta list" grep -q 'URI:http://crl.example.cn/p384-delta.crl' out
check "and in a certificate" grep -A 3 'X509v3 Freshest CRL' <(openssl x509 -in p384-1.pem -noout -text)
check "the same" grep -q 'URI:http://crl.example.cn/p384-delta.crl' out
check "so does certtool" grep -q '2.5.29.46' <(certtool -i <p384-1.pem)
check "crl show tells it" certmill crl show fetched/p384.crl
check "as an address" grep -q '^deltas at  *http://crl.example.cn/p384-delta.crl$' out
issue p384 2
openssl crl -inform DER -in i/crl/p384.crl >base.pem
deltas_say() { # a verdict of openssl with complete and delta list
    openssl crl -inform DER -in i/crl/p384-delta.crl >delta.pem
    cat base.pem delta.pem >both.pem
    openssl verify -crl_check -extended_crl -use_deltas -CAfile i/ca/p384.pem -CRLfile both.pem \
        p384-2.pem >verdict 2>&1 || true
    grep -q "$1" verdict
}
check "a delta list" certmill crl make --ca p384 --delta
check "openssl takes it with the complete one" deltas_say 'p384-2.pem: OK'
check "revoked" certmill revoke --reason superseded "$(serial_of p384-2.pem)"
check "on the next delta list alone" certmill crl make --ca p384 --delta
check "openssl follows the address, and refuses" deltas_say 'certificate revoked'
check "which it does not by the complete list" openssl verify -crl_check -CAfile i/ca/p384.pem \
    -CRLfile base.pem p384-2.pem

# ---- a hold, through delta lists

held=$(serial_of p256-2.pem)
check "a certificate on hold" certmill hold "$held"
check "is on the next lists" certmill crl make --ca p256 --all
check "and released" certmill release "$held"
check "leaves by the next delta lists" certmill crl make --ca p256 --all --delta
for shard in 0 1 2; do
    openssl crl -inform DER -in "i/crl/p256-$shard-delta.crl" -noout -text
done >shown
check "with removeFromCRL" grep -q 'Remove From CRL' shown
check "which openssl sees as delta lists" test "$(grep -c 'Delta CRL Indicator: critical' shown)" = 3

# ---- options and refusals

check "a list as PEM, to standard output" certmill crl export --ca rsa --pem --out -
check "openssl reads it" openssl crl -in out -noout
check "there is nothing else" test "$(sed -n '1p;$p' out | tr '\n' ' ')" = \
    '-----BEGIN X509 CRL----- -----END X509 CRL----- '
mkdir beside
cp i/ca/rsa.pem beside
check "as PEM, beside certificates" certmill crl export --ca rsa --pem --out beside
check "a list" openssl crl -in beside/rsa.crl.pem -noout
check "which took the place of none" cmp beside/rsa.pem i/ca/rsa.pem
check "a list to a file" certmill crl export --ca rsa --out here.crl
check "is told" grep -qx 'exported here.crl: number [0-9]*, 1 entry' out
check "in JSON" certmill crl export --ca p256 --all --delta --out fetched --json
check "each of them, as it is listed" python3 - <<'PYTHON'
import hashlib, json
told = json.load(open("out"))
assert [(t["ca"], t["shard"], t["kind"]) for t in told] == [("p256", n, "delta") for n in range(3)], told
for t in told:
    file = open(t["path"], "rb").read()
    assert (len(file), hashlib.sha256(file).hexdigest()) == (t["size"], t["sha256"]), t
    assert t["number"] > 1 and t["entries"] >= 0, t
PYTHON
check "whole" cmp here.crl i/crl/rsa.crl
check "lists there were" certmill crl list --ca rsa --json
check "as JSON" /usr/bin/python3 -c \
    'import json; lists = json.load(open("out")); assert [l["number"] for l in lists] == [1, 2] and lists[1]["current"] and not lists[0]["current"]'
refused "which CA?" 2 'which CA' certmill crl make
refused "which shard?" 2 '3 shards' certmill crl export --ca p256
refused "a CA there is not" 1 'no CA' certmill crl make --ca nobody
refused "a shard there is not" 1 'no such shard' certmill crl make --ca p256 --shard 3
refused "both a shard and all" 2 'exclude' certmill crl make --ca p256 --shard 1 --all
refused "several lists to a file" 2 'folder' certmill crl export --all --out here.crl
refused "a folder that is not there" 1 'no such' certmill crl export --ca rsa --out no/where.crl
refused "a delta list that was never made" 1 'CRL_UNKNOWN' certmill crl export --ca rsa --delta --out -
refused "a list of a CA there is not" 1 'CA_UNKNOWN' certmill crl list --ca nobody
check "files that are there stay" cmp here.crl i/crl/rsa.crl

# ---- several at once

makes() { for _ in 1 2 3 4 5 6 7 8; do certmill crl make --ca ed25519 --json || return 1; done; }
exports() {
    for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
        certmill crl export --ca ed25519 --out "$1-$n.crl" >/dev/null || return 1
    done
}
makes >made1 & makes=$!
makes >made2 & more_makes=$!
exports a & exporting=$!
exports b & more_exporting=$!
check "lists are ordered at once" wait $makes
check "by two" wait $more_makes
check "and fetched meanwhile" wait $exporting
check "by two" wait $more_exporting
check "no number is given twice" test "$(cat made1 made2 | grep -o '"number": [0-9]*' | sort -u | wc -l)" = 16
for file in a-*.crl b-*.crl; do
    certmill crl verify "$file" --issuer ed25519.der >>verified || echo "$file" >>not-verified
done
check "every one fetched is whole and verifies" test ! -e not-verified

# ---- without a daemon, and with more than five million octets

check "the daemon is well" certmill health
check "and stops" stop
mkdir alone
check "lists of a stopped daemon" certmill crl export --config i/certmill.conf --all --out alone
check "are told" test "$(grep -c '^exported alone/.*: number [0-9]*, [0-9]* entr' out)" = 8
check "with their entries" grep -q '^exported alone/rsa.crl: number [0-9]*, 1 entry$' out
check "as published" cmp alone/rsa.crl i/crl/rsa.crl
cp i/crl/rsa.crl kept
printf x | dd of=i/crl/rsa.crl bs=1 seek=100 conv=notrunc status=none
refused "a damaged file is not passed on" 1 'not the list that was recorded' \
    certmill crl export --config i/certmill.conf --ca rsa --out damaged.crl
check "not even in part" test ! -e damaged.crl
bench_crl fill i/data i/ca/sm2.pem 110000 2>/dev/null
bench_crl fill i/data i/ca/rsa.pem 110000 2>/dev/null
start i
for kind in rsa sm2; do
    certmill crl make --ca $kind >/dev/null
    check "a list of $kind with 110001 entries" certmill crl export --ca $kind --out $kind-large.crl
    check "has more than five million octets" test "$(stat -c %s $kind-large.crl)" -gt 5000000
    check "asn1crypto reads and verifies it" \
        /usr/bin/python3 "$here/tests/e2e/crl_read.py" $kind.der $kind-large.crl 110001
    check "so does ours, after the one before" certmill crl verify $kind-large.crl --issuer $kind.der \
        --previous fetched/$kind.crl
done
check "openssl verifies it" bash -c \
    "openssl crl -inform DER -in rsa-large.crl -noout -verify -CAfile i/ca/rsa.pem 2>&1 | grep -q 'verify OK'"
check "as PEM it is the same" bash -c \
    'certmill crl export --ca rsa --pem --out - | openssl crl -outform DER | cmp - rsa-large.crl'
stop
finish
