#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench: what this machine does with certmill, one line per figure: name<TAB>value<TAB>unit.
# What each figure means and how it is measured: docs/BENCH.md.
#
#   tools/bench.sh [--quick] issue|store|start|crypto|keys|all
#   tools/bench.sh life [CERTIFICATES [REVOKED]]    in the store beforehand: 400000, a tenth of them
#   tools/bench.sh crl [COUNT...]  entries of the lists, ascending: 1000000 10000000
#   tools/bench.sh table FILE      the figures as a Markdown table, with targets
#
# Environment: CERTMILL_BENCH_STORED   certificates in the large store (10000000)
#              CERTMILL_BENCH_ROUNDS   rounds; the median counts (3)
#              CERTMILL_BENCH_KEYS     key types (p256 ed25519 rsa2048 sm2)
#              CERTMILL_BENCH_FOLDER   where instances are made (build/bench)
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra keys <<<"${CERTMILL_BENCH_KEYS:-p256 ed25519 rsa2048 sm2}"
rounds=${CERTMILL_BENCH_ROUNDS:-3}
stored=${CERTMILL_BENCH_STORED:-10000000}
crl_counts=(1000000 10000000)
declare -A counts=([p256]=200000 [ed25519]=100000 [rsa2048]=30000 [sm2]=200000)
declare -A single_counts=([p256]=60000 [ed25519]=40000 [rsa2048]=15000 [sm2]=60000)
declare -A key_pools=([p256]=0 [ed25519]=0 [rsa2048]=512 [sm2]=8192)
if [ "${1:-}" = --quick ]; then
    shift
    rounds=${CERTMILL_BENCH_ROUNDS:-1}
    stored=${CERTMILL_BENCH_STORED:-1000000}
    counts=([p256]=100000 [ed25519]=60000 [rsa2048]=20000 [sm2]=60000)
    single_counts=([p256]=30000 [ed25519]=20000 [rsa2048]=10000 [sm2]=20000)
    key_pools[rsa2048]=128
    crl_counts=(1000000)
    key_pools[sm2]=2048
fi
in_flight=16 # messages of 64 requests
bin=build/release
folder=${CERTMILL_BENCH_FOLDER:-build/bench}
work=$folder/work
daemon_pid=

# ---- figures: to standard output, and into $work/figures for what is derived from them

say() { printf '%s\n' "$*" >&2; }

emit() { tee -a "$work/figures"; }

figure() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" | emit; }

# value NAME: the last one measured.
value() { awk -F'\t' -v name="$1" '$1 == name { v = $2 } END { if (v == "") exit 1; print v }' "$work/figures"; }

# ratio NAME A B: the figure A / B.
ratio() { figure "$1" "$(awk -v a="$(value "$2")" -v b="$(value "$3")" 'BEGIN { printf "%.3f", a / b }')" ratio; }

# medians FILE: one line for each name in it.
medians() {
    sort -t $'\t' -k1,1 -k2,2g "$1" | awk -F'\t' '
        $1 != name { flush_name(); name = $1; n = 0 }
        { v[n++] = $2; unit = $3 }
        END { flush_name() }
        function flush_name() { if (n) printf "%s\t%s\t%s\n", name, v[int(n / 2)], unit }'
}

header() {
    local cpu commit changed
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
    changed=$(git status --porcelain --untracked-files=no 2>/dev/null | head -n 1)
    printf '# %s, %s processors, %s MiB, Linux %s, %s; commit %s%s; LMDB fully synced on %s, self-check on; batch64: 64 requests a message, %s messages in flight; median of %s; %s\n' \
        "$cpu" "$(nproc)" "$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" "$(uname -r)" \
        "$(openssl version | cut -d' ' -f1,2)" "$commit" "${changed:++changes}" \
        "$(findmnt -no FSTYPE -T "$folder")" "$in_flight" "$rounds" "$(date -u +%Y-%m-%dT%H:%MZ)"
}

# ---- what is needed

build() {
    cmake --preset release >/dev/null
    cmake --build --preset release >&2
}

prepare() {
    mkdir -p "$folder"
    rm -rf "$work"
    mkdir -p "$work"
    (umask 077 && echo 'a passphrase for the benchmark' >"$work/passphrase")
}

# The file that holds the requests of a key type, made if it is not there.
csrs() { echo "$folder/csrs-$1-${counts[$1]}"; }
csrs_make() {
    local file
    file=$(csrs "$1")
    [ ! -s "$file" ] || return 0
    say "making ${counts[$1]} requests ($1)"
    "$bin/certmill-csrs" --type "$1" --count "${counts[$1]}" --keys "${key_pools[$1]}" \
        --key-file "$folder/keys-$1.pem" --threads "$(nproc)" --out "$file.new"
    mv "$file.new" "$file"
}

# instance NAME KEY [OPTION...]: a new CA of that key type in $work/NAME. Everything is at its default,
# except that the CA has the addresses a CA has.
instance() {
    local name=$1 type=${2/rsa2048/rsa:2048}
    shift 2
    rm -rf "${work:?}/$name"
    "$bin/certmill" init "$work/$name" --ca main="$type" --passphrase-file "$work/passphrase" \
        "$@" >/dev/null
    sed -i -e 's|# crl_url = ""|crl_url = "http://ca.example/crl/main-%s.crl"|' \
        -e 's|# ocsp_url = ""|ocsp_url = "http://ca.example/ocsp"|' \
        -e 's|# ca_issuers_url = ""|ca_issuers_url = "http://ca.example/main.cer"|' \
        "$work/$name/certmill.conf"
}

url_of() { echo "ipc://$work/$1/certmill.sock"; }

# daemon_start NAME: sets daemon_pid, and ready_ms: how long it took.
daemon_start() {
    local start_ns
    rm -f "$work/ready"
    mkfifo "$work/ready"
    start_ns=$(date +%s%N)
    "$bin/certmilld" --config "$work/$1/certmill.conf" --passphrase-file "$work/passphrase" \
        --ready-fd 3 3>"$work/ready" 2>>"$work/$1.log" &
    daemon_pid=$!
    if ! read -r <"$work/ready"; then
        say "certmilld did not start:"
        cat "$work/$1.log" >&2
        exit 1
    fi
    ready_ms=$(awk -v a="$start_ns" -v b="$(date +%s%N)" 'BEGIN { printf "%.1f", (b - a) / 1e6 }')
}

daemon_stop() {
    [ -n "$daemon_pid" ] || return 0
    kill -TERM "$daemon_pid" 2>/dev/null || true
    wait "$daemon_pid" || say "certmilld ended with $?"
    daemon_pid=
}
trap daemon_stop EXIT

last_cpu=$(taskset -cp $$ | sed 's/.*[^0-9]//')
# load NAME KEY PREFIX OPTION...: figures of one run against the instance NAME. The client stays on the
# last processor: nng's threads in it would otherwise wander over those the daemon works on.
load() {
    local name=$1 key=$2 prefix=$3
    shift 3
    taskset -c "$last_cpu" "$bin/certmill-load" --url "$(url_of "$name")" --csrs "$(csrs "$key")" --profile enterprise \
        --value uscc=%uscc --pid "$daemon_pid" --prefix "$prefix." --verify 16 "$@"
}

batch64() { load "$1" "$2" "$3" --count "${counts[$2]}" --warm-up $((counts[$2] / 10)) --per-message 64 --in-flight $in_flight; }
single() { load "$1" "$2" "$3" --count "${single_counts[$2]}" --warm-up $((single_counts[$2] / 10)) --per-message 1 --in-flight 64; }
single8() { load "$1" "$2" "$3" --count $((single_counts[$2] / 4)) --warm-up 1000 --per-message 1 --in-flight 8; }

# ---- issue

primitives() { "$bin/bench_primitives" --type "$1" --csrs "$(csrs "$1")"; }

# One round for one key type: the engine on a new instance, raw primitives before and after.
issue_round() {
    local key=$1
    primitives "$key"
    instance "issue-$key" "$key"
    daemon_start "issue-$key"
    batch64 "issue-$key" "$key" "issue.$key.batch64"
    primitives "$key"
    single "issue-$key" "$key" "issue.$key.single"
    if [ "$key" = p256 ]; then
        "$bin/bench_commit" "$work"
        single8 "issue-$key" "$key" "issue.$key.single8"
        "$bin/bench_commit" "$work"
        "$bin/bench_naive" --type "$key" --csrs "$(csrs "$key")"
    fi
    daemon_stop
}

# add_ratios FILE: what follows from the figures of one round; of those measured twice, the mean.
add_ratios() {
    awk -F'\t' '
        { sum[$1] += $2; v[$1] = sum[$1] / ++n[$1] }
        function divide(name, a, b) { if (a in v && b in v) printf "%s\t%.3f\tratio\n", name, v[a] / v[b] }
        END {
            split("p256 ed25519 rsa2048 sm2", keys, " "); split("batch64 single", modes, " ")
            for (k in keys) for (m in modes) {
                run = "issue." keys[k] "." modes[m]
                divide(run ".efficiency", "issue." keys[k] ".openssl.us", run ".server_us")
                divide(run ".efficiency_own", "issue." keys[k] ".primitives.us", run ".server_us")
            }
            divide("life.renew.p256.efficiency", "issue.p256.openssl.us", "life.renew.p256.server_us")
            divide("life.renew.p256.efficiency_own", "issue.p256.primitives.us", "life.renew.p256.server_us")
            divide("issue.p256.batch64.of_naive", "issue.p256.batch64.server_us", "issue.p256.naive.us")
            divide("issue.p256.single8.p50_of_commit", "issue.p256.single8.p50_ms", "commit.bare.ms")
            divide("issue.p256.single8.p99_of_commit", "issue.p256.single8.p99_ms", "commit.bare.ms")
        }' "$1"
    cat "$1"
}

bench_issue() {
    local key round
    for key in "${keys[@]}"; do
        csrs_make "$key"
        : >"$work/rounds"
        for ((round = 1; round <= rounds; round++)); do
            say "issue: $key, round $round of $rounds"
            issue_round "$key" >"$work/round"
            add_ratios "$work/round" >>"$work/rounds"
        done
        medians "$work/rounds" | emit
    done
    # Against the OpenSSL signatures most CAs use, whatever the key.
    for key in p256 sm2; do
        if ! value "issue.$key.batch64.server_us" >/dev/null || ! value issue.p256.openssl.us >/dev/null; then
            continue # CERTMILL_BENCH_KEYS left it out
        fi
        ratio "issue.$key.batch64.of_openssl_p256" "issue.$key.batch64.server_us" issue.p256.openssl.us
        ratio "issue.$key.single.of_openssl_p256" "issue.$key.single.server_us" issue.p256.openssl.us
    done
}

# ---- with many certificates stored

# An instance with $stored certificates, written through store.h.
instance_filled() {
    [ ! -e "$work/filled" ] || return 0
    instance filled p256 --instance 1
    say "filling a store with $stored certificates"
    "$bin/bench_store" fill "$work/filled/data" "$stored" >&2
}

bench_stored_rate() {
    local round
    csrs_make p256
    instance_filled
    instance empty p256
    : >"$work/rounds"
    for ((round = 1; round <= rounds; round++)); do
        for name in empty filled; do
            say "issue: $name store, round $round of $rounds"
            daemon_start "$name"
            batch64 "$name" p256 "issue.p256.$name" >>"$work/rounds"
            daemon_stop
        done
    done
    medians "$work/rounds" | grep -E '\.(rate|server_us)' | emit
    ratio "issue.p256.batch64.at$((stored / 1000000))m" issue.p256.filled.rate issue.p256.empty.rate
}

# ---- start

bench_start() {
    local round anonymous_kib
    instance_filled
    : >"$work/rounds"
    for ((round = 1; round <= rounds; round++)); do
        daemon_start filled
        anonymous_kib=$(awk '/^RssAnon/ { print $2 }' "/proc/$daemon_pid/status")
        printf 'start.%s.ready_ms\t%s\tms\n' "$stored" "$ready_ms" >>"$work/rounds"
        awk -v kib="$anonymous_kib" -v name="start.$stored.anonymous_mib" \
            'BEGIN { printf "%s\t%.1f\tMiB\n", name, kib / 1024 }' >>"$work/rounds"
        daemon_stop
    done
    medians "$work/rounds" | emit
}

# ---- store, crypto

bench_store() {
    local round
    say "store alone, $stored certificates"
    "$bin/bench_store" fill "$work/store" "$stored" >/dev/null
    : >"$work/rounds"
    for ((round = 1; round <= rounds; round++)); do
        "$bin/bench_store" put "$work/store" | grep -F .put. >>"$work/rounds"
    done
    medians "$work/rounds" | emit
    "$bin/bench_store" find "$work/store" >/dev/null # brings the files into memory
    "$bin/bench_store" find "$work/store" | grep -F .find. | emit
    "$bin/bench_store" revoke "$work/store" | grep -F .revoke. | emit
    "$bin/bench_store" scan "$work/store" | grep -F crl.scan | emit
    rm -rf "$work/store"
}

bench_crypto() { "$bin/bench_crypto" | emit; }

# ---- keys

bench_keys() {
    say "a key in a token (SoftHSM) against bare C_Sign"
    "$bin/bench_hsm" | emit
    say "a key in the signer process against one in this process"
    "$bin/bench_signer" | emit
}

# ---- life: revocations and renewals

# revoke_rounds CERTIFICATES REVOKED: in a store with so many, of those that are not yet revoked.
revoke_rounds() {
    local listed=60000 round lists=()
    [ $((listed * rounds)) -le $((($1 - $2) / 2)) ] || listed=$((($1 - $2) / 2 / rounds))
    for ((round = 1; round <= rounds; round++)); do
        lists+=("$work/list-$round")
    done
    instance life p256 --instance 1
    say "filling a store with $1 certificates, $2 revoked"
    "$bin/bench_life" "$work/life/data" "$1" "$2" "$listed" "${lists[@]}"
    find "$work/life/data" -type f -exec cat {} + >/dev/null # brings the files into memory
    for ((round = 1; round <= rounds; round++)); do
        say "life: revocations, round $round of $rounds"
        daemon_start life
        "$bin/certmill-load" --url "$(url_of life)" --revoke "$work/list-$round" --per-message 64 \
            --in-flight $in_flight --connections 4 --warm-up $((listed / 10)) --pid "$daemon_pid" \
            --prefix life.revoke.
        daemon_stop
    done
}

# Every certificate of a new instance once, in random order, each for another key.
renew_round() {
    local count=${single_counts[p256]}
    instance renew p256
    daemon_start renew
    load renew p256 unused --count "$count" --per-message 64 --in-flight $in_flight \
        --keep "$work/kept" >/dev/null
    primitives p256
    load renew p256 life.renew.p256 --renew "$work/kept" --warm-up $((count / 10)) \
        --per-message 64 --in-flight $in_flight
    primitives p256
    daemon_stop
}

bench_life() {
    local certificates=${1:-400000} revoked=${2:-} round
    revoked=${revoked:-$((certificates / 10))}
    csrs_make p256
    figure life.stored "$certificates" certificates
    figure life.stored_revoked "$revoked" certificates
    revoke_rounds "$certificates" "$revoked" >"$work/rounds"
    for ((round = 1; round <= rounds; round++)); do
        say "life: renewals, round $round of $rounds"
        renew_round >"$work/round"
        add_ratios "$work/round" | grep -F life. >>"$work/rounds"
    done
    medians "$work/rounds" | emit
}

# ---- crl: lists from stored state

# What follows from the figures of the smallest and the largest list.
crl_ratios() {
    ratio "crl.full.$1.of_openssl" "crl.full.$1.seconds" "crl.openssl.$1.seconds"
    figure "crl.sm2.$2.of_bound" "$(awk -v s="$(value "crl.sm2.$2.seconds")" \
        -v octets="$(value "crl.sm2.$2.octets")" -v speed="$(value crl.sm3.speed)" \
        -v sha="$(value "crl.full.$2.seconds")" \
        'BEGIN { printf "%.3f", s / (1.3 * octets / speed / 1e6 + sha) }')" ratio
    figure "crl.delta.1000.of.$2.above_commit_ms" "$(awk -v ms="$(value "crl.delta.1000.of.$2.ms")" \
        -v commit="$(value crl.commit.ms)" 'BEGIN { printf "%.3f", ms - commit }')" ms
    [ "$1" = "$2" ] || ratio "crl.full.$2.of_$1" "crl.full.$2.seconds" "crl.full.$1.seconds"
}

# How far the data file of the instance grows while a command runs, in KiB: into the file named.
grown() {
    local before to=$2 file=$work/$1/data/data.mdb
    shift 2
    before=$(stat -c %b "$file")
    "$@"
    echo $((($(stat -c %b "$file") - before) / 2)) >"$to"
}

# Lists of the instance, one after the other, until it is told to stop.
make_lists() {
    local url
    url=$(url_of "$1")
    while [ ! -e "$work/enough" ]; do
        "$bin/certmill" crl make --url "$url" >>"$work/made"
    done
}

# Certificates while lists are made, and without; in turn, so that both meet the same store.
crl_issue() {
    local name=$1 round makes
    csrs_make p256
    : >"$work/rounds"
    daemon_start "$name"
    "$bin/certmill" crl make --url "$(url_of "$name")" >/dev/null
    for ((round = 1; round <= rounds; round++)); do
        say "crl: issuing without and with a list being made, round $round of $rounds"
        grown "$name" "$work/grown-alone" batch64 "$name" p256 crl.issue.alone >>"$work/rounds"
        rm -f "$work/enough"
        : >"$work/made"
        make_lists "$name" &
        makes=$!
        grown "$name" "$work/grown-making" batch64 "$name" p256 crl.issue.making >>"$work/rounds"
        touch "$work/enough"
        wait "$makes"
        printf 'crl.issue.making.lists\t%s\tlists\n' "$(grep -c full "$work/made")" >>"$work/rounds"
        awk -v a="$(cat "$work/grown-alone")" -v b="$(cat "$work/grown-making")" \
            'BEGIN { printf "crl.issue.alone.grown\t%.1f\tMiB\ncrl.issue.making.grown\t%.1f\tMiB\n", a / 1024, b / 1024 }' \
            >>"$work/rounds"
    done
    daemon_stop
    medians "$work/rounds" | grep -E 'rate|lists|grown' | emit
    ratio crl.issue.of_alone crl.issue.making.rate crl.issue.alone.rate
}

bench_crl() {
    local sizes=("${@:-}") count out=$work/lists
    [ -n "${sizes[0]}" ] || sizes=("${crl_counts[@]}")
    mkdir -p "$out"
    "$bin/bench_crl" hashes | emit
    for count in "${sizes[@]}"; do
        instance "crl-$count" p256
        say "crl: revoking $count"
        "$bin/bench_crl" fill "$work/crl-$count/data" "$work/crl-$count/ca/main.pem" "$count"
        say "crl: lists of $count"
        "$bin/bench_crl" make "$work/crl-$count/data" "$work/crl-$count/ca/main.pem" "$out" | emit
        [ "$count" != "${sizes[0]}" ] || "$bin/bench_crl" openssl "$out/bench.crl" | emit
    done
    "$bin/bench_crl" delta "$work/crl-$count/data" "$work/crl-$count/ca/main.pem" "$out" 1000 | emit
    crl_ratios "${sizes[0]}" "$count"
    crl_issue "crl-$count"
}

# ---- the table

# targets: pattern of the name (a regular expression), relation, bound.
targets() {
    cat <<'END'
issue\.(p256|ed25519)\.batch64\.efficiency >= 0.85
issue\.rsa2048\.batch64\.efficiency >= 0.90
issue\.sm2\.batch64\.efficiency >= 0.95
issue\.p256\.single\.efficiency >= 0.75
issue\.rsa2048\.single\.efficiency >= 0.85
issue\.p256\.batch64\.of_naive <= 0.333
issue\.p256\.single8\.p50_of_commit <= 4
issue\.p256\.single8\.p99_of_commit <= 10
issue\.p256\.batch64\.at[0-9]+m >= 0.9
issue\.(p256|sm2)\.batch64\.of_openssl_p256 <= 0.45
issue\.(p256|sm2)\.single\.of_openssl_p256 <= 0.60
store\.put\.rate >= 150000
store\.put\.us <= 5
store\.find\..*us <= 10
start\.[0-9]+\.ready_ms <= 1000
crl\.full\.1000000\.of_openssl <= 0.0333
crl\.full\.10000000\.of_1000000 <= 12
crl\.(full|sm2)\.10000000\.memory <= 32
crl\.sm2\.10000000\.of_bound <= 1
crl\.delta\.1000\.of\.10000000\.above_commit_ms <= 20
crl\.issue\.of_alone >= 0.6
life\.revoke\.rate >= 20000
life\.renew\.p256\.efficiency >= 0.80
start\.[0-9]+\.anonymous_mib <= 128
crypto\.lanes\.(p256|sm2)\.(sign|verify)\.ratio >= 3.5
crypto\.lanes\.(p256|sm2)\.verify_own\.ratio >= 6
crypto\.lanes\.rsa2048\.sign\.ratio >= 1.4
crypto\.lanes\.rsa2048\.verify\.ratio >= 2.5
hsm\.softhsm\.efficiency >= 0.9
crypto\.portable\.sm2\.(sign|verify)\.ratio >= 0.7
END
}

table() {
    sed -n 's/^# //p' "$1" | head -n 1
    echo
    echo '| figure | value | unit | target | |'
    echo '|---|---:|---|---|---|'
    awk -F'\t' '
        NR == FNR { split($0, t, " "); pattern[NR] = "^" t[1] "$"; relation[NR] = t[2]; bound[NR] = t[3]; count = NR; next }
        /^#/ || NF != 3 { next }
        {
            target = ""; verdict = ""
            for (i = 1; i <= count; i++) if ($1 ~ pattern[i]) {
                target = (relation[i] == ">=" ? "≥ " : "≤ ") bound[i]
                met = relation[i] == ">=" ? $2 + 0 >= bound[i] + 0 : $2 + 0 <= bound[i] + 0
                verdict = met ? "met" : "**missed**"
            }
            printf "| `%s` | %s | %s | %s | %s |\n", $1, $2, $3, target, verdict
        }' <(targets) "$1"
}

usage() {
    sed -n '/^#   tools/s/^# *//p' "$0" >&2
    exit 2
}

case ${1:-} in
table)
    [ $# -eq 2 ] || usage
    table "$2"
    exit
    ;;
issue | store | start | crypto | life | crl | keys | all) ;;
*) usage ;;
esac
build
prepare
header
case $1 in
issue)
    bench_issue
    bench_stored_rate
    ;;
store) bench_store ;;
start) bench_start ;;
crypto) bench_crypto ;;
keys) bench_keys ;;
life) bench_life "${@:2}" ;;
crl) bench_crl "${@:2}" ;;
all)
    bench_crypto
    bench_keys
    bench_store
    bench_issue
    bench_stored_rate
    bench_start
    bench_life
    bench_crl
    ;;
esac
rm -rf "$work"
