#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# heads: of the audit log, signed, told with every answer and kept by witnesses: who has kept one
# finds a log that was rolled back, replaced or altered. openssl and Python agree.
. "$(dirname "$0")/lib.sh"
here=$2/tests/e2e

certmill init i --ca main=p256 --subject "C=CN,O=Example" --passphrase-file pass >/dev/null
sed -i 's/# interval_ms = 1000;/interval_ms = 100;/' i/certmill.conf
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null
openssl req -new -key key -subj "/CN=www.example.cn" -addext "subjectAltName=DNS:www.example.cn" \
    -out www.csr
issue() { # INSTANCE [OPTION...]
    certmill issue --dir "$1" --profile tls-server --out www.pem "${@:2}" www.csr
}
signed() { # INSTANCE: the number of the record that its newest signed head is of
    certmill audit head --dir "$1" | sed -n 2p
}
last() { # INSTANCE: and of the last record there is
    certmill audit --dir "$1" | tail -n 1 | cut -f 1
}
covered() { # INSTANCE: the newest head is of the last record, soon
    for _ in $(seq 100); do
        [ "$(signed "$1")" != "$(last "$1")" ] || return 0
        sleep 0.1
    done
    return 1
}
stored() { # INSTANCE: the same of what a stopped one left behind
    [ "$(certmill audit head --config "$1/certmill.conf" | sed -n 2p)" = \
        "$(certmill audit --config "$1/certmill.conf" | tail -n 1 | cut -f 1)" ]
}
kill_daemon() {
    kill -KILL "$daemon"
    { wait "$daemon" || true; } 2>/dev/null
    daemon=
}

# ---- signed, told, kept

start i
check "the start is covered before anything is served" test "$(signed i)" -ge \
    "$(certmill audit --dir i | awk '$3 == "started"' | cut -f 1)"
export CERTMILL_WITNESS=$PWD/kept
check "a certificate; its answer brings a head" issue i
check "which is kept" test -s kept
check "soon all is covered" covered i
check "the option says where, too" certmill stats --dir i --witness other
check "one head" test "$(grep -c '^certmill-audit-1/' other)" = 1
check "is not kept twice" certmill stats --dir i --witness other
check "still one" test "$(grep -c '^certmill-audit-1/' other)" = 1
sequence=$(signed i)
sleep 0.3
check "with nothing recorded nothing is signed" test "$(signed i)" = "$sequence"
check "nor is there another record" test "$(last i)" = "$sequence"
check "the newest, as a note" certmill audit head --dir i
cp out note
check "in JSON" certmill audit head --dir i --json
check "the same" python3 - <<'PYTHON'
import base64, json
name, sequence, chain, time, _, line = open("note").read().splitlines()
head = json.load(open("out"))
proof = base64.b64decode(line.split(" ")[2])
assert head == {"log": name.split("/")[1], "sequence": int(sequence), "time_us": int(time),
    "chain": base64.b64decode(chain).hex(), "key_id": proof[:4].hex(),
    "signature": proof[4:].hex()}, head
PYTHON
check "a refusal brings it as well" bash -c '! certmill issue --dir i --profile nowhere \
    --witness third www.csr && test -s third'

# A few lines of shell, as docs/PROTOCOL.md has them.
sed '/^$/,$d' note >text
tail -n 1 note | cut -d ' ' -f 3 | base64 -d | tail -c 64 >signature
check "openssl verifies its signature" openssl pkeyutl -verify -pubin -inkey i/audit.pem -rawin \
    -in text -sigfile signature
sed -i '2s/.*/&0/' text
check "of these lines only" bash -c '! openssl pkeyutl -verify -pubin -inkey i/audit.pem -rawin \
    -in text -sigfile signature'
certmill crl make --dir i >/dev/null
check "all is covered" covered i
certmill stats --dir i >/dev/null
certmill audit --dir i --json >all.json
check "what was kept, by Python and openssl" python3 "$here/heads.py" kept i/audit.pem all.json \
    i/data/data.mdb
check "up to the last record" test "$(tail -n 1 out)" = "$(last i)"
check "by certmill" certmill audit verify --dir i --heads kept --audit-key i/audit.pem
check "all that were kept" grep -qx "kept heads	$(grep -c '^certmill-audit-1/' kept)" out
check "and all in the log" grep -qxE 'signed heads	[0-9]+' out
check "without a key their digests" certmill audit verify --dir i --heads kept
check "as it says" grep -q 'signatures not checked' out
check "only what is new" certmill audit verify --dir i --heads kept --audit-key i/audit.pem --since "$(last i)"
check "one head at its beginning" grep -qx 'kept heads	1' out
certmill audit verify --dir i --heads kept --audit-key i/audit.pem --json >report
check "in JSON" python3 -c 'import json; report = json.load(open("report"))
assert report["good"] and report["signatures_checked"] and report["kept_heads"] > 1, report'

# ---- heads that are not what they should be

openssl genpkey -algorithm ed25519 -out other.key 2>/dev/null
openssl pkey -in other.key -pubout -out other.pem
refused "another key" 1 'kept head of record [0-9]+ was signed by a key that was not named' \
    certmill audit verify --dir i --heads kept --audit-key other.pem
refused "another key, for those in the log" 1 'signed head of record [0-9]+ was signed by a key' \
    certmill audit verify --dir i --audit-key other.pem
check "beside the right one" certmill audit verify --dir i --heads kept --audit-key other.pem \
    --audit-key i/audit.pem
refused "no key" 1 'not one public key' certmill audit verify --dir i --audit-key i/ca/main.pem
refused "no file" 1 'nowhere: ' certmill audit verify --dir i --heads nowhere
: >empty
refused "an empty file" 1 'no head is kept' certmill audit verify --dir i --heads empty
cat kept note >twice
refused "a head twice" 1 'not above the one before' certmill audit verify --dir i --heads twice
head -c -20 kept >cut
refused "a file that was cut" 1 'head number [0-9]+ is none' certmill audit verify --dir i --heads cut
refused "to which nothing is added" 0 'does not end with a kept head' certmill stats --dir i --witness cut
check "as it was" cmp cut <(head -c -20 kept)
sed '4s/.$/0/;4s/^1/2/' kept >altered
refused "another time" 1 'signature of the kept head of record [0-9]+ is wrong' certmill audit verify \
    --dir i --heads altered --audit-key i/audit.pem

# ---- stops and kills

check "SIGTERM: exit 0" stop
check "the last head covers the stop" stored i
check "the log holds" certmill audit verify --config i/certmill.conf --heads kept --audit-key i/audit.pem
cp -r i before
start i
for _ in 1 2 3; do
    issue i >/dev/null
done
kill_daemon
start i
check "killed: the next start covers what was there" test "$(signed i)" -ge \
    "$(certmill audit --dir i | awk '$3 == "started"' | tail -n 1 | cut -f 1)"
issue i >/dev/null
check "all is covered" covered i
certmill stats --dir i >/dev/null
check "the log holds" certmill audit verify --dir i --heads kept --audit-key i/audit.pem
check "SIGTERM: exit 0" stop

# ---- an older copy of the data is put back

refused "rolled back" 1 'the end was cut off' certmill audit verify --config before/certmill.conf \
    --heads kept
cp kept mine
cp kept once
start before
refused "who has kept a head is told at once" 0 'rolled back or replaced' certmill stats --dir before
check "it stays what it was" cmp kept mine
unset CERTMILL_WITNESS
for _ in $(seq 12); do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null
    openssl req -new -key key -subj "/CN=www.example.cn" -addext \
        "subjectAltName=DNS:www.example.cn" -out www.csr
    issue before >/dev/null
done
check "gone on with, it holds in itself" certmill audit verify --dir before --audit-key i/audit.pem
refused "but is another log" 1 'not the one whose digest was kept' certmill audit verify \
    --dir before --heads kept --audit-key i/audit.pem
check "a head above is kept: who asks seldom has to verify" certmill stats --dir before --witness mine
refused "which finds it" 1 'not the one whose digest was kept' certmill audit verify --dir before \
    --heads mine --audit-key i/audit.pem
check "SIGTERM: exit 0" stop
certmill init j --passphrase-file pass >/dev/null
start j
refused "heads of another log are not mixed" 0 'another audit log' certmill stats --dir j \
    --witness kept
check "it stays what it was" cmp kept once
refused "and are not heads of this one" 1 'another log|cut off|not the one whose' certmill audit verify \
    --dir j --heads kept
check "SIGTERM: exit 0" stop

# ---- a stored head is altered, and the daemon finds it contradicts the log

cp -r i altered.i
check "a stored head" python3 - <<'PYTHON'
# The head of the last record says another digest, and is sealed as it should be.
import base64, hashlib, struct, subprocess
note = subprocess.run(["certmill", "audit", "head", "--config", "i/certmill.conf"],
                      capture_output=True, text=True, check=True).stdout.splitlines()
chain, time = base64.b64decode(note[2]), struct.pack("<Q", int(note[3]))
proof = base64.b64decode(note[5].split(" ")[2])
data = open("altered.i/data/data.mdb", "rb").read()
record = b"\1" + time + chain + proof
key = struct.pack(">Q", int(note[1]))
seal = lambda record: hashlib.sha256(bytes([12, 8]) + key + record).digest()[:16]
assert data.count(record + seal(record)) >= 1
wrong = record.replace(chain, chain[::-1])
data = data.replace(record + seal(record), wrong + seal(wrong))
open("altered.i/data/data.mdb", "r+b").write(data)
PYTHON
refused "is found" 1 'signed head of record [0-9]+ is of another record' certmill audit verify \
    --config altered.i/certmill.conf
start altered.i
refused "no head is signed any more" 1 'no head of this audit log is signed' certmill audit head \
    --dir altered.i
check "as the log says" grep -q 'does not fit the log' daemon.log
check "there is an alarm" bash -c 'certmill health --dir altered.i | grep -q AUDIT_HEAD'
check "issuing goes on" issue altered.i
check "SIGTERM: exit 0" stop

cp -r i cut.i
check "a stored head of a record that is not there" python3 - <<'PYTHON'
import base64, hashlib, struct, subprocess
note = subprocess.run(["certmill", "audit", "head", "--config", "i/certmill.conf"],
                      capture_output=True, text=True, check=True).stdout.splitlines()
record = b"\1" + struct.pack("<Q", int(note[3])) + base64.b64decode(note[2]) + \
    base64.b64decode(note[5].split(" ")[2])
sealed = lambda key: key + record + hashlib.sha256(bytes([12, 8]) + key + record).digest()[:16]
is_there, wanted = (sealed(struct.pack(">Q", int(note[1]) + i)) for i in (0, 1))
data = open("cut.i/data/data.mdb", "rb").read()
assert data.count(is_there) >= 1
open("cut.i/data/data.mdb", "r+b").write(data.replace(is_there, wanted))
PYTHON
refused "is as if the end were cut off" 1 'a head of record [0-9]+ was signed, which is not there' \
    certmill audit verify --config cut.i/certmill.conf

# ---- without a key, and with one that is added

certmill init old --passphrase-file pass >/dev/null
sed -i '/^audit = {/,/^};/d' old/certmill.conf
rm old/keys/audit.key old/audit.pem
start old
check "an instance without a key issues" issue old --witness unsigned
check "nothing is kept" test ! -e unsigned
refused "no head is signed" 1 'no head of this audit log is signed' certmill audit head --dir old
check "and there is no alarm" certmill health --dir old
check "the log is chained" certmill audit verify --dir old
check "SIGTERM: exit 0" stop
check "a key for it" certmill key new --type ed25519 --passphrase-file pass --public old/audit.pem \
    old/keys/audit.key
echo 'audit = { key = "keys/audit.key"; public_key = "audit.pem"; };' >>old/certmill.conf
start old
check "heads are signed from now on" certmill audit verify --dir old --audit-key old/audit.pem
check "one at the start" grep -qx 'signed heads	1' out
check "SIGTERM: exit 0" stop
cp old/certmill.conf good.conf
sed -i 's|^audit = .*|audit = { key = "keys/main.key"; public_key = "audit.pem"; };|' old/certmill.conf
refused "a key that is not its public one" 1 "not the key of the audit log's public_key" certmilld \
    --config old/certmill.conf --passphrase-file pass
cp other.pem old/other.pem
sed -i 's|^audit = .*|audit = { key = "keys/audit.key"; public_key = "other.pem"; };|' old/certmill.conf
refused "nor the other way round" 1 "not the key of the audit log's public_key" certmilld \
    --config old/certmill.conf --passphrase-file pass
cp good.conf old/certmill.conf
mv old/keys/audit.key old/keys/old.key
mv old/audit.pem old/old.pem
certmill key new --type ed25519 --passphrase-file pass --public old/audit.pem old/keys/audit.key >/dev/null
echo 'signer = { process = false; };' >>old/certmill.conf
sed -i '/^signer = {$/,/^};$/d' old/certmill.conf
start old
check "another key takes over, in the daemon itself" certmill audit verify --dir old \
    --audit-key old/audit.pem --audit-key old/old.pem
refused "the old one's heads stay its own" 1 'a key that was not named' certmill audit verify --dir old \
    --audit-key old/audit.pem
check "SIGTERM: exit 0" stop
check "the last head covers the stop" stored old
certmill init ed --ca main=ed25519 --passphrase-file pass >/dev/null
openssl x509 -in ed/ca/main.pem -noout -pubkey >ed/main.pub
sed -i 's|public_key = "audit.pem"|public_key = "main.pub"|' ed/certmill.conf
refused "a CA's key is not the audit log's" 2 'is the key of CA "main": it has to be another' certmilld \
    --config ed/certmill.conf --passphrase-file pass
finish
