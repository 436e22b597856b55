#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# format: every C file is as clang-format 14 would write it. "format.sh --fix" rewrites.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=(--dry-run --Werror)
[ "${1:-}" != --fix ] || mode=(-i)
git ls-files -co --exclude-standard -- '*.c' '*.h' | xargs -r clang-format-14 --style=file "${mode[@]}"
