#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tidy: banned words, long lines, long functions, long files, trailing space, tabs in C.
set -euo pipefail
export LC_ALL=C.UTF-8 # columns are characters, whoever runs this
cd "$(dirname "$0")/../.."
bad=0
mapfile -t c_files < <(git ls-files -co --exclude-standard -- '*.c' '*.h')
mapfile -t own_files < <(git ls-files -co --exclude-standard -- '*.c' '*.h' '*.sh' '*.proto' '*.md' \
    'CMakeLists.txt' '*.conf')

complain() {
    echo "tidy: $1"
    echo "$2"
    bad=1
}
look() {
    local hits
    hits=$(grep -nE "$2" "${@:3}" || true)
    [ -z "$hits" ] || complain "$1" "$hits"
}

look 'banned function (unbounded, or not constant time)' \
    '(^|[^_[:alnum:]])(strcpy|strcat|sprintf|vsprintf|atoi|atol|strtok|rand|alloca|memcmp|gets|localtime|system)\(' \
    "${c_files[@]}"
look 'unfinished' '(FIX''ME|TO''DO|(^|[^X])XX''X([^X]|$))' "${own_files[@]}"
look 'trailing space' '[[:space:]]+$' "${own_files[@]}"
look 'tab' $'\t' "${c_files[@]}"
look 'line over 100 columns' '^.{101,}' "${c_files[@]}"

long_functions=$(awk 'FNR == 1 { start = 0 }
    /^\{/ { start = FNR }
    /^\}/ { if (start && FNR - start > 70) print FILENAME ":" start ": " FNR - start " lines"; start = 0 }' \
    "${c_files[@]}")
[ -z "$long_functions" ] || complain 'function over 70 lines' "$long_functions"

long_files=$(wc -l "${c_files[@]}" | awk '$2 != "total" && $1 > 800 { print $2 ": " $1 " lines" }')
[ -z "$long_files" ] || complain 'file over 800 lines' "$long_files"

for file in "${c_files[@]}"; do
    head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
        complain 'first line is not the licence' "$file"
done
exit $bad
