#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cli: what is asked wrong is said so, with exit code 2, before anything is sent.
. "$(dirname "$0")/lib.sh"

check "help" certmill help
for command in init ca key issue renew replace change revoke hold release ack abandon get find \
    changes audit "audit head" "audit verify" profiles stats health "ca import" "key new" "key list" "key test" "key rewrap" "crl make" \
    "crl list" "crl export"; do
    # shellcheck disable=SC2086
    check "$command: help" certmill $command --help
    check "$command: on standard output" grep -q '^usage: certmill ' out
done
check "version" certmill --version
refused "no command" 2 usage certmill
refused "unknown command" 2 'no such command' certmill frobnicate
refused "option before the command" 2 '--dir: the command comes first' certmill --dir i health
refused "daemon: no file" 2 'nowhere: No such file' certmilld --config nowhere
refused "daemon: no option" 2 "takes options only, not 'extra'" certmilld --config x extra
refused "daemon: no number" 2 'not a descriptor: x' certmilld --config x --ready-fd x
openssl req -new -newkey ed25519 -nodes -keyout /dev/null -subj "/CN=x" -out good.csr 2>/dev/null
head -c 1000 /dev/zero >long
: >void
while IFS=$'\t' read -r pattern arguments; do
    # shellcheck disable=SC2086
    refused "$arguments" 2 "$pattern" certmill $arguments
done <"$2/tests/e2e/cli.tsv"
finish
