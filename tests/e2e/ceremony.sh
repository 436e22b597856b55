#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ceremony: a key in a file under dual control, one in a token, a request; what the transcript holds.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/token.sh"
here=$2/tests/e2e
ceremony=$2/tools/ceremony.sh

(umask 077 && echo 'the half of Alice' >alice && echo 'the half of Bob' >bob && echo short >short)
mkdir needles
cp alice needles/alice.text
cp bob needles/bob.text
cp pin needles/pin.text
people='purpose=Example Root
place=Room 7
operator=Olga
witnesses=Wei, Walter'
answers() { printf '%s\n' "$people" "$@"; }
answers where=file custodian_1=Alice custodian_2=Bob ca=root type=p256 \
    subject=C=CN,O=Example,CN=Example_Root result=root years=20 passphrase_1=alice \
    passphrase_2=bob >file.answers

# sum FOLDER: of the transcript.
sum() { sha256sum "$1/transcript.txt" | cut -d' ' -f1; }
said() { grep -qF -- "$2" "$1/transcript.txt"; }

check "a root under dual control" "$ceremony" --answers file.answers soft
check "the digest to be signed is the transcript's" grep -qx "sha256	$(sum soft)" out
check "in groups, to be read aloud" grep -q "^    $(sum soft | cut -c1-4) $(sum soft | cut -c5-8) " out
check "with a line for each" test "$(grep -c '__________  ' out)" = 4
for text in 'Olga' 'Alice (first half), Bob (second half)' 'Wei, Walter' 'Room 7' 'Example Root' \
    "$(sha256sum "$(command -v certmill)" | cut -d' ' -f1)" "$(sha256sum "$ceremony" | cut -d' ' -f1)" \
    "$(certmill --version)" "$(openssl version)" "'certmill' 'init'" 'fits its certificate	10 signatures verified' \
    "$(sha256sum soft/instance/ca/root.pem | cut -d' ' -f1)" "$(sha256sum soft/root.key | cut -d' ' -f1)" \
    "$(openssl x509 -in soft/instance/ca/root.pem -noout -pubkey | openssl pkey -pubin -outform DER |
        sha256sum | cut -d' ' -f1)" 'dual control, Argon2id: 3 passes, 256 MiB' 'exit code 0'; do
    check "the transcript has: $text" said soft "$text"
done
check "every command ended well" sh -c '! grep "exit code [1-9]" soft/transcript.txt'
check "it is closed" test "$(stat -c %a soft/transcript.txt)" = 400
unseal_key soft/root.key alice bob >needles/root.p8
check "it holds no secret" python3 "$here/secrets.py" files needles soft/transcript.txt soft/instance/ca \
    soft/instance/certmill.conf
both=(--passphrase-file alice --passphrase-file bob)
check "the key fits" certmill key list --check "${both[@]}" soft/instance
start soft/instance "${both[@]}"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.key \
    -subj "/CN=www.example.cn" -addext "subjectAltName=DNS:www.example.cn" -out k.csr 2>/dev/null
check "the root issues" certmill issue --dir soft/instance --profile tls-server k.csr --out k.pem
check "openssl accepts it" openssl verify -CAfile soft/instance/ca/root.pem k.pem
check "the end" stop

refused "a folder that is there" 1 'is there already' "$ceremony" --answers file.answers soft
refused "usage" 2 'usage: ' "$ceremony"
sed 's/^custodian_2=.*/custodian_2=Alice/' file.answers >same.answers
refused "one custodian for both halves" 1 'both halves' "$ceremony" --answers same.answers same
check "makes nothing" test ! -e same
sed 's/^place=.*/places=x/' file.answers >odd.answers
refused "an answer to no question" 1 'no such answer' "$ceremony" --answers odd.answers odd
sed 's/^passphrase_2=.*/passphrase_2=short/' file.answers >short.answers
refused "a half that is too short" 1 'a command failed: certmill key' "$ceremony" --answers short.answers bad
check "is in the transcript" said bad 'FAILED: a command failed'
check "and nothing was made" test ! -e bad/instance

answers where=token token_key='pkcs11:token=hsm;object=ceremony' "module=$module" pin_file=pin ca=sub \
    type=p384 'subject=C=CN,O=Example,CN=Example Issuing CA' result=request >token.answers
check "a request with a key in a token" "$ceremony" --answers token.answers token
check "the digest to be signed is the transcript's" grep -qx "sha256	$(sum token)" out
check "openssl verifies it" openssl req -in token/instance/ca/sub.csr -noout -verify
check "the module's digest is told" said token "$(sha256sum "$module" | cut -d' ' -f1)"
check "and that the key never leaves" said token 'sensitive, never leaves'
check "no PIN" python3 "$here/secrets.py" files needles token

# With people at the keyboard.
a='the half of Alice' b='the half of Bob'
check "all of it asked for" python3 "$here/terminal.py" 'Example Root' 'Room 7' Olga 'Wei, Walter' file Alice \
    Bob root p256 'CN=Example Root' root 20 "$a" "$a" "$b" "$b" "$a" "$b" "$a" "$b" -- "$ceremony" asked
check "no half on the screen" sh -c '! grep -q "the half of" out'
check "nor anywhere" python3 "$here/secrets.py" files needles asked/transcript.txt
check "the key takes both" certmill key test "${both[@]}" asked/instance
finish
