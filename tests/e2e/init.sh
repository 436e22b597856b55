#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# init: complete or not at all; an outer root's answer is checked before it is installed.
. "$(dirname "$0")/lib.sh"

init=(certmill init --passphrase-file pass)
check "an instance" "${init[@]}" i
check "its keys are closed to others" test "$(stat -c %a i/keys i/keys/*.key | xargs)" = \
    "700 600 600"
check "openssl reads the audit log's public key" openssl pkey -pubin -in i/audit.pem -noout -text
check "of type Ed25519" grep -q ED25519 out
refused "an existing instance" 1 'File exists' "${init[@]}" i
mkdir empty
check "an empty folder is as good as none" "${init[@]}" empty
mkdir full && touch full/x
refused "a folder with something in it" 1 'File exists' "${init[@]}" full
check "is left alone" test "$(ls -A full)" = x
refused "a folder that cannot be made" 1 'No such file' "${init[@]}" no/such/place
(umask 077 && echo short >short && : >none)
refused "a short passphrase" 1 'at least 8' certmill init --passphrase-file short j
refused "an empty passphrase" 1 'passphrase' certmill init --passphrase-file none j
refused "no passphrase file" 1 'passphrase' certmill init --passphrase-file nowhere j
refused "a file size limit in the middle" 1 'init: |exceeded' bash -c \
    'trap "" XFSZ; ulimit -f 8; certmill init --passphrase-file pass j'
check "leaves nothing" test -z "$(ls -d j* 2>/dev/null)"
check "passphrase from a descriptor" certmill init --passphrase-fd 5 fd 5<pass

refused "no folder" 2 'one folder' certmill init
refused "unknown key type" 2 'NAME=TYPE' "${init[@]}" --ca a=rsa:1024 j
refused "twice the same CA" 2 'twice' "${init[@]}" --ca a=p256 --ca a=sm2 j
refused "the name of the audit log's key" 2 'no CA is called audit' "${init[@]}" --ca audit=p256 j
refused "a path for a name" 2 'NAME=TYPE' "${init[@]}" --ca ../a=p256 j
refused "unknown attribute" 2 'known attributes' "${init[@]}" --subject "XY=1" j
refused "one CN for several CAs" 2 'leave CN out' "${init[@]}" --ca a=p256 --ca b=p256 \
    --subject "CN=x" j
refused "instance out of range" 2 '1 to 127' "${init[@]}" --instance 128 j
check "leaves nothing" test -z "$(ls -d j* 2>/dev/null)"

# An outer root, played by openssl.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -days 3650 \
    -subj "/CN=Outer Root" -addext "keyUsage=critical,keyCertSign" -out root.pem 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout bad.key -days 3650 \
    -subj "/CN=Outer Root" -addext "keyUsage=critical,keyCertSign" -out bad.pem 2>/dev/null
sign() { # OUT EXTENSIONS DAYS...
    printf '%s\n' "$2" >ext
    openssl x509 -req -in r/ca/sub.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile ext \
        -out "$1" "${@:3}" 2>/dev/null
}
good='basicConstraints=critical,CA:true,pathlen:0
keyUsage=critical,keyCertSign,cRLSign'

check "an instance that asks an outer root" "${init[@]}" --request --ca sub=p256 \
    --subject "C=CN,O=Example,CN=Example Issuing CA" r
check "openssl verifies its request" openssl req -in r/ca/sub.csr -noout -verify
refused "without an answer it is not usable" 2 'not there yet; certmill ca import' \
    certmilld --config r/certmill.conf --check
sign sub.pem "$good" -days 1000
sign leaf.pem 'basicConstraints=critical,CA:false' -days 1000
sign nosign.pem 'basicConstraints=critical,CA:true
keyUsage=critical,cRLSign' -days 1000
sign odd.pem "$good
1.2.3.4=critical,DER:0500" -days 1000
sign old.pem "$good" -days -1
cat sub.pem root.pem >chain.pem

import=(certmill ca import r sub)
refused "the root is missing" 1 'not a self-signed root' "${import[@]}" sub.pem
cat sub.pem bad.pem >c1
refused "another root of the same name" 1 'certificate 1: signature does not verify' \
    "${import[@]}" c1
cat root.pem sub.pem >c2
refused "in the wrong order" 1 'not the key of the request' "${import[@]}" c2
cat leaf.pem root.pem >c3
refused "not a CA" 1 'certificate 1: not a CA' "${import[@]}" c3
cat nosign.pem root.pem >c4
refused "may not sign certificates" 1 'keyCertSign' "${import[@]}" c4
cat odd.pem root.pem >c5
refused "an unknown critical extension" 1 'critical' "${import[@]}" c5
cat old.pem root.pem >c6
refused "expired" 1 'expired|certificate 1' "${import[@]}" c6
refused "a request in place of certificates" 1 'another kind' "${import[@]}" r/ca/sub.csr
refused "no certificate at all" 1 'no certificate' "${import[@]}" pass
refused "no such CA" 1 'nobody.csr' certmill ca import r nobody chain.pem
check "nothing was installed" test ! -e r/ca/sub.pem
check "the answer" "${import[@]}" chain.pem
check "now it is usable" certmilld --config r/certmill.conf --check

start r
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.key \
    -subj "/CN=www.example.cn" -out k.csr 2>/dev/null
check "it issues" certmill issue --dir r --profile tls-server --dns www.example.cn k.csr --out k.pem
check "openssl verifies up to the outer root" openssl verify -CAfile root.pem -untrusted sub.pem \
    k.pem
check "SIGTERM: exit 0" stop
finish
