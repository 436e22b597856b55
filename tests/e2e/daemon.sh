#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# daemon: start, refusals at start, who may ask, stop.
. "$(dirname "$0")/lib.sh"

certmill init i --ca main=p256 --passphrase-file pass >/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.key \
    -subj "/CN=www.example.cn" -out k.csr 2>/dev/null

run=(certmilld --config i/certmill.conf)
check "the configuration is good" "${run[@]}" --check
refused "wrong passphrase" 1 'main.key: wrong passphrase' "${run[@]}" --passphrase-file wrong
cp wrong open && chmod 644 open
refused "passphrase file open to others" 1 'closed to all others' "${run[@]}" \
    --passphrase-file open
refused "no such configuration" 2 'No such file' certmilld --config nowhere --check
refused "unknown flag" 2 usage certmilld --nonsense
refused "passphrase as an argument" 2 usage certmilld --passphrase secret

sed 's/^listen/listne/' i/certmill.conf >i/bad.conf
line=$(grep -n '^listne' i/bad.conf | cut -d: -f1)
refused "a misspelt setting, with its line" 2 "i/bad.conf:$line: there is no setting" \
    certmilld --config i/bad.conf --check

certmill init other --ca main=p256 --passphrase-file pass >/dev/null
cp i/keys/main.key main.key.kept
cp other/keys/main.key i/keys/main.key
refused "a key that is not the certificate's" 1 'not the key of the certificate' "${run[@]}" \
    --passphrase-file pass
for at in 1 9 20 60 100; do
    python3 - "$at" <<'PY'
import sys
at = int(sys.argv[1])
octets = bytearray(open("main.key.kept", "rb").read())
octets[at] ^= 1
open("i/keys/main.key", "wb").write(octets)
PY
    refused "a sealed key altered at octet $at" 1 'wrong passphrase, or the sealed key was altered' \
        "${run[@]}" --passphrase-file pass
done
head -c 40 main.key.kept >i/keys/main.key
refused "half a sealed key" 1 'wrong passphrase, or the sealed key was altered' "${run[@]}" \
    --passphrase-file pass
cp main.key.kept i/keys/main.key

mv i/data/data.mdb kept.mdb && : >i/data/data.mdb
refused "an empty data file" 1 'i/data: ' "${run[@]}" --passphrase-file pass
mv kept.mdb i/data/data.mdb

if ! ldd "$(command -v certmilld)" | grep -qE 'lib(asan|tsan)'; then # they fake locking
    locking=()
    [ "$(id -u)" -ne 0 ] || locking=(setpriv --bounding-set=-ipc_lock)
    low=("${locking[@]}" prlimit --memlock=65536:65536)
    need='keys need 2048 KiB of locked memory, and the limit is 64: '
    refused "too little locked memory" 1 "^certmilld: $need" "${low[@]}" "${run[@]}" --passphrase-file pass
    check "in one line" test "$(wc -l <err)" -eq 1
    refused "for a command" 1 "^certmill: $need" "${low[@]}" certmill key list --check \
        --passphrase-file pass i
    check "as much as may be had" "${locking[@]}" prlimit --memlock=65536:2097152 \
        certmill key list --check --passphrase-file pass i
fi

start i
check "ready, in one line" test "$(grep -c '^certmilld ready: ' daemon.log)" -eq 1
check "with what it has" grep -q '^certmilld ready: ipc://[^ ]*, 1 CA, 2 profiles, 0 certificates$' daemon.log
refused "a second daemon" 1 'in use by another' "${run[@]}" --passphrase-file pass
check "the first one goes on" certmill health --dir i
check "no core dumps" grep -q '^Max core file size *0 ' "/proc/$daemon/limits"
# policies NAME: how threads of that name are scheduled (field 41 of their stat; 0 other, 3 batch).
policies() {
    sed -n "s/^[0-9]* ($1) //p" "/proc/$daemon/task"/*/stat | cut -d' ' -f39 | sort -u | xargs
}
check "nng's threads run as a batch" test "$(policies nng:task)" = 3
check "those that compute do not" test "$(policies certmilld)" = 0
check "memory is locked" awk '/^VmLck/ { exit !($2 > 0) }' "/proc/$daemon/status"
status="/proc/$daemon/status"
# LeakSanitizer keeps the right to look at its own process (ca/keys/confine.c): CAP_SYS_PTRACE.
none='^0+$'
! ldd "$(command -v certmilld)" | grep -q libasan || none='^0+(80000)?$'
check "no capability is left" awk -v none="$none" '/^Cap(Inh|Prm|Eff|Amb):/ { left = left || $2 !~ none }
    END { exit left }' "$status"
check "nothing executed gains rights" grep -q '^NoNewPrivs:.1$' "$status"
check "system calls are filtered" grep -q '^Seccomp:.2$' "$status"
check "in every thread" test -z "$(grep -L '^Seccomp:.2$' "/proc/$daemon"/task/*/status)"
check "it issues" certmill issue --dir i --profile tls-server --dns www.example.cn k.csr
check "SIGTERM: exit 0" stop

start i
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
daemon=
start i
check "a lock left by kill -9 does not block" certmill health --dir i
for _ in 1 2 3; do
    python3 -c 'import socket
s = socket.socket(socket.AF_UNIX)
s.connect("i/certmill.sock")
s.close()'
    # Who came before the listener was opened again is cut off, and comes again.
    check "a caller that hangs up before a word does not make it deaf" sh -c \
        'for _ in 1 2 3 4 5 6; do certmill health --dir i && exit 0; sleep 0.5; done; exit 1'
done
check "nothing is lost" test "$(certmill find --dir i --from 2020-01-01 | wc -l)" -eq 1
check "no passphrase in the log" sh -c '! grep -q horse daemon.log'
# The sanitizers' own memory would count.
if ! grep -qE '__(asan|tsan)_init' "$1/certmilld"; then
    serial=$(certmill find --dir i --from 2020-01-01 | cut -f1)
    limit() { prlimit --pid "$daemon" --data="$1:unlimited"; }
    check "a daemon that gets no more memory" limit \
        "$(awk '/^VmData/ { print $2 * 1024 }' "/proc/$daemon/status")"
    copies=()
    for _ in $(seq 600); do copies+=(k.csr); done
    certmill issue --dir i --profile tls-server --dns www.example.cn "${copies[@]}" --out many.pem \
        >many.log 2>&1 &
    asking=$!
    check "is well" certmill health --dir i
    check "and revokes" certmill revoke --dir i --reason superseded "$serial"
    check "until there is memory again" limit unlimited
    check "who asked meanwhile was never told to stop asking" wait $asking
    check "and has all that was asked for" test "$(grep -c BEGIN many.pem)" -eq 600
fi
check "SIGTERM: exit 0" stop

sed 's|# user = ""|user = "no such user"|' i/certmill.conf >i/nouser.conf
sed 's|# group = ""|group = "nogroup"|' i/certmill.conf >i/nogroup.conf
line=$(grep -n '^user' i/nouser.conf | cut -d: -f1)
refused "no such user" 2 "i/nouser.conf:$line: there is no user \"no such user\"" certmilld \
    --config i/nouser.conf --passphrase-file pass
refused "which the check says, too" 2 'there is no user' certmilld --config i/nouser.conf --check
# absent SETTING PATH: a configuration that names what is not there
absent() {
    sed "s|^\( *\)\(# \)\?$1 = .*|\1$1 = \"$2\";|" i/certmill.conf >i/absent.conf
    line=$(grep -n "^ *$1 = " i/absent.conf | cut -d: -f1)
    refused "$1 that is not there" 2 "i/absent.conf:$line: .*$2: No such file" certmilld \
        --config i/absent.conf --check
}
absent data nowhere
absent key keys/nobody.key
sed -i 's|"ipc://certmill.sock"|"tls+tcp://127.0.0.1:1"|' i/certmill.conf
absent tls_file nowhere.pem
sed -i 's|"tls+tcp://127.0.0.1:1"|"ipc://certmill.sock"|' i/certmill.conf
chmod 777 i/data
refused "data that others may write to" 2 "i/certmill.conf: .*i/data: others may write to it" \
    "${run[@]}" --check
chmod 700 i/data
for file in data.mdb lock lock.mdb; do
    chmod 000 "i/data/$file"
    refused "$file that may not be opened" 1 'i/data: its files may not be written' "${run[@]}" \
        --passphrase-file pass
    chmod 600 "i/data/$file"
done
chmod 644 i/keys/main.key
refused "a key that others may read" 1 'main.key: the file must be yours and closed' "${run[@]}" \
    --passphrase-file pass
chmod 600 i/keys/main.key
cp i/data/data.mdb kept.mdb
for size in 0 100 8192; do
    truncate -s $size i/data/data.mdb
    refused "data cut off at $size" 1 'i/data: stored record is damaged' "${run[@]}" \
        --passphrase-file pass
    cp kept.mdb i/data/data.mdb
done
check "the data as it was" "${run[@]}" --check
sed 's|# data = "data"|data = "certmill.conf"|' i/certmill.conf >i/nofolder.conf
refused "a file for a folder" 2 'certmill.conf: Not a directory' certmilld \
    --config i/nofolder.conf --check
refused "a group without a user" 2 '"group" without "user"' certmilld --config i/nogroup.conf --check
if [ "$(id -u)" -ne 0 ]; then
    sed 's|# user = ""|user = "daemon"|' i/certmill.conf >i/daemon.conf
    refused "who is not root becomes nobody else" 1 'may not become user "daemon"' certmilld \
        --config i/daemon.conf --passphrase-file pass
fi
refused "nobody there" 1 'is the daemon running' certmill health --dir other
finish
