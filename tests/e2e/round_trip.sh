#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# round_trip: a CA and a request of every key type; other programs accept what comes out.
. "$(dirname "$0")/lib.sh"
parse=$2/tests/e2e/parse.py

certmill init i --ca p256=p256 --ca p384=p384 --ca rsa2048=rsa:2048 \
    --ca rsa3072=rsa:3072 --ca rsa4096=rsa:4096 \
    --ca ed25519=ed25519 --ca sm2=sm2 --subject "C=CN,O=Example" --passphrase-file pass >/dev/null
start i

new_key() { # TYPE FILE
    case $1 in
    p256) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$2" ;;
    p384) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$2" ;;
    rsa*) openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:${1#rsa}" -out "$2" ;;
    ed25519) openssl genpkey -algorithm ED25519 -out "$2" ;;
    sm2) openssl genpkey -algorithm SM2 -out "$2" ;;
    esac 2>/dev/null
}
new_csr() { # TYPE KEY CSR
    local sm2=()
    [ "$1" != sm2 ] || sm2=(-sm3 -sigopt distid:1234567812345678)
    openssl req -new -key "$2" "${sm2[@]}" -subj "/O=Example Ltd/CN=www.example.cn" -out "$3"
}
verify() { # CA CERTIFICATE
    local sm2=()
    [ "$1" != sm2 ] || sm2=(-vfyopt distid:1234567812345678)
    openssl verify "${sm2[@]}" -CAfile "i/ca/$1.pem" "$2"
}

for type in p256 p384 rsa2048 rsa3072 rsa4096 ed25519 sm2; do
    new_key "$type" "$type.key"
    new_csr "$type" "$type.key" "$type.csr"
done

for type in p256 p384 rsa2048 rsa3072 rsa4096 ed25519 sm2; do
    profile=(--profile tls-server --dns www.example.cn)
    case $type in
    ed25519 | sm2) profile=(--profile enterprise --value uscc=91350100M000100Y43) ;;
    esac
    check "$type: issued" certmill issue --dir i "${profile[@]}" --ca "$type" --request-id \
        "end-to-end-request-$type" "$type.csr" --out "$type.pem"
    check "$type: openssl verifies it" verify "$type" "$type.pem"
    check "$type: openssl reads the same public key" cmp \
        <(openssl x509 -in "$type.pem" -noout -pubkey) <(openssl pkey -in "$type.key" -pubout)
    check "$type: certtool reads it" certtool --certificate-info --infile "$type.pem"
    case $type in
    sm2) ;; # GnuTLS 3.7 has no SM2: it reads the form, and cannot verify
    *) check "$type: certtool verifies it" certtool --verify --load-ca-certificate "i/ca/$type.pem" \
        --infile "$type.pem" ;;
    esac
    check "$type: asn1crypto reads it as strict DER" /usr/bin/python3 "$parse" "$type.pem" "i/ca/$type.pem"
    check "$type: asking again is the same certificate" certmill issue --dir i "${profile[@]}" \
        --ca "$type" --request-id "end-to-end-request-$type" "$type.csr" --out again.pem
    check "$type: byte for byte" cmp "$type.pem" again.pem
    serial=$(openssl x509 -in "$type.pem" -noout -serial)
    check "$type: found by serial number" certmill get --dir i "${serial#serial=}"
    check "$type: and it is the same" cmp "$type.pem" out
    check "$type: found by key" certmill find --dir i --pem --key "$type.csr"
    check "$type: and it is the same" cmp "$type.pem" out
done

refused "same id, other body" 1 IDEMPOTENCY_CONFLICT certmill issue --dir i --profile tls-server \
    --dns other.example.cn --request-id end-to-end-request-p256 p256.csr
check "found by holder" certmill find --dir i --identity uscc=91350100M000100Y43
check "both of them" test "$(wc -l <out)" -eq 2
check "found by time, as JSON" certmill find --dir i --from 2020-01-01 --json
check "well-formed JSON, all seven" python3 -c \
    'import json; assert len(json.load(open("out"))) == 7'
check "a dry run answers dates" certmill issue --dir i --profile tls-server --dry-run \
    --dns www.example.cn p256.csr
check "and keeps nothing" certmill find --dir i --from 2020-01-01
check "still seven" test "$(wc -l <out)" -eq 7

copies=()
for _ in $(seq 100); do copies+=(p256.csr); done
check "a hundred at once" certmill issue --dir i --profile tls-server --dns www.example.cn \
    "${copies[@]}" --out many.pem
check "all hundred" test "$(grep -c BEGIN many.pem)" -eq 100
check "CA information" certmill ca show p256 --dir i
check "is the root" cmp out i/ca/p256.pem
refused "no such CA" 1 ' nobody: CA_UNKNOWN' certmill ca show nobody --dir i
unknown=010101010101010101010101010101010101
refused "no such certificate" 1 " $unknown: NOT_FOUND" certmill get --dir i $unknown
check "statistics" certmill stats --dir i --json
check "in JSON" python3 -c 'import json; assert json.load(open("out"))["store.certificates"] == 107'
check "messages are counted" python3 -c 'import json; assert json.load(open("out"))["messages"] > 20'

elsewhere=CERTMILL_URL=ipc://$work/nowhere
check "--dir goes before CERTMILL_URL" env "$elsewhere" certmill health --dir i
refused "which is taken otherwise" 1 'nowhere: No such file' env "$elsewhere" certmill health
refused "what cannot be written was issued" 1 '--request-id end-to-end-request-out' certmill issue \
    --dir i --profile tls-server --dns www.example.cn --request-id end-to-end-request-out \
    --out nowhere/x.pem p256.csr
check "and is there under its id" certmill issue --dir i --profile tls-server \
    --dns www.example.cn --request-id end-to-end-request-out p256.csr
mkfifo pipe
(cat pipe >piped) &
check "what is no file is written into" certmill issue --dir i --profile tls-server \
    --dns www.example.cn --request-id end-to-end-request-out --out pipe p256.csr
wait $!
check "whole" openssl verify -CAfile i/ca/p256.pem piped
check "and stays what it is" test -p pipe
(cat pipe >piped) &
check "by a list, too" certmill crl export --dir i --ca p256 --out pipe
wait $!
check "whole" cmp piped i/crl/p256.crl
check "and stays what it is" test -p pipe
refused "whom to trust is not there" 1 'nobody.pem: No such file' certmill health \
    --url tls+tcp://127.0.0.1:1 --tls-ca nobody.pem
refused "a full disk behind a pipe" 1 'No space' sh -c 'certmill find --dir i --from 2020-01-01 >/dev/full'

check "SIGTERM: exit 0" stop
start i
check "after a restart it is still there" certmill get --dir i "${serial#serial=}"
check "byte for byte" cmp sm2.pem out
check "SIGTERM: exit 0" stop
finish
