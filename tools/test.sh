#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test: set up, build and run all tests.
#
#   tools/test.sh                      the release build
#   tools/test.sh release asan tsan    then with ASan and UBSan, then with TSan
#
# asan runs all tests but e2e.secrets, which reads whole memories: e2e alone takes a quarter of an
# hour on two busy processors.
#
# Any user may; tests that need root are listed as skipped for others, with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/deps.sh
[ $# -gt 0 ] || set -- release

# Programs of several threads only: the rest has nothing to race.
tsan_tests='^(rpc|store)\.|^keys\.test_(pkcs11|process|signer_main|token)$'
tsan_tests+='|^e2e\.(audit|bad_requests|crl|daemon|door|flood|hsm|life|profiles|replay)(\.|$)'
failed=0
for preset in "$@"; do
    filter=()
    case $preset in
    release) ;;
    asan) filter=(-E '^check\.') ;;
    tsan) filter=(-R "$tsan_tests") ;;
    *)
        echo "usage: tools/test.sh [release|asan|tsan]..." >&2
        exit 2
        ;;
    esac
    echo "== $preset"
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset"
    ctest --preset "$preset" "${filter[@]}" || failed=1
    # ctest lists what it skipped, but not why.
    grep -h '^skipped: ' "build/$preset/Testing/Temporary/LastTest.log" || true
done
exit $failed
