#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make_good_csrs: requests of every kind taken, made by the openssl command with new keys.
# Columns: name, key type, bits, number of requested extensions, DER in hexadecimal.
set -euo pipefail
out=$(dirname "$0")/good_csrs.tsv
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
san='subjectAltName=DNS:www.example.org,DNS:*.example.net,IP:192.0.2.7,IP:2001:db8::1,email:a@example.org'
long='/C=CN/ST=Beijing/L=Beijing/O=Example Works/OU=Line 1/CN=www.example.org/serialNumber=0042/emailAddress=a@example.org'

# row NAME KEY-TYPE BITS EXTENSIONS KEY-ARGUMENTS -- REQUEST-ARGUMENTS
row() {
    local name=$1 type=$2 bits=$3 extensions=$4 key_args=()
    shift 4
    while [ "$1" != -- ]; do
        key_args+=("$1")
        shift
    done
    shift
    openssl genpkey "${key_args[@]}" -out "$tmp/key.pem" 2>/dev/null
    openssl req -new -utf8 -key "$tmp/key.pem" -outform DER -out "$tmp/csr.der" "$@"
    printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$type" "$bits" "$extensions" \
        "$(od -An -v -tx1 "$tmp/csr.der" | tr -d ' \n')" >>"$out"
}

: >"$out"
ec=(-algorithm EC -pkeyopt)
rsa=(-algorithm RSA -pkeyopt)
pss=(-sigopt rsa_padding_mode:pss -sigopt)
row p256 p256 256 0 "${ec[@]}" ec_paramgen_curve:P-256 -- -sha256 -subj '/CN=www.example.org'
row p256_full p256 256 2 "${ec[@]}" ec_paramgen_curve:P-256 -- -sha256 -subj "$long" \
    -addext "$san" -addext 'keyUsage=critical,digitalSignature'
row p256_utf8 p256 256 0 "${ec[@]}" ec_paramgen_curve:P-256 -- -sha256 \
    -subj '/C=CN/O=北京示例科技有限公司/CN=示例'
row p256_sha512 p256 256 0 "${ec[@]}" ec_paramgen_curve:P-256 -- -sha512 -subj '/CN=a'
row p256_no_subject p256 256 1 "${ec[@]}" ec_paramgen_curve:P-256 -- -sha256 -subj / -addext "$san"
row p384 p384 384 1 "${ec[@]}" ec_paramgen_curve:P-384 -- -sha384 -subj '/CN=b' -addext "$san"
row p384_sha256 p384 384 0 "${ec[@]}" ec_paramgen_curve:P-384 -- -sha256 -subj '/CN=b'
row rsa2048 rsa 2048 1 "${rsa[@]}" rsa_keygen_bits:2048 -- -sha256 -subj "$long" -addext "$san"
row rsa3072_sha384 rsa 3072 0 "${rsa[@]}" rsa_keygen_bits:3072 -- -sha384 -subj '/CN=c'
row rsa4096_sha512 rsa 4096 0 "${rsa[@]}" rsa_keygen_bits:4096 -- -sha512 -subj '/CN=c'
row rsa_pss rsa 2048 0 "${rsa[@]}" rsa_keygen_bits:2048 -- -sha256 -subj '/CN=d' \
    "${pss[@]}" rsa_pss_saltlen:32
row rsa_pss_sha384 rsa 2048 0 "${rsa[@]}" rsa_keygen_bits:2048 -- -sha384 -subj '/CN=d' \
    "${pss[@]}" rsa_pss_saltlen:48
row rsa_pss_sha512 rsa 2048 0 "${rsa[@]}" rsa_keygen_bits:2048 -- -sha512 -subj '/CN=d' \
    "${pss[@]}" rsa_pss_saltlen:64
row ed25519 ed25519 256 0 -algorithm ED25519 -- -subj '/CN=e'
row sm2 sm2 256 0 -algorithm EC -pkeyopt ec_paramgen_curve:SM2 -- -sm3 -subj '/CN=f' \
    -sigopt distid:1234567812345678
row sm2_full sm2 256 1 -algorithm EC -pkeyopt ec_paramgen_curve:SM2 -- -sm3 -subj "$long" \
    -addext "$san" -sigopt distid:1234567812345678
