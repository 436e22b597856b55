#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# audit: what was done is listed, and chained as another program computes it; a head that was kept
# shows what was cut off, rolled back or altered since.
. "$(dirname "$0")/lib.sh"
here=$2/tests/e2e

certmill init i --ca main=p256 --subject "C=CN,O=Example" --passphrase-file pass >/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null
request() { # NAME
    openssl req -new -key key -subj "/CN=$1.example.cn" -addext \
        "subjectAltName=DNS:$1.example.cn" -out "$1.csr"
}
issue() { # NAME [OPTION...]
    local name=$1
    shift
    certmill issue --dir i --profile tls-server --out "$name.pem" "$@" "$name.csr"
}
serial() { # NAME
    openssl x509 -in "$1.pem" -noout -serial | sed 's/serial=//' | tr A-F a-f
}
# recorded KIND...: of the last records, these
recorded() {
    cmp <(certmill audit --dir i | tail -n $# | cut -f 3) <(printf '%s\n' "$@")
}
head_of() { # FILE: what audit verify wrote into it
    sed -n 's/^head\t//p' "$1"
}
# digest NUMBER: of the configuration, in the started record of this number among them
digest() {
    certmill audit --config i/certmill.conf | awk '$3 == "started"' | sed -n "$1p" | cut -f 5
}
request www
request other

# ---- what is recorded, and how it is told

start i
check "profiles, and the start" grep -qx 'profile profile started' \
    <(certmill audit --dir i --max 3 | cut -f 3 | paste -sd ' ')
check "a list: none is made by itself in the next hour" certmill crl make --dir i
check "a certificate" issue www --request-id only-one-request
check "revoked" certmill revoke --dir i --reason superseded "$(serial www)"
check "a list" certmill crl make --dir i
refused "a request id used again" 1 IDEMPOTENCY_CONFLICT certmill issue --dir i --profile tls-server \
    --request-id only-one-request other.csr
check "each is recorded" recorded issued revoked crl refused
check "records, as text" certmill audit --dir i
cp out all
check "with who and what" grep -qP "\tissued\tuid:$(id -u)\t$(serial www)\t[0-9a-f]{64}\$" all
check "the list with issuer, shard and number" grep -qP '\tcrl\tuid:[0-9]+\t[0-9a-f]{32}/0/[0-9]+\t' all
check "what was refused with its request id" grep -qP '\trefused\tuid:[0-9]+\tonly-one-request\t' all
last=$(wc -l <all)
check "behind the last but one" certmill audit --dir i --since $((last - 1))
check "is one" cmp out <(tail -n 1 all)
check "two behind the first" certmill audit --dir i --since 1 --max 2
check "are two" cmp out <(sed -n 2,3p all)
check "behind the end" sh -c "certmill audit --dir i --since $last | cmp - /dev/null"
check "following, until there are enough" timeout 20 certmill audit --dir i --follow --max "$last"
check "is the same" cmp out all
check "in JSON" certmill audit --dir i --json
cp out all.json
check "with the same, each by its name" python3 - <<'PYTHON'
import json
records = json.load(open("all.json"))
lines = [line.rstrip("\n").split("\t") for line in open("all")]
assert [[str(r["sequence"]), r["kind"], r["actor"], r["chain"]] for r in records] == \
    [[line[0], line[2], line[3], line[5]] for line in lines], records
crl = next(r for r in records if r["kind"] == "crl")
assert f"{crl['issuer']}/{crl['shard']}/{crl['number']}" in [line[4] for line in lines], crl
assert [r["request_id"] for r in records if "request_id" in r] == ["only-one-request"], records
PYTHON
check "following, an object in every line" timeout 20 certmill audit --dir i --follow --json --max "$last"
check "the same" python3 -c \
    'import json; assert [json.loads(line) for line in open("out")] == json.load(open("all.json"))'

# ---- the chain, and a head that is kept

check "the chain holds" certmill audit verify --dir i
cp out kept
check "all of it" grep -qx "records	$last" kept
check "to the last record" test "$(head_of kept)" = "$last:$(tail -n 1 all | cut -f 6)"
check "as Python computes it, from the number of the store on" python3 "$here/audit_chain.py" all.json \
    i/data/data.mdb "$(head_of kept)"
certmill audit verify --dir i --json >report
check "in JSON" python3 - "$(head_of kept)" <<'PYTHON'
import json, sys
report = json.load(open("report"))
assert report["good"] and report["head"] == sys.argv[1], report
assert report["before"].startswith("0:") and report["records"] == int(sys.argv[1].split(":")[0]), report
PYTHON
check "another certificate" issue other
check "what is new follows upon the head that was kept" certmill audit verify --dir i \
    --head "$(head_of kept)" --since "$last"
check "one record" grep -qx 'records	1' out
cp out later
check "with all before" certmill audit verify --dir i --head "$(head_of kept)"
check "to the same head" test "$(head_of out)" = "$(head_of later)"
check "nothing new" certmill audit verify --dir i --head "$(head_of later)" --since $((last + 1))
check "no record" grep -qx 'records	0' out
wrong=$(head_of kept | tr 0-9 1-90)
wrong=$last:${wrong#*:}
refused "another head" 1 "record $last is not the one whose digest was kept" certmill audit verify \
    --dir i --head "$wrong"
refused "another head, where checking begins" 1 "record $last is not the one" certmill audit verify \
    --dir i --head "$wrong" --since "$last"
refused "a head that is to come" 1 "no record $((last + 5)), of which a digest was kept" \
    certmill audit verify --dir i --head "$((last + 5)):${wrong#*:}"
refused "from behind the end" 1 "no record 1000: the log ends before it" certmill audit verify --dir i \
    --since 999
certmill audit verify --dir i --head "$wrong" --json >report 2>/dev/null || true
check "in JSON" python3 -c 'import json; report = json.load(open("report"))
assert not report["good"] and "kept" in report["problem"] and "head" not in report, report'
check "a record goes into no full file" bash -c '! certmill audit --dir i >/dev/full 2>err && grep -q "standard output" err'
check "nor a verdict" bash -c '! certmill audit verify --dir i >/dev/full 2>err && grep -q "standard output" err'

# ---- starts and stops, with the configuration; without a daemon

check "SIGTERM: exit 0" stop
refused "without a daemon" 1 'is the daemon running' certmill audit --dir i
check "what it left behind" certmill audit --config i/certmill.conf
check "ends with the stop" test "$(tail -n 1 out | cut -f 3)" = stopped
check "holds" certmill audit verify --config i/certmill.conf --head "$(head_of later)"
certmill audit --config i/certmill.conf --json >all.json
check "as Python computes it" python3 "$here/audit_chain.py" all.json i/data/data.mdb "$(head_of out)"
cp -r i before
start i
kill -KILL "$daemon"
{ wait "$daemon" || true; } 2>/dev/null
daemon=
sed -e 's/^name = .*/name = "another";/' i/profiles/tls-server.conf >i/profiles/another.conf
sed -i 's|^profiles = (|&\n    { file = "profiles/another.conf"; ca = "main"; },|' i/certmill.conf
start i
check "killed and started with another profile" recorded stopped started profile started
check "while it runs, its data say the same" cmp <(certmill audit --config i/certmill.conf) \
    <(certmill audit --dir i)
check "SIGTERM: exit 0" stop
check "the same configuration, the same digest" test "$(digest 1)" = "$(digest 2)"
check "of 32 octets" test "$(digest 1 | tr -d '\n' | wc -c)" = 64
check "another one, another" test "$(digest 2)" != "$(digest 3)"
check "the log holds" certmill audit verify --config i/certmill.conf --head "$(head_of later)"
cp out latest

# ---- a log that is not what it was

refused "rolled back to a copy of before" 1 'the end was cut off' certmill audit verify \
    --config before/certmill.conf --head "$(head_of latest)"
cp -r before replaced
start replaced
for name in www other www other; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null
    request $name
    certmill issue --dir replaced --profile tls-server $name.csr >/dev/null
done
check "and gone on with" certmill audit verify --dir replaced
refused "is another log" 1 'is not the one whose digest was kept' certmill audit verify --dir replaced \
    --head "$(head_of latest)"
check "from where they part" certmill audit verify --dir replaced --head "$(head_of later)"
stop
number=$(grep -P '\trefused\t' all | cut -f 1)
check "who did it is altered in the data" python3 - <<'PYTHON'
import re
data = open("i/data/data.mdb", "rb").read()
altered, count = re.subn(rb"uid:[0-9](?=[0-9]*.only-one-request)", b"uid:9", data, flags=re.S)
assert count > 0 and altered != data, count
open("i/data/data.mdb", "r+b").write(altered)
PYTHON
refused "which shows" 1 "record $number and those behind it were not read" certmill audit verify \
    --config i/certmill.conf
check "what is behind still holds together" certmill audit verify --config i/certmill.conf \
    --since "$number" --head "$(head_of latest)"
start i
refused "to the daemon as well" 1 "record $number and those behind it were not read" certmill audit \
    --dir i
check "SIGTERM: exit 0" stop

# ---- a daemon that is stopped while it makes its first lists

for n in 1 2 3; do
    certmill init "many$n" --ca a=p256 --ca b=p256 --ca c=p256 --passphrase-file pass >/dev/null
    start "many$n"
    stop
    check "$n: the stop is its last record" grep -qP '^\d+\t\S+\tstopped\t' \
        <(certmill audit --config "many$n/certmill.conf" | tail -n 1)
done
finish
