#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# layers: who may include whom (docs/ARCHITECTURE.md), and one home for every library.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0

complain() {
    echo "layers: $1"
    bad=1
}

# forbid FOLDER PATTERN: no file of the folder may include what the pattern matches.
forbid() {
    local hits
    hits=$(git ls-files -co --exclude-standard -- "$1" | grep -E '\.[ch]$' |
        xargs -r grep -nE "^#include [\"<]($2)" || true)
    [ -z "$hits" ] || complain "$1 may not include this:
$hits"
}

# home LIBRARY-PATTERN PLACE...: only these places may include the library.
home() {
    local pattern=$1 hits
    shift
    hits=$(git ls-files -co --exclude-standard -- ca store rpc tools | grep -E '\.[ch]$' |
        xargs -r grep -nE "^#include [\"<]($pattern)" || true)
    for place in "$@"; do
        hits=$(grep -v "^$place" <<<"$hits" || true)
    done
    [ -z "$hits" ] || complain "$pattern has another home:
$hits"
}

forbid ca '(store|rpc|tools|bench|tests)/'
forbid store '(rpc|tools|bench|tests)/'
forbid rpc '(tools|bench|tests)/'
forbid tools '(bench|tests)/'

# Inside ca: base <- der, crypto <- x509 <- keys, rules.
forbid ca/base 'ca/(der|x509|crypto|keys|rules)/'
forbid ca/der 'ca/(x509|crypto|keys|rules)/'
forbid ca/crypto 'ca/(x509|keys|rules)/'
forbid ca/x509 'ca/(keys|rules)/'
forbid ca/keys 'ca/rules/'
forbid ca/rules 'ca/keys/'

# ca is pure: no disk, no network, no clock, no threads (ca/keys, where signers live, apart).
for folder in ca/base ca/der ca/x509 ca/crypto ca/rules; do
    forbid "$folder" '(stdio|time|fcntl|unistd|pthread|sys/socket|sys/stat)\.h'
done

home 'lmdb\.h' store/
home 'nng/' rpc/server.c rpc/client.c rpc/listeners. rpc/nng_threads.c
home 'liburing\.h' store/
home 'libconfig\.h' tools/config
home 'sodium\.h' ca/keys/ ca/crypto/ed25519
home 'openssl/' ca/crypto/ ca/keys/
home 'gmp\.h' ca/crypto/
home 'p11-kit/' ca/keys/
home 'seccomp\.h' ca/keys/confine.c
exit $bad
