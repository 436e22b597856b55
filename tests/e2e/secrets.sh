#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# secrets: no key, PIN or passphrase in cores, /proc, logs, answers, files or memory that is swapped.
#
#   secrets.sh BUILD SOURCE           all but memory
#   secrets.sh BUILD SOURCE memory    memory, at which only root can look
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/token.sh"
here=$2/tests/e2e
part=${3:-}

# As a service does: under a user of its own, where there is one to be had.
as_user=()
switch=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if [ "$(id -u)" -eq 0 ] && "${switch[@]}" true 2>/dev/null; then
    as_user=("${switch[@]}")
    # Where that user can run them: the build may be in somebody's home.
    mkdir programs
    cp "$(command -v certmill)" "$(command -v certmilld)" programs
    PATH=$work/programs:$PATH
fi
echo 'the half that Alice keeps' >alice
echo 'the half that Bob keeps' >bob
echo 'pin-that-nobody-shall-see' >pin
chmod 600 alice bob pin
softhsm2-util --init-token --free --label quiet --so-pin 12345678 --pin "$(cat pin)" >/dev/null
both=(--passphrase-file alice --passphrase-file bob)
check "a key in a token" certmill key new --type p256 --module "$module" --pin-file pin \
    'pkcs11:token=quiet;object=ca'
cas=(--key token='pkcs11:token=quiet;object=ca')
for ca in p256=p256 p384=p384 sm2=sm2 ed=ed25519 rsa=rsa:2048; do
    certmill key new --type "${ca#*=}" --passes 2 --memory-mib 64 "${both[@]}" "${ca%=*}.key" >/dev/null
    cas+=(--key "${ca%=*}=${ca%=*}.key")
done
check "an instance with every kind of key" certmill init "${both[@]}" "${cas[@]}" --module "$module" \
    --pin-file pin i
mkdir needles answers
chmod 700 needles
for ca in p256 p384 sm2 ed rsa; do
    unseal_key "i/keys/$ca.key" alice bob >"needles/$ca.p8"
done
cp alice needles/alice.text
cp bob needles/bob.text
cp pin needles/pin.text
[ ${#as_user[@]} -eq 0 ] || chown -R 65534:65534 "$work"

# The search finds what is there.
planted() {
    { python3 "$here/secrets.py" files needles planted || true; } | grep -F "planted: $1" >/dev/null
}
cat needles/p256.p8 >planted
check "the search finds a planted key" planted 'p256 scalar raw'
openssl pkey -inform DER -in needles/rsa.p8 -traditional 2>/dev/null | grep -v -- '---' | tr -d '\n' >planted
check "a planted key in base64" planted 'rsa prime1 raw base64'
openssl pkey -inform DER -in needles/rsa.p8 -noout -text | tr -d ': \n' >planted
check "a planted key in hexadecimal" planted 'rsa private_exponent raw hex'
base64 -w 0 pin >planted
check "a planted PIN in base64" planted 'pin base64'
rm planted

# daemon_start: in a process group of its own, and where cores would be written.
mkdir cores
chmod 777 cores
daemon_start() {
    rm -f ready
    mkfifo ready
    [ ${#as_user[@]} -eq 0 ] || chown 65534 ready
    (
        cd cores
        ulimit -c unlimited
        exec setsid "${as_user[@]}" certmilld --config ../i/certmill.conf --passphrase-file ../alice \
            --passphrase-file ../bob --ready-fd 9 9>../ready 2>>../daemon.log
    ) &
    daemon=$!
    read -r -t 60 _ <ready || {
        cat daemon.log
        exit 1
    }
}
# load: a few hundred signatures with each key; all answers are kept.
load() {
    local ca
    for ca in p256 p384 sm2 ed rsa token; do
        "${as_user[@]}" certmill issue --dir i --profile tls-server --ca $ca --json "${csrs[@]}" \
            >"answers/$1-$ca" 2>&1
    done
}
for n in $(seq 1 200); do csrs+=("csrs/$n.csr"); done
mkdir csrs
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.key \
    -subj "/CN=www.example.cn" -addext "subjectAltName=DNS:www.example.cn" -out k.csr 2>/dev/null
for csr in "${csrs[@]}"; do cp k.csr "$csr"; done
[ ${#as_user[@]} -eq 0 ] || chown -R 65534:65534 answers csrs

daemon_start
load first
for question in "ca show" "ca list --json" stats health "find --from 2020-01-01"; do
    # shellcheck disable=SC2086
    "${as_user[@]}" certmill $question --dir i >>answers/questions 2>&1 || true
done
check "certificates were issued" test "$(cat answers/first-* | grep -c 'BEGIN CERTIFICATE')" -ge 1200
wrong_pin() { certmill key list --module "$module" --pin-file alice 'pkcs11:token=quiet'; }
wrong_pin >answers/wrong_pin 2>&1 || true

# group: the processes of the daemon's, which may be several.
group() {
    local stat
    for stat in /proc/[0-9]*/stat; do
        [ "$(sed 's/.*) //' "$stat" 2>/dev/null | cut -d' ' -f3)" != "$daemon" ] || basename "${stat%/stat}"
    done
}
check "the daemon is in its group" sh -c 'echo "$1" | grep -qx "$0"' "$daemon" "$(group)"
if [ "$part" = memory ]; then
    check "only locked pages hold keys, no page a passphrase" python3 "$here/secrets.py" processes \
        needles "$daemon"
    cat out
    check "the end" stop
    finish
fi

check "nothing in answers, logs and files" python3 "$here/secrets.py" files needles answers daemon.log \
    i tokens

# ---- /proc
for process in $(group); do
    name=$(cat "/proc/$process/comm")
    for file in mem environ maps; do
        refused "$name: /proc/PID/$file by its own user" 1 'ermission denied' "${as_user[@]}" cat \
            "/proc/$process/$file"
    done
    check "$name: cannot be dumped" test "$(stat -c %u "/proc/$process/environ")" = 0
done
if command -v gdb >/dev/null; then
    "${as_user[@]}" timeout -k 5 60 gdb -p "$daemon" -batch -ex 'generate-core-file gcore' >gdb.out 2>&1 || true
    check "a debugger is refused" grep -qiE 'not permitted|ptrace' gdb.out
    check "and writes nothing" test ! -e gcore
fi

# ---- cores
(cd cores && ulimit -c unlimited && exec sleep 600) &
other=$!
# raise_limit: from outside, as far as this system lets us.
raise_limit() {
    local process
    for process in $(group); do prlimit --core=unlimited --pid "$process" 2>/dev/null || true; done
}
raise_limit
kill -ABRT "$other"
wait "$other" 2>/dev/null || true
if ls cores/core* >/dev/null 2>&1; then
    rm cores/core*
    for signal in ABRT QUIT; do
        kill -$signal -- "-$daemon"
        wait "$daemon" 2>/dev/null || true
        check "no core of SIG$signal" test -z "$(ls -A cores)"
        daemon_start
        raise_limit
    done
else
    echo "not shown: this system writes no core files into folders"
fi
check "the end" stop
check "nothing in the log" python3 "$here/secrets.py" files needles daemon.log
finish
