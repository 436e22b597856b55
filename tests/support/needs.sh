#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# needs: runs a test that needs rights an ordinary user lacks. Where they are not to be had it says
# so and exits with 77, which ctest lists as skipped.
#
#   needs.sh root COMMAND...        root, who can become other users
#   needs.sh namespace COMMAND...   mounts of its own, and a look at processes it started that are
#                                   closed to their user: root, or a user namespace makes us that
set -euo pipefail
rights=$1
shift

skip() {
    echo "skipped: ${CERTMILL_TEST:-$1}: $2"
    exit 77
}

has_others() { [ "$(id -u)" -eq 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups true; }

case $rights in
root)
    has_others 2>/dev/null || skip "$1" "needs root: it becomes other users"
    exec "$@"
    ;;
namespace)
    [ "$(id -u)" -eq 0 ] || in=(--user --map-root-user)
    in+=(--mount)
    unshare "${in[@]}" true 2>/dev/null ||
        skip "$1" "needs root, or user namespaces, which this system refuses to $(id -un)"
    exec unshare "${in[@]}" "$@"
    ;;
*)
    echo "needs: what is $rights?" >&2
    exit 2
    ;;
esac
