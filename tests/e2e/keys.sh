#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# keys: keys in files and in a SoftHSM token, from key new to certificates; dual control.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/token.sh"

here=$2/tests/e2e
secret() { (umask 077 && printf '%s\n' "$2" >"$1"); }
secret alice 'the half of Alice'
secret bob 'the half of Bob'
secret next 'the next passphrase'
quick=(--passes 2 --memory-mib 64)
both=(--passphrase-file alice --passphrase-file bob)
pkcs11=(--module "$module" --pin-file pin)

# sha256_of CERTIFICATE: of its SubjectPublicKeyInfo, by openssl.
sha256_of() {
    openssl x509 -in "$1" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1
}
request() { # NAME: a request of an end entity
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" \
        -subj "/CN=$1.example.cn" -addext "subjectAltName=DNS:$1.example.cn" -out "$1.csr" 2>/dev/null
}

# ---- files
for type in p256 p384 ed25519 sm2 rsa:2048; do
    check "a key in a file: $type" certmill key new --type $type "${quick[@]}" --passphrase-file pass \
        "$type.key"
    check "its type is told" grep -qx "type	$type" out
    cp out "$type.out"
    check "it signs" certmill key test --passphrase-file pass --count 3 "$type.key"
    check "and says so" grep -q "3 signatures verified" out
done
check "closed to others" test "$(stat -c %a p256.key)" = 600
refused "a file that is there" 1 'File exists' certmill key new --type p256 --passphrase-file pass p256.key
refused "no type" 2 'needs --type' certmill key new x.key
refused "an unknown type" 2 'takes p256' certmill key new --type p521 x.key
refused "a short passphrase" 1 'at least 8' certmill key new --type p256 \
    --passphrase-fd 5 x.key 5<<<short
refused "a short half" 1 'at least 8 characters in each half' certmill key new --type p256 \
    --passphrase-file pass --passphrase-fd 5 x.key 5<<<short
refused "a wrong passphrase" 1 'wrong passphrase' certmill key test --passphrase-file wrong p256.key
refused "no file" 1 'no such' certmill key test --passphrase-file pass nowhere.key
check "how it is sealed" certmill key list p256.key
check "is told without a passphrase" grep -q 'one passphrase, Argon2id: 2 passes, 64 MiB' out
refused "what is no key" 1 'pass: not a sealed key' certmill key list pass

check "an instance with a key that was there" certmill init --key main=p256.key --passphrase-file pass i
check "the certificate is that key's" test "$(sha256_of i/ca/main.pem)" = \
    "$(sed -n 's/^sha256\t//p' p256.out)"
check "its parameters stay" sh -c 'certmill key list i/keys/main.key | grep -q "2 passes, 64 MiB"'
check "list of an instance" certmill key list i
check "says the same digest" grep -q "sha256=$(sha256_of i/ca/main.pem)" out
check "and that it did not look" grep -q 'not checked' out
check "list with a look" certmill key list --check --passphrase-file pass i
check "it fits" grep -q 'fits its certificate' out
check "in JSON" certmill key list --check --passphrase-file pass --json i p384.key
check "the same, and how a file is sealed" python3 - "$(sha256_of i/ca/main.pem)" <<'PYTHON'
import json, sys
main, file = json.load(open("out"))
assert (main["ca"], main["type"], main["sha256"], main["fits"]) == ("main", "p256", sys.argv[1], True), main
assert main["place"].endswith("i/keys/main.key") and main["passes"] == 2 and "opened" not in main, main
assert file == {"place": "p384.key", "dual_control": False, "passes": 2, "memory_mib": 64}, file
PYTHON
check "test of an instance" certmill key test --passphrase-file pass i main
check "in JSON" certmill key test --passphrase-file pass --count 3 --json i main
check "with times in order" python3 - "$(sha256_of i/ca/main.pem)" <<'PYTHON'
import json, sys
[key] = json.load(open("out"))
assert (key["ca"], key["sha256"], key["fits"], key["signs"]) == ("main", sys.argv[1], True, True), key
assert key["signatures"] == 3 and 0 < key["min_us"] <= key["median_us"] <= key["max_us"], key
PYTHON
check "of a file" certmill key test --passphrase-file pass --json p384.key
check "which is no certificate's" python3 -c \
    'import json; [key] = json.load(open("out")); assert key["type"] == "p384" and "fits" not in key and "ca" not in key'
check "one that is not opened, too" bash -c '! certmill key test --passphrase-file wrong --json p384.key >out &&
    python3 -c "import json; assert json.load(open(\"out\")) == [{\"place\": \"p384.key\", \"opened\": False}]"'
refused "no such CA" 1 'no such CA' certmill key test --passphrase-file pass i other
refused "the key of another certificate" 1 'not the key of the certificate' certmill key test \
    --passphrase-file pass --certificate i/ca/main.pem p384.key
cp i/keys/main.key kept
certmill key new --type p256 "${quick[@]}" --passphrase-file pass another.key >/dev/null
cp another.key i/keys/main.key
refused "list notices another key" 1 'not the key of the certificate' certmill key list --check \
    --passphrase-file pass i
check "in its line" sh -c 'certmill key list --check --passphrase-file pass i | grep -q "DOES NOT FIT"'
check "and in JSON" sh -c 'certmill key list --check --passphrase-file pass --json i | grep -q "\"fits\": false"'
cp kept i/keys/main.key
(umask 077 && echo "not this one" >other)
check "list does not blame a key it could not open" sh -c \
    'certmill key list --check --passphrase-file other i | grep -q "not opened"'
check "nor in JSON" sh -c 'certmill key list --check --passphrase-file other --json i |
    grep "\"opened\": false" | grep -qv fits'
check "without a look it says neither" sh -c 'certmill key list --json i | grep "\"ca\": \"main\"" |
    grep -qv "fits\|opened"'
check "what is no key is none in JSON" sh -c 'certmill key list --json pass | grep -q "\"readable\": false"'
refused "a passphrase that is not there is missed once" 1 '^passphrase: nowhere: no such file$' \
    certmill key test --passphrase-file nowhere i
check "and once only" test "$(wc -l <err)" -eq 1
refused "a key that is not there" 1 'nowhere.key: no such file' certmill key list nowhere.key
refused "nobody to ask" 1 'no terminal' setsid certmill key test i

# ---- another passphrase, dual control
check "two halves from now on" certmill key rewrap --passphrase-file pass --new-passphrase-file alice \
    --new-passphrase-file bob "${quick[@]}" i/keys/main.key
check "list says it" sh -c 'certmill key list i/keys/main.key | grep -q "dual control"'
check "the file stays closed" test "$(stat -c %a i/keys/main.key)" = 600
constant='i/keys/main.key: wrong passphrase, or the sealed key was altered'
for wrong in 'pass' 'alice' 'bob' 'bob alice' 'alice alice' 'alice wrong'; do
    options=()
    for half in $wrong; do options+=(--passphrase-file "$half"); done
    refused "halves: $wrong" 1 "$constant\$" certmill key test "${options[@]}" i main
    refused "daemon with: $wrong" 1 "$constant\$" certmilld --config i/certmill.conf "${options[@]}"
done
refused "three halves" 2 'two sources at most' certmilld --config i/certmill.conf "${both[@]}" \
    --passphrase-file pass
refused "equal halves" 1 'must differ' certmill key new --type p256 --passphrase-file alice \
    --passphrase-file alice x.key
refused "dual with one half" 2 'two sources' certmill key new --type p256 --dual \
    --passphrase-file alice x.key
check "nothing was made" test ! -e x.key
check "both halves" certmill key test "${both[@]}" i main
check "from one descriptor, line by line" bash -c \
    'cat alice bob | certmill key test --passphrase-fd 0 --passphrase-fd 0 i main'
before=$(sha256sum i/keys/main.key)
refused "a rewrap with a wrong half" 1 'wrong passphrase' certmill key rewrap --passphrase-file alice \
    --passphrase-file wrong --new-passphrase-file next i/keys/main.key
refused "a rewrap to a full file" 1 'main.key: ' bash -c '(ulimit -f 0; certmill key rewrap \
    --passphrase-file alice --passphrase-file bob --new-passphrase-file next i/keys/main.key) 2>&1 |
    cat >&2; exit "${PIPESTATUS[0]}"'
refused "both new and old" 2 'exclude' certmill key rewrap --keep-passphrase --new-passphrase-file next \
    i/keys/main.key
check "the file is as it was" test "$(sha256sum i/keys/main.key)" = "$before"
check "and alone" test "$(ls -A i/keys | xargs)" = "audit.key main.key"
refused "one passphrase for all of them" 1 'i/keys/audit.key: wrong passphrase' certmilld \
    --config i/certmill.conf "${both[@]}"
check "the audit log's key as well" certmill key rewrap --passphrase-file pass \
    --new-passphrase-file alice --new-passphrase-file bob "${quick[@]}" i/keys/audit.key
start i "${both[@]}"
request www
check "the daemon issues" certmill issue --dir i --profile tls-server www.csr --out www.pem
check "openssl accepts it" openssl verify -CAfile i/ca/main.pem www.pem
check "the end" stop
check "other parameters" certmill key rewrap --keep-passphrase --passes 3 --memory-mib 64 "${both[@]}" \
    i/keys/main.key
check "are told" sh -c 'certmill key list i/keys/main.key | grep -q "dual control.*3 passes"'
check "one passphrase again" certmill key rewrap "${both[@]}" --new-passphrase-file next "${quick[@]}" \
    i/keys/main.key
check "it opens with that" certmill key test --passphrase-file next i
refused "and with the halves no more" 1 'wrong passphrase' certmill key test "${both[@]}" i
check "an instance under dual control" certmill init --dual "${both[@]}" d
check "its key says so" sh -c 'certmill key list d | grep -q "dual control"'
refused "a token's PIN is the token's" 2 'own tools' certmill key rewrap 'pkcs11:token=hsm;object=x'

# answer COMMAND...: at a terminal, whatever is asked, with the answers; what the screen showed.
answer() { python3 "$here/terminal.py" "$@"; }
check "halves are asked for by name, twice each" answer 'the half of Alice' 'the half of Alice' \
    'the half of Bob' 'the half of Bob' -- certmill key new --type p256 "${quick[@]}" --dual \
    --custodian Alice --custodian Bob asked.key
check "the custodians see who is meant" grep -q 'first half (Alice): ' out
check "both of them" grep -q 'second half (Bob): ' out
check "nothing typed is on the screen" sh -c '! grep -q "half of" out'
check "the key takes the same halves from files" certmill key test "${both[@]}" asked.key
check "asked for as the file needs it" answer 'the half of Alice' 'the half of Bob' -- \
    certmill key test asked.key
check "a half and the other one, swapped" sh -c '! python3 "$0/terminal.py" "the half of Bob" \
    "the half of Alice" -- certmill key test asked.key' "$here"

# ---- a token
for type in p256 p384 ed25519 rsa:2048; do
    uri="pkcs11:token=hsm;object=ca-${type/:/-}"
    check "a key in a token: $type" certmill key new --type $type "${pkcs11[@]}" "$uri"
    check "its URI finds it" certmill key test "${pkcs11[@]}" "$(sed -n 's/^key\t//p' out)"
done
refused "the same label again" 1 'object of this label' certmill key new --type p256 "${pkcs11[@]}" \
    'pkcs11:token=hsm;object=ca-p256'
check "an id of its own" certmill key new --type p256 "${pkcs11[@]}" 'pkcs11:token=hsm;object=own;id=%2a'
check "is in the URI" grep -q 'id=%2[aA]' out
refused "the same id again" 1 'object of this id' certmill key new --type p256 "${pkcs11[@]}" \
    'pkcs11:token=hsm;object=other;id=%2a'
refused "SM2" 1 'no mechanism for SM2' certmill key new --type sm2 "${pkcs11[@]}" \
    'pkcs11:token=hsm;object=sm2'
refused "no name" 1 'names it' certmill key new --type p256 "${pkcs11[@]}" 'pkcs11:token=hsm'
refused "a PIN in the URI" 1 'settings of their own' certmill key new --type p256 "${pkcs11[@]}" \
    'pkcs11:token=hsm;object=x?pin-value=1'
refused "no module" 2 'needs --module' certmill key list 'pkcs11:token=hsm'
refused "a wrong PIN" 1 'refused the login' certmill key list --module "$module" --pin-file wrong.pin \
    'pkcs11:token=hsm'
check "list of a token" certmill key list "${pkcs11[@]}" 'pkcs11:token=hsm'
check "five keys, none leaves" test "$(grep -c 'sensitive, never leaves$' out)" = 5
check "in JSON" certmill key list "${pkcs11[@]}" --json 'pkcs11:token=hsm'
check "the same" python3 -c 'import json; keys = json.load(open("out")); assert len(keys) == 5 and all(
    key["sensitive"] and not key["extractable"] and key["place"].startswith("pkcs11:") for key in keys), keys'
check "pkcs11-tool or not: no PIN in it" sh -c '! grep -q 47110815 out'

check "a root in a token, all by certmill" certmill init --key main='pkcs11:token=hsm;object=ca-p384' \
    --key rsa='pkcs11:token=hsm;object=ca-rsa-2048' --key ed='pkcs11:token=hsm;object=ca-ed25519' \
    "${pkcs11[@]}" t
check "no sealed key" test -z "$(ls -A t/keys)"
check "nor one for the audit log" test ! -e t/audit.pem
check "list with a look" certmill key list --check t
check "all fit" test "$(grep -c 'fits its certificate' out)" = 3
check "in JSON" certmill key list --check --json t
check "with their module" test "$(grep -c '"module": .*"fits": true' out)" = 3
check "test" certmill key test --count 3 t
start t
request token
for ca in main rsa ed; do
    check "$ca issues" certmill issue --dir t --profile tls-server --ca $ca token.csr --out "$ca.pem"
    check "openssl accepts it" openssl verify -CAfile "t/ca/$ca.pem" "$ca.pem"
done
check "the end" stop
check "and one whose audit log has a key" certmill init --key main='pkcs11:token=hsm;object=ca-p384' \
    "${pkcs11[@]}" --passphrase-file pass u
check "is a file" test "$(ls -A u/keys)" = audit.key
start u
check "heads are signed" certmill audit verify --dir u --audit-key u/audit.pem
check "one at the start" grep -qx 'signed heads	[1-9]' out
check "the end" stop
check "a request for an outer root" certmill init --request --key sub='pkcs11:token=hsm;object=ca-p256' \
    "${pkcs11[@]}" --subject "C=CN,O=Example,CN=Example Issuing CA" r
check "openssl verifies it" openssl req -in r/ca/sub.csr -noout -verify
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -days 3650 \
    -subj "/CN=Outer Root" -addext "keyUsage=critical,keyCertSign" -out root.pem 2>/dev/null
printf '%s\n' 'basicConstraints=critical,CA:true,pathlen:0' 'keyUsage=critical,keyCertSign,cRLSign' >ext
openssl x509 -req -in r/ca/sub.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile ext \
    -days 1000 2>/dev/null | cat - root.pem >chain.pem
check "its answer" certmill ca import r sub chain.pem
check "the key is the certificate's" certmill key list --check r
refused "no such key" 1 'no such private key' certmill init --key main='pkcs11:token=hsm;object=none' \
    "${pkcs11[@]}" n
refused "no module" 2 'needs --module' certmill init --key main='pkcs11:token=hsm;object=own' n
check "leaves nothing" test ! -e n
finish
