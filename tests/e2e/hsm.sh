#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# hsm: a CA whose key is in a SoftHSM token, from its set-up (docs/HSM.md) to a certificate.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/token.sh"

# root NAME: a key in the token and its certificate.
root() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.p8" 2>/dev/null
    openssl req -x509 -new -key "$1.p8" -subj "/CN=Root in a token" -days 3650 -out "$1.pem" \
        -addext basicConstraints=critical,CA:true,pathlen:0 \
        -addext keyUsage=critical,keyCertSign,cRLSign
    softhsm2-util --import "$1.p8" --token hsm --label "$1" --id "$2" --pin 47110815 >/dev/null
}
root good 01
root evil 02
certmill init i --ca main=p256 --passphrase-file pass >/dev/null
cp good.pem i/ca/main.pem
cp i/certmill.conf before

# with KEY PIN-FILE: the CA's key is this one, and there is no other: nobody is asked for a passphrase.
with() {
    sed -e "s|key = \"keys/main.key\";|key = \"$1\"; module = \"$module\"; pin_file = \"../$2\";|" \
        -e '/^audit = {/,/^};/d' before >i/certmill.conf
}
run=(certmilld --config i/certmill.conf)
with "pkcs11:token=hsm;object=evil" pin
check "the configuration is good" "${run[@]}" --check
refused "a key that is not the certificate's" 1 'not the key of the certificate' "${run[@]}"
with "pkcs11:token=hsm;object=nobody" pin
refused "no such key" 1 'no such private key' "${run[@]}"
with "pkcs11:token=elsewhere;object=good" pin
refused "no such token" 1 'no token fits' "${run[@]}"
with "pkcs11:token=hsm;object=good" wrong.pin
refused "a wrong PIN" 1 'refused the login' "${run[@]}"
chmod 644 wrong.pin
refused "a PIN file open to others" 1 'pin_file: ' "${run[@]}"

with "pkcs11:token=hsm;object=good" pin
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.key \
    -subj "/CN=www.example.cn" -addext "subjectAltName=DNS:www.example.cn" -out k.csr 2>/dev/null
start i
check "a certificate" certmill issue --dir i --profile tls-server k.csr --out k.pem
check "openssl accepts it" openssl verify -CAfile good.pem k.pem
check "revoked" certmill revoke --dir i --reason superseded \
    "$(openssl x509 -in k.pem -noout -serial | cut -d= -f2)"
check "a list signed in the token" certmill crl make --dir i
check "openssl verifies it" sh -c \
    'openssl crl -inform DER -in i/crl/main.crl -noout -verify -CAfile good.pem 2>&1 | grep -q "verify OK"'
check "and sees what is revoked" sh -c \
    'openssl crl -inform DER -in i/crl/main.crl -noout -text | grep -q "Serial Number:"'
check "the end" stop
check "no PIN in the log" sh -c '! grep -q 47110815 daemon.log'
finish
