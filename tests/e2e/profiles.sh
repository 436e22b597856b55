#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# profiles: edited between two starts, and taken away; certificates keep to what they were made by.
. "$(dirname "$0")/lib.sh"

certmill init i --ca main=p256 --subject "C=CN,O=Example" --passphrase-file pass >/dev/null
sed -e 's/^name = .*/name = "pausing";/' -e 's/hold = false/hold = true/' \
    i/profiles/enterprise.conf >i/profiles/pausing.conf
cp i/certmill.conf without.conf
sed -i 's|^profiles = (|&\n    { file = "profiles/pausing.conf"; ca = "main"; },|' i/certmill.conf
cp i/certmill.conf with.conf

serial() { # NAME
    openssl x509 -in "$1.pem" -noout -serial | sed 's/serial=//' | tr A-F a-f
}
issue() { # NAME
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null
    openssl req -new -key "$1.key" -subj "/O=Example Ltd/CN=Example" -out "$1.csr"
    certmill issue --dir i --profile pausing --value uscc=91350100M000100Y43 --out "$1.pem" "$1.csr"
}
act() { # WHAT NAME [OPTION...]
    local what=$1 name=$2
    shift 2
    certmill "$what" --dir i "$@" "$(serial "$name")"
}
known() { # NAME LINE: what the daemon says of NAME.pem
    certmill get --dir i --status "$(serial "$1")" >status && grep -qx "$2" status
}
# introduced NAME...: by the start that is just over, these and no others
introduced() {
    cmp <(sed -n 's/^info profile introduced name=\([^ ]*\) id=[0-9a-f]*$/\1/p' daemon.log | sort) \
        <([ $# -eq 0 ] || printf '%s\n' "$@")
}
restart() {
    check "SIGTERM: exit 0" stop
    start i
}

start i
check "every profile is introduced" introduced enterprise pausing tls-server
check "issued, to be kept" issue kept
check "issued, to be held" issue held
check "held" act hold held
restart
check "none is introduced twice" introduced

check "the profile without holds, and with two reasons" sed -i -e 's/hold = true/hold = false/' \
    -e '/reasons = /,/;/c reasons = [ "keyCompromise", "superseded" ];' i/profiles/pausing.conf
restart
check "and introduced" introduced pausing
check "issued" issue young
check "an old certificate is released" act release held
check "an old certificate is held" act hold kept
check "and released" act release kept
refused "a new one is not held" 1 ': HOLD: ' act hold young
check "an old one is revoked for a reason of then" act revoke held --reason cessationOfOperation
refused "a new one is not" 1 ': REASON: ' act revoke young --reason cessationOfOperation
restart
check "none is introduced twice" introduced

# ---- what an auditor sees

check "all profiles" certmill profiles --dir i
check "are four" test "$(wc -l <out)" -eq 4
check "two of one name" test "$(grep -c '	pausing$' out)" -eq 2
check "one of them of former times" test "$(grep -c '	former	pausing$' out)" -eq 1
former=$(sed -n 's/	.*	former	pausing$//p' out)
check "by which one was certified" known kept "profile id: $former"
check "what it said" certmill profiles --dir i "$former"
cp out said.conf
check "among it, that certificates are held" grep -q '^ *hold = true;$' said.conf
check "all of them in JSON" certmill profiles --dir i --json
check "with contents that are what the identities are digests of" python3 - <<'PYTHON'
import hashlib, json
profiles = json.load(open("out"))
assert len(profiles) == 4 and sum(p["configured"] for p in profiles) == 3, profiles
for profile in profiles:
    digest = bytes(32)
    for piece in profile["content"]:
        piece = piece.encode()
        digest = hashlib.sha256(digest + len(piece).to_bytes(4, "big") + piece).digest()
    assert digest[:16].hex() == profile["id"], profile
    assert profile["content"][:2] == ["name", profile["name"]], profile
PYTHON
refused "one that never was" 1 'no such profile' certmill profiles --dir i \
    00112233445566778899aabbccddeeff

check "the profile is taken away" cp without.conf i/certmill.conf
restart
check "that introduces nothing" introduced
check "its name is known" known kept "profile: pausing"
check "an old certificate is held" act hold kept
refused "a new one is not held" 1 ': HOLD: ' act hold young
refused "nor revoked for another reason" 1 ': REASON: ' act revoke young \
    --reason cessationOfOperation
check "but for one of its own" act revoke young --reason superseded

check "the first profile comes back, as it is told" cp said.conf i/profiles/pausing.conf
check "and is configured" cp with.conf i/certmill.conf
restart
check "it was introduced long ago" introduced
check "issued" issue again
check "held" act hold again
check "SIGTERM: exit 0" stop
finish
