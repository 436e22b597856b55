#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# crl_readers: lists of every kind are read and verified by OpenSSL, GnuTLS, asn1crypto and ours.
#
#   crl_readers.sh MAKE_CRLS CERTMILL
set -euo pipefail
make_crls=$1 certmill=$2
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

complain() {
    echo "crl_readers: $1"
    bad=1
}

# What OpenSSL reads, and its verdict. SM2 has no option for its identity here: crl_read.py does that.
openssl_reads() {
    local kind=$1 file=$2 count=$3 text
    text=$(openssl crl -inform DER -in "$file" -noout -text)
    [ "$(grep -c 'Serial Number:' <<<"$text")" = "$count" ] || complain "$file: openssl counts otherwise"
    grep -q 'X509v3 CRL Number' <<<"$text" || complain "$file: openssl sees no number"
    [ "$kind" != sm2 ] || return 0
    openssl x509 -inform DER -in "$dir/$kind.crt" -out "$dir/$kind.pem"
    openssl crl -inform DER -in "$file" -noout -verify -CAfile "$dir/$kind.pem" 2>&1 |
        grep -q 'verify OK' || complain "$file: openssl does not verify it"
}

# certtool takes minutes to print 100 000 entries, which it does for --verify-crl too.
gnutls_reads() {
    local kind=$1 name=$2 file=$3 count=$4
    [ "$kind" != sm2 ] && [ "$name" != large ] || return 0 # GnuTLS has no SM2
    openssl crl -inform DER -in "$file" -out "$dir/list.pem"
    certtool --verify-crl --load-ca-certificate "$dir/$kind.pem" --infile "$dir/list.pem" \
        >"$dir/text" 2>&1 || complain "$file: certtool refuses it"
    grep -q 'Verification output: Verified' "$dir/text" || complain "$file: certtool does not verify it"
    [ "$(grep -c 'Serial Number (hex)' "$dir/text")" = "$count" ] ||
        complain "$file: certtool counts otherwise"
}

ours_reads() {
    local kind=$1 file=$2 out
    out=$("$certmill" crl verify "$file" --issuer "$dir/$kind.crt") ||
        complain "$file: certmill does not verify it: $out"
    "$certmill" crl show --json "$file" >/dev/null || complain "$file: certmill does not show it"
}

"$make_crls" "$dir" "$(date +%s)" >"$dir/lists"
[ "$(stat -c %s "$dir/p256.large.crl")" -gt 5000000 ] || complain 'the large list is not large'
while IFS=$'\t' read -r kind name count; do
    file=$dir/$kind.$name.crl
    openssl_reads "$kind" "$file" "$count"
    gnutls_reads "$kind" "$name" "$file" "$count"
    /usr/bin/python3 "$here/crl_read.py" "$dir/$kind.crt" "$file" "$count" || complain "$file: asn1crypto"
    ours_reads "$kind" "$file"
done <"$dir/lists"
exit $bad
