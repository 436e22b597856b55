#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cli: what is asked wrong is said so, with exit code 2, before anything is sent.
. "$(dirname "$0")/lib.sh"

check "help" certmill help
for command in init ca key issue get find stats health "ca import" "key new" "key list" "key test" \
    "key rewrap"; do
    # shellcheck disable=SC2086
    check "$command: help" certmill $command --help
    check "$command: on standard output" grep -q '^usage: certmill ' out
done
check "version" certmill --version
refused "no command" 2 usage certmill
refused "unknown command" 2 'no such command' certmill frobnicate
while IFS=$'\t' read -r pattern arguments; do
    # shellcheck disable=SC2086
    refused "$arguments" 2 "$pattern" certmill $arguments
done <"$2/tests/e2e/cli.tsv"
finish
