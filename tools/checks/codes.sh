#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# codes: docs/PROTOCOL.md lists exactly the codes of ca/base/err.h, with class and text.
set -euo pipefail
cd "$(dirname "$0")/../.."
diff <(sed -nE 's/^ *X\((\w+), +(\w+), +"([^"]*)"\).*/| \1 | \2 | \3 |/p' ca/base/err.h) \
     <(grep -E '^\| [A-Z_]+ \| (CALLER|LOAD|US) \|' docs/PROTOCOL.md) ||
    { echo 'codes: docs/PROTOCOL.md and ca/base/err.h differ'; exit 1; }
