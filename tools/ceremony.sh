#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ceremony: makes a CA key before witnesses, and its root certificate or request, and writes down
# everything that was done (docs/CEREMONY.md).
#
#   tools/ceremony.sh [--answers FILE] FOLDER
#
# FOLDER is made: transcript.txt, the instance, and for a key in a file a sealed copy of it. What
# FILE (lines of NAME=VALUE) does not answer is asked. Passphrases go from the custodians' keyboard
# to certmill, and never through here.
set -euo pipefail
umask 077
export LC_ALL=C TZ=UTC

program=$(readlink -f "$0")
transcript=
declare -A answers=()

fail() {
    echo "ceremony: $*" >&2
    [ -z "$transcript" ] || printf 'FAILED: %s\n' "$*" >>"$transcript"
    exit 1
}
usage() {
    sed -n 's/^#   \(tools.*\)/usage: \1/p' "$program" >&2
    exit 2
}

# ---- questions

known=(purpose place operator custodian_1 custodian_2 witnesses where ca type subject result years
    token_key module pin_file passphrase_1 passphrase_2)
load_answers() {
    local name value
    while IFS='=' read -r name value; do
        [[ -n $name && $name != \#* ]] || continue
        [[ " ${known[*]} " == *" $name "* ]] || fail "$1: no such answer: $name"
        answers[$name]=$value
    done <"$1"
}
# ask NAME QUESTION [DEFAULT]: into answers[NAME].
ask() {
    local name=$1 value
    if [ -z "${answers[$name]+there}" ]; then
        read -r -p "$2${3:+ [$3]}: " value || fail "no answer: $2"
        answers[$name]=${value:-${3:-}}
    fi
    [ -n "${answers[$name]}" ] || fail "needs an answer: $2"
    [[ ${answers[$name]} != *[[:cntrl:]]* ]] || fail "not an answer: $2"
}
ask_one_of() { # NAME QUESTION DEFAULT WORD...
    ask "$1" "$2" "$3"
    [[ " ${*:4} " == *" ${answers[$1]} "* ]] || fail "${answers[$1]} is none of: ${*:4}"
}
ask_all() {
    ask purpose 'What is this key for'
    ask place 'Place of the ceremony'
    ask operator 'Who works at the keyboard'
    ask witnesses 'Witnesses, with commas between'
    ask_one_of where 'Key in a file under dual control, or in a token (file, token)' file file token
    if [ "${answers[where]}" = file ]; then
        ask custodian_1 'Custodian of the first half'
        ask custodian_2 'Custodian of the second half'
        [ "${answers[custodian_1]}" != "${answers[custodian_2]}" ] || fail 'one custodian has both halves'
    else
        ask token_key 'URI of the new key (pkcs11:token=NAME;object=NAME)'
        ask module 'PKCS#11 module of the token'
        ask pin_file 'File with its PIN'
    fi
    ask ca 'Name of the CA' main
    ask type 'Type of its key' p384
    ask subject 'Subject (C=CN,O=...,CN=...)'
    ask_one_of result 'Self-signed root, or request for an outer one (root, request)' root root request
    [ "${answers[result]}" = request ] || ask years 'Validity in years' 10
}

# ---- the transcript

now() { date +%Y-%m-%dT%H:%M:%SZ; }
note() { printf '%s\n' "$@" | tee -a "$transcript"; }
chapter() { note "" "== $* =="; }
# run COMMAND...: with what it writes, its exit code and the time, in the transcript.
run() {
    local code=0
    note "" "[$(now)] \$ ${*@Q}"
    "$@" 2>&1 | tee -a "$transcript" || code=$?
    note "[$(now)] exit code $code"
    [ "$code" -eq 0 ] || fail "a command failed: $1 ${2:-}"
}
# look COMMAND...: as run, for what a system may not have.
look() {
    note "" "[$(now)] \$ ${*@Q}"
    { "$@" 2>&1 || echo "(not to be had here)"; } | tee -a "$transcript"
}

record_people() {
    chapter "Who, where, what for"
    note "Certmill key ceremony, begun $(now)"
    note "Purpose:     ${answers[purpose]}"
    note "Place:       ${answers[place]}"
    note "Operator:    ${answers[operator]}"
    [ "${answers[where]}" != file ] ||
        note "Custodians:  ${answers[custodian_1]} (first half), ${answers[custodian_2]} (second half)"
    note "Witnesses:   ${answers[witnesses]}"
    note "CA:          ${answers[ca]}, ${answers[type]}, ${answers[subject]}"
}
record_programs() {
    local certmill libraries
    certmill=$(command -v certmill) || fail "certmill is not in PATH"
    mapfile -t libraries < <(ldd "$certmill" | awk '$3 ~ /^\// { print $3 }' | sort)
    chapter "Machine and programs"
    look uname -srmo
    look sed -n 's/^PRETTY_NAME=//p' /etc/os-release
    look cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/entropy_avail
    look cat /proc/swaps
    look ls /sys/class/net
    run certmill --version
    run openssl version
    run sha256sum "$program" "$certmill" "$(command -v openssl)" "${libraries[@]}"
    [ "${answers[where]}" = file ] || run sha256sum "${answers[module]}"
}

# ---- the key

# Where the halves come from: the keyboard, or the files of a rehearsal.
passphrase_options=()
set_passphrase_options() {
    local half
    passphrase_options=(--dual --custodian "${answers[custodian_1]}" --custodian "${answers[custodian_2]}")
    for half in passphrase_1 passphrase_2; do
        [ -z "${answers[$half]:-}" ] || passphrase_options+=(--passphrase-file "${answers[$half]}")
    done
}
make_key() {
    chapter "The key is made"
    if [ "${answers[where]}" = file ]; then
        set_passphrase_options
        note "Each custodian types a half, twice; nobody else looks."
        key=$folder/${answers[ca]}.key
        run certmill key new --type "${answers[type]}" "${passphrase_options[@]}" "$key"
        run certmill key list "$key"
    else
        access=(--module "${answers[module]}" --pin-file "${answers[pin_file]}")
        run certmill key new --type "${answers[type]}" "${access[@]}" "${answers[token_key]}"
        key=$(sed -n 's/^key\t//p' "$transcript" | tail -n 1)
        run certmill key list "${access[@]}" "$key"
    fi
    digest=$(sed -n 's/^sha256\t//p' "$transcript" | tail -n 1)
}
make_paper() {
    local options=(--key "${answers[ca]}=$key" --subject "${answers[subject]}")
    if [ "${answers[result]}" = root ]; then
        chapter "The root certificate is made"
        options+=(--root --years "${answers[years]}")
    else
        chapter "The request is made"
        options+=(--request)
    fi
    if [ "${answers[where]}" = file ]; then
        note "Each custodian types the half again."
        run certmill init "${options[@]}" "${passphrase_options[@]}" "$instance"
    else
        run certmill init "${options[@]}" "${access[@]}" "$instance"
    fi
}

# ---- what came of it

# The public key in the paper, as openssl reads it, is the one that was made.
check_paper() {
    local read_by_openssl
    chapter "What was made is checked with other programs"
    if [ "${answers[result]}" = root ]; then
        paper=$instance/ca/${answers[ca]}.pem
        run openssl x509 -in "$paper" -noout -text
        run openssl verify -check_ss_sig -CAfile "$paper" "$paper"
        read_by_openssl=$(openssl x509 -in "$paper" -noout -pubkey)
    else
        paper=$instance/ca/${answers[ca]}.csr
        run openssl req -in "$paper" -noout -text
        run openssl req -in "$paper" -noout -verify
        read_by_openssl=$(openssl req -in "$paper" -noout -pubkey)
    fi
    read_by_openssl=$(openssl pkey -pubin -outform DER <<<"$read_by_openssl" | sha256sum | cut -d' ' -f1)
    note "" "SHA-256 of the public key, by certmill: $digest" "SHA-256 of the public key, by openssl:  $read_by_openssl"
    [ "$digest" = "$read_by_openssl" ] || fail "the public keys differ"
}
try_key() {
    local options=()
    chapter "The key signs on trial"
    [ "${answers[result]}" = request ] || options=(--certificate "$paper")
    if [ "${answers[where]}" = file ]; then
        note "Each custodian types the half for the last time."
        run certmill key test "${passphrase_options[@]}" "${options[@]}" "$instance/keys/${answers[ca]}.key"
    else
        run certmill key test "${access[@]}" "${options[@]}" "$key"
    fi
}
record_files() {
    local files
    mapfile -t files < <(find "$folder" -type f ! -path "$transcript" ! -path '*/data/*' | sort)
    chapter "Digests of the files"
    run sha256sum "${files[@]}"
    chapter "End"
    note "Ended $(now). This transcript holds no passphrase, no PIN and no key."
}
# On the screen alone: the transcript can not hold its own digest.
print_sheet() {
    local sum person
    sum=$(sha256sum "$transcript" | cut -d' ' -f1)
    printf '\nSHA-256 of the transcript, to be written down and signed by all:\n\n    '
    fold -w 4 <<<"$sum" | paste -sd' ' | fold -w 40 | sed '2,$s/^/    /'
    printf '\n'
    for person in "${answers[operator]}" "${answers[custodian_1]:-}" "${answers[custodian_2]:-}" \
        "${answers[witnesses]}"; do
        [ -z "$person" ] || printf '    ______________________  %s\n' "$person"
    done
    printf '\nsha256\t%s\n' "$sum"
}

# ---- in order

if [ "${1:-}" = --answers ]; then
    [ $# -eq 3 ] || usage
    load_answers "$2"
    shift 2
fi
if [ $# -ne 1 ] || [[ $1 == -* ]]; then
    usage
fi
[ ! -e "$1" ] || fail "$1: is there already"
ask_all
mkdir "$1"
folder=$(readlink -f "$1")
instance=$folder/instance
: >"$folder/transcript.txt"
transcript=$folder/transcript.txt
record_people
record_programs
make_key
make_paper
check_paper
try_key
record_files
chmod 400 "$transcript"
print_sheet
