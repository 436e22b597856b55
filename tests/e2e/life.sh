#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# life: renewed, replaced, changed, held and revoked by a daemon; openssl and the feed judge.
. "$(dirname "$0")/lib.sh"

certmill init i --ca main=p256 --subject "C=CN,O=Example" --passphrase-file pass >/dev/null

# derive NAME EXPRESSION: a profile like enterprise, but for what sed does to it.
derive() {
    sed -e "s/^name = .*/name = \"$1\";/" -e "$2" i/profiles/enterprise.conf >"i/profiles/$1.conf"
    sed -i "s|^profiles = (|&\n    { file = \"profiles/$1.conf\"; ca = \"main\"; },|" i/certmill.conf
}
derive pausing 's/hold = false/hold = true/'
derive signed 's/old_key_signature = false/old_key_signature = true/'
derive long 's/months = .*/months = [ 12, 1200 ]; };/; s/months_max = .*//'
derive strict 's/acknowledge = false/acknowledge = true/; s/old = "keep"/old = "revoke"/'
start i

USCC=91350100M000100Y43
key() { # NAME: a key and a request of that name
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null
    openssl req -new -key "$1.key" -subj "${2:-/O=Example Ltd/CN=Example}" -out "$1.csr"
}
serial() { # FILE
    openssl x509 -in "$1" -noout -serial | sed 's/serial=//' | tr A-F a-f
}
# make NEW OPERATION [OPTION...]: from NEW.csr to NEW.pem, with the profile of $profile
profile=enterprise
make() {
    local new=$1 operation=$2
    shift 2
    certmill "$operation" --dir i --profile "$profile" --value "uscc=$USCC" "$@" "$new.csr" \
        --out "$new.pem"
}
# followed NEW OPERATION OLD [OPTION...]: NEW follows upon OLD
followed() {
    local new=$1 operation=$2 old=$3
    shift 3
    [ -e "$new.csr" ] || key "$new"
    check "$operation: $old to $new" make "$new" "$operation" --predecessor "$(serial "$old.pem")" "$@"
    check "$new: openssl verifies it" openssl verify -CAfile i/ca/main.pem "$new.pem"
    check "$new: for its key" cmp <(openssl x509 -in "$new.pem" -noout -pubkey) \
        <(openssl pkey -in "$new.key" -pubout)
    known "$new" predecessor "$(serial "$old.pem")" operation "$operation"
    known "$old" successor "$(serial "$new.pem")"
}
# denied CODE NEW OPERATION OLD [OPTION...]: NEW does not follow upon OLD
denied() {
    local code=$1 new=$2 operation=$3 old=$4
    shift 4
    [ -e "$new.csr" ] || key "$new"
    refused "$operation of $old: $code" 1 ": $code: " make "$new" "$operation" \
        --predecessor "$(serial "$old.pem")" "$@"
    cp err said
    check "nothing was made" test ! -e "$new.pem"
}
# known NAME [FIELD VALUE]...: what the daemon says of NAME.pem; "" for no such field
known() {
    local name=$1
    shift
    certmill get --dir i --status "$(serial "$name.pem")" >status || true
    check "$name: $*" tells "$@"
}
tells() {
    local known
    known=$'\n'$(<status)$'\n'
    while [ $# -gt 0 ]; do
        case $2 in
        "") [[ $known != *$'\n'"$1: "* ]] ;;
        *) [[ $known == *$'\n'"$1: $2"$'\n'* ]] ;;
        esac || {
            echo "$1 is not '$2': $known"
            return 1
        }
        shift 2
    done
}
act() { # WHAT NAME [OPTION...]
    local what=$1 name=$2
    shift 2
    certmill "$what" --dir i "$@" "$(serial "$name.pem")"
}
same_subject() {
    cmp <(openssl x509 -in "$1" -noout -subject) <(openssl x509 -in "$2" -noout -subject)
}
same_end() {
    cmp <(openssl x509 -in "$1" -noout -enddate) <(openssl x509 -in "$2" -noout -enddate)
}
# a_year_longer OLD NEW: the same day of the next year, or 28 February; the day at UTC+8
a_year_longer() {
    python3 - "$(openssl x509 -in "$1" -noout -enddate)" "$(openssl x509 -in "$2" -noout -enddate)" <<'EOF'
import sys, datetime
old, new = (datetime.datetime.strptime(text, "notAfter=%b %d %H:%M:%S %Y GMT") for text in sys.argv[1:])
china = datetime.timedelta(hours=8)
old, new = old + china, new + china
day = 28 if (old.month, old.day) == (2, 29) else old.day
assert new == old.replace(year=old.year + 1, day=day), (old, new)
EOF
}

# ---- renewal

key a1
check "issued" make a1 issue
known a1 state valid operation new delivery "done" predecessor "" successor "" head "$(serial a1.pem)"
cp a1.key same.key
cp a1.csr same.csr
denied RENEW_KEY same renew a1
followed a2 renew a1 --request-id renewal-of-the-first
check "it is a year longer" a_year_longer a1.pem a2.pem
known a1 state valid head "$(serial a2.pem)"
cp a2.pem first.pem
check "asked again" make a2 renew --predecessor "$(serial a1.pem)" --request-id renewal-of-the-first
check "the same certificate" cmp first.pem a2.pem
key other
refused "same id, other request" 1 IDEMPOTENCY_CONFLICT make other renew \
    --predecessor "$(serial a1.pem)" --request-id renewal-of-the-first
denied RENEW_NOT_HEAD other renew a1
denied CERT_NOT_HEAD other change a1
followed a3 renew a2
check "it is two years longer" a_year_longer a2.pem a3.pem
known a1 head "$(serial a3.pem)"
known a3 head "$(serial a3.pem)" state valid
key stranger "/O=Another Ltd/CN=Example"
USCC=91110108722619411A denied RENEW_IDENTITY_CHANGED stranger renew a3
USCC=91110108722619411A denied RENEW_IDENTITY_CHANGED stranger change a3
denied RENEW_CAP other renew a3 --term 60
check "with the dates it would have had" grep -q 'would be valid from 20..-..-..T16:00:00Z until' said
refused "the same in JSON" 1 ': RENEW_CAP: ' make other renew --predecessor "$(serial a3.pem)" \
    --term 60 --json
mv other.pem other.json
check "also with the dates" python3 -c 'import json; known = json.load(open("other.json"))[0]
assert known["status"]["code"] == "RENEW_CAP" and known["not_after"].endswith("T15:59:59Z"), known
assert "serial" not in known and "certificate" not in known, known'
denied TERM other renew a3 --term 13

# ---- replacement

key moved "/O=Example Ltd/OU=Moved/CN=Example"
denied CERT_CHANGED moved replace a3 --cause lost
check "and what has changed" grep -q subject.OU said
denied TERM other replace a3 --cause lost --term 12
denied FIELD_FORMAT other replace a3 --cause lost --lost-at 2099-01-01
denied FIELD_FORMAT other replace a3 --cause lost --lost-at 2020-01-01
known a3 state valid
lost_at=$(date -u -d "$(openssl x509 -in a3.pem -noout -startdate | cut -d= -f2)" +%Y-%m-%dT%H:%M:%SZ)
followed b replace a3 --cause lost --lost-at "$lost_at"
check "the same subject" same_subject a3.pem b.pem
check "the same end" same_end a3.pem b.pem
known a3 state revoked reason keyCompromise "invalid since" "$lost_at"
known b state valid delivery "done"
denied CERT_REVOKED other replace a3 --cause damaged
denied RENEW_REVOKED other renew a3
denied CERT_REVOKED other change a3
cp b.key same.key
cp b.csr same.csr
denied RENEW_KEY same replace b --cause lost
followed c replace b --cause damaged
check "the same subject" same_subject b.pem c.pem
check "the same end" same_end b.pem c.pem
known b state revoked reason superseded "invalid since" ""

# ---- change

key d "/O=New Example Ltd/CN=Example"
followed d change c
check "the same end" same_end c.pem d.pem
check "the new name" grep -q 'New Example' <(openssl x509 -in d.pem -noout -subject)
known d delivery waiting state valid
known c state valid
denied RENEW_OPEN_ORDER other renew d
denied CERT_BUSY other replace d --cause lost
check "acknowledged" act ack d
known d delivery "done" state valid
known c state revoked reason affiliationChanged head "$(serial d.pem)"
check "acknowledged again" act ack d
known c state revoked reason affiliationChanged
refused "abandoned after that" 1 ': STATE: ' act abandon d
key e "/O=Newer Example Ltd/CN=Example"
followed e change d
check "abandoned" act abandon e
known e state revoked delivery abandoned
known d state valid head "$(serial d.pem)" successor ""
key f "/O=Newest Example Ltd/CN=Example"
followed f change d
check "acknowledged" act ack f
known d state revoked reason affiliationChanged successor "$(serial f.pem)"
refused "what was abandoned" 1 ': STATE: ' act ack e

# ---- profiles that want more

profile=signed
key s1
check "issued" make s1 issue
key s2
denied OLD_KEY_SIG s2 renew s1
denied OLD_KEY_SIG s2 renew s1 --old-key s2.key
openssl req -in s2.csr -outform DER -out s2.der
openssl dgst -sha256 -sign s1.key -out s2.sig s2.der
openssl dgst -sha256 -sign s1.key -out bad.sig pass
denied OLD_KEY_SIG s2 renew s1 --old-key-signature bad.sig
followed s2 renew s1 --old-key-signature s2.sig
followed s3 renew s2 --old-key s2.key
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out s4.key 2>/dev/null
openssl req -new -key s4.key -subj "/O=Example Ltd/CN=Example" -out s4.csr
followed s4 renew s3 --old-key s3.key
followed s5 change s4 --old-key s4.key
check "acknowledged" act ack s5
openssl genpkey -algorithm SM2 -out s6.key 2>/dev/null
openssl req -new -key s6.key -sm3 -sigopt distid:1234567812345678 \
    -subj "/O=Example Ltd/CN=Example" -out s6.csr
followed s6 renew s5 --term 3 --old-key s5.key
openssl genpkey -algorithm ED25519 -out s7.key 2>/dev/null
openssl req -new -key s7.key -subj "/O=Example Ltd/CN=Example" -out s7.csr
followed s7 renew s6 --term 3 --old-key s6.key
denied OLD_KEY_SIG s8 renew s7 --term 3 --old-key s6.key
followed s8 renew s7 --term 3 --old-key s7.key

profile=strict
key w1
check "issued" make w1 issue
known w1 delivery waiting
denied RENEW_OPEN_ORDER w2 renew w1
check "acknowledged" act ack w1
followed w2 renew w1
known w1 state revoked reason superseded
known w2 state valid delivery waiting

profile=long
key l1
check "issued" make l1 issue
denied RENEW_ISSUER_END l2 renew l1 --term 1200
check "with the dates it would have had" grep -q 'would be valid from 20..-..-..T16:00:00Z until 21' said

profile=tls-server
tls() { # NAME OPERATION [OPTION...]
    local name=$1 operation=$2
    shift 2
    certmill "$operation" --dir i --profile tls-server --dns www.example.cn "$@" "$name.csr"
}
key t1 /CN=www.example.cn
check "issued" tls t1 issue --out t1.pem
refused "renewed too early" 1 ': RENEW_TOO_EARLY: ' tls t1 renew --predecessor "$(serial t1.pem)"
refused "replaced" 1 ': OPERATION: ' tls t1 replace --predecessor "$(serial t1.pem)" --cause lost
refused "changed" 1 ': OPERATION: ' tls t1 change --predecessor "$(serial t1.pem)"
refused "changed, only to see" 1 ': OPERATION: ' tls t1 change --dry-run \
    --predecessor "$(serial t1.pem)"

# ---- hold, release, revoke

refused "a hold where none is" 1 ': HOLD: ' act hold t1
profile=pausing
key h
check "issued" make h issue
refused "released although not held" 1 ': STATE: ' act release h
check "held" act hold h --request-id hold-of-the-certificate
known h state held reason certificateHold
check "asked again" act hold h --request-id hold-of-the-certificate
check "held again" act hold h
check "changes nothing" grep -q unchanged out
refused "same id, something else" 1 IDEMPOTENCY_CONFLICT act release h \
    --request-id hold-of-the-certificate
denied RENEW_HELD other renew h
denied CERT_HELD other replace h --cause lost
check "released" act release h
known h state valid reason "" "revoked at" ""
check "revoked" act revoke h --reason cessationOfOperation
cp out answer
known h state revoked reason cessationOfOperation
check "revoked again, for another reason" act revoke h --reason superseded
check "the same answer" cmp <(cut -f 1-5 answer) <(cut -f 1-5 out)
check "but nothing was changed" grep -q unchanged out
refused "held" 1 ': CERT_REVOKED: ' act hold h
refused "released" 1 ': CERT_REVOKED: ' act release h
check "raised to keyCompromise" act revoke h --reason keyCompromise --invalidity-date "$lost_at"
check "with the first date" cmp <(cut -f 4 answer) <(cut -f 4 out)
check "and the new reason" grep -q "keyCompromise.*$lost_at.*	changed" out
check "and not back" act revoke h --reason superseded
check "unchanged" grep -q 'keyCompromise.*unchanged' out
check "in JSON" act revoke h --reason superseded --json
check "the same" python3 -c 'import json; known = json.load(open("out"))[0]
assert (known["state"], known["reason"], known["changed"]) == ("revoked", "keyCompromise", False), known
assert known["invalidity_date"] == "'"$lost_at"'", known'
check "several at once" certmill revoke --dir i --reason superseded --json --request-id \
    several-at-once-12345 "$(serial h.pem)" "$(serial s4.pem)" "$(serial s5.pem)"
cp out answer
check "asked again" certmill revoke --dir i --reason superseded --json --request-id \
    several-at-once-12345 "$(serial h.pem)" "$(serial s4.pem)" "$(serial s5.pem)"
check "the same answers" cmp answer out
refused "one of them unknown" 1 ': CERT_UNKNOWN: ' certmill revoke --dir i --reason superseded \
    "$(serial s3.pem)" 010101010101010101010101010101010101
known s3 state revoked reason superseded
refused "a date to come" 1 ': FIELD_FORMAT: ' act revoke t1 --reason keyCompromise \
    --invalidity-date 2099-01-01
refused "a reason that is not the profile's" 1 ': REASON: ' act revoke t1 --reason aACompromise
refused "a reason of holds" 1 ': REASON: ' act revoke t1 --reason certificateHold
refused "an unknown certificate" 1 ': CERT_UNKNOWN: ' certmill revoke --dir i --reason superseded \
    010101010101010101010101010101010101
cp i/ca/main.pem root.pem
refused "the CA's own certificate" 1 ': CERT_UNKNOWN: ' act revoke root --reason superseded
known t1 state valid

# ---- what the feed says

check "all changes" certmill changes --dir i --json
cp out changes.json
certmill find --dir i --from 2020-01-01 --json >certificates.json
check "lead to what is known" python3 - <<'EOF'
import json
changes = json.load(open("changes.json"))
numbers = [change["sequence"] for change in changes]
assert numbers == list(range(1, len(numbers) + 1)), numbers
states = {}
for change in changes:
    assert states.get(change["serial"], "none") == change["old_state"], change
    assert (change["new_state"] in ("revoked", "held")) == ("reason" in change), change
    states[change["serial"]] = change["new_state"]
known = {c["serial"]: c["state"] for c in json.load(open("certificates.json"))}
assert known == states and len(known) > 15, (known, states)
EOF
last=$(python3 -c 'import json; print(json.load(open("changes.json"))[-1]["sequence"])')
check "those after the last but one" certmill changes --dir i --since $((last - 1))
check "is one" test "$(wc -l <out)" -eq 1
check "only five" certmill changes --dir i --max 5
check "are five" test "$(wc -l <out)" -eq 5
check "following, until there are enough" timeout 20 certmill changes --dir i --follow --max "$last" --json
check "an object in every line" python3 -c \
    'import json, sys; assert [json.loads(line) for line in open("out")] == json.load(open("changes.json"))'
check "a person's view" certmill get --dir i --status "$(serial h.pem)"
check "with the reason" grep -q '^reason: keyCompromise$' out
check "and in a line" certmill find --dir i --key h.csr
check "with the reason" grep -q 'revoked:keyCompromise' out

check "SIGTERM: exit 0" stop
start i
check "after a restart" certmill find --dir i --from 2020-01-01 --json
check "all is as it was" cmp certificates.json out
check "revoked again" act revoke h --reason superseded
check "the same answer" grep -q 'keyCompromise.*unchanged' out
check "SIGTERM: exit 0" stop
finish
