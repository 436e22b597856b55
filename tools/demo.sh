#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# demo: from nothing to certificates that openssl accepts, in a folder of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
build=$root/build/release
demo=$root/build/demo
daemon=

say() {
    printf '\n== %s\n' "$*"
}
# The command is shown as a reader would type it, then run.
run() {
    local word line=
    for word in "$@"; do
        case $word in
        *' '*) word="\"$word\"" ;;
        esac
        line="$line $word"
    done
    printf '   $%s\n' "$line"
    "$@"
}
stop() {
    [ -z "$daemon" ] || kill -TERM "$daemon" 2>/dev/null || true
}
trap stop EXIT

say "Packages and build"
tools/deps.sh
mkdir -p build
if ! { cmake --preset release && cmake --build --preset release --target certmill certmilld; } \
    >build/demo-build.log 2>&1; then
    tail -n 30 build/demo-build.log
    exit 1
fi
echo "   built certmill and certmilld"
export PATH=$build:$PATH

rm -rf "$demo"
mkdir -p "$demo"
cd "$demo"
(umask 077 && openssl rand -hex 16 >passphrase)

say "A CA instance with three roots: P-256, RSA and SM2"
run certmill init instance --subject "C=CN,O=Example" \
    --ca demo-p256=p256 --ca demo-rsa=rsa:2048 --ca demo-sm2=sm2 --passphrase-file passphrase

say "The daemon"
mkfifo ready
echo "   $ certmilld --config instance/certmill.conf --passphrase-file passphrase &"
certmilld --config instance/certmill.conf --passphrase-file passphrase --ready-fd 9 \
    9>ready >/dev/null 2>daemon.log &
daemon=$!
# If it ends instead, read does so too; the minute is for one that hangs.
read -r -t 60 _ <ready || {
    cat daemon.log
    exit 1
}
sed 's/^/   /' daemon.log

say "Requests, made by openssl"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key 2>/dev/null
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key 2>/dev/null
openssl genpkey -algorithm SM2 -out sm2.key 2>/dev/null
run openssl req -new -key p256.key -subj "/CN=www.example.cn" \
    -addext "subjectAltName=DNS:www.example.cn" -out p256.csr
run openssl req -new -key rsa.key -subj "/CN=mail.example.cn" \
    -addext "subjectAltName=DNS:mail.example.cn" -out rsa.csr
# SM2 requests carry the identity that GM/T 0009 names; openssl's own default is the empty one.
run openssl req -new -key sm2.key -sm3 -sigopt distid:1234567812345678 \
    -subj "/C=CN/O=Example Ltd/CN=Example Ltd" -out sm2.csr

say "Certificates, over RPC"
export CERTMILL_URL=ipc://$demo/instance/certmill.sock
run certmill issue --profile tls-server --ca demo-p256 p256.csr --out p256.pem
run certmill issue --profile tls-server --ca demo-rsa rsa.csr --out rsa.pem
run certmill issue --profile enterprise --ca demo-sm2 --value uscc=91350100M000100Y43 \
    sm2.csr --out sm2.pem

say "Would anyone else accept them?"
run openssl verify -CAfile instance/ca/demo-p256.pem p256.pem
run openssl verify -CAfile instance/ca/demo-rsa.pem rsa.pem
run openssl verify -vfyopt distid:1234567812345678 -CAfile instance/ca/demo-sm2.pem sm2.pem

say "One of them"
run openssl x509 -in sm2.pem -noout -text -certopt no_pubkey,no_sigdump

say "A renewal: a new key, and a life that goes on from the old end"
serial_of() { openssl x509 -in "$1" -noout -serial | cut -d= -f2 | tr A-F a-f; }
openssl genpkey -algorithm SM2 -out sm2-new.key 2>/dev/null
run openssl req -new -key sm2-new.key -sm3 -sigopt distid:1234567812345678 \
    -subj "/C=CN/O=Example Ltd/CN=Example Ltd" -out sm2-new.csr
run certmill renew --profile enterprise --ca demo-sm2 --predecessor "$(serial_of sm2.pem)" \
    --value uscc=91350100M000100Y43 sm2-new.csr --out sm2-new.pem
run openssl x509 -in sm2.pem -noout -enddate
run openssl x509 -in sm2-new.pem -noout -startdate -enddate

say "A revocation, and the CRL that has it"
run certmill revoke --reason keyCompromise "$(serial_of rsa.pem)"
run certmill crl make --ca demo-rsa
run certmill crl export --ca demo-rsa --pem --out rsa-crl.pem
run openssl crl -in rsa-crl.pem -noout -text
echo "   $ openssl verify -crl_check -CAfile instance/ca/demo-rsa.pem -CRLfile rsa-crl.pem rsa.pem"
if openssl verify -crl_check -CAfile instance/ca/demo-rsa.pem -CRLfile rsa-crl.pem rsa.pem \
    >verdict 2>&1 || ! grep -q 'certificate revoked' verdict; then
    cat verdict
    exit 1
fi
sed 's/^/   /' verdict

say "What the CA knows"
run certmill find --from "$(date -u +%F)"
run certmill health

say "Stop: everything answered is on disk"
kill -TERM "$daemon"
if ! wait "$daemon"; then
    cat daemon.log
    exit 1
fi
daemon=
tail -n 1 daemon.log | sed 's/^/   /'

cat <<END

It works. To go on in build/demo, with build/release in your PATH:

   cd build/demo && export PATH=\$PWD/../release:\$PATH
   certmilld --config instance/certmill.conf --passphrase-file passphrase &
   certmill issue --dir instance --profile tls-server --dns a.example.cn p256.csr
   certmill find --dir instance --key p256.csr --json
   certmill crl list --dir instance
   certmill help

Settings: build/demo/instance/certmill.conf and docs/CONFIG.md. Profiles: docs/PROFILES.md.
END
