#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# unit: the systemd unit is well formed, says what docs/SECURITY.md says of it, and starts the
# daemon with options it has. Where systemd is, systemd reads it too.
set -euo pipefail
certmilld=$1
unit=$2
failures=0

complain() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

# Sections, comments, empty lines and settings: nothing else, and nothing before a section.
bad=$(awk '/^(#|$)/ { next }
    /^\[(Unit|Service|Install)\]$/ { section = 1; next }
    section && /^[A-Z][A-Za-z0-9]*=/ { next }
    { print FILENAME ":" FNR ": " $0 }' "$unit")
[ -z "$bad" ] || complain "not a setting: $bad"
repeated=$(sed -n 's/^\([A-Za-z]*\)=.*/\1/p' "$unit" | grep -vx 'SystemCallFilter' | sort | uniq -d)
[ -z "$repeated" ] || complain "twice: $repeated"

while read -r setting; do
    grep -qxF -- "$setting" "$unit" || complain "missing: $setting"
done <<'END'
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_IPC_LOCK CAP_KILL
AmbientCapabilities=
RestrictSUIDSGID=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectClock=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LimitCORE=0
END
for group in clock debug keyring module mount raw-io reboot swap; do
    grep -qE "^SystemCallFilter=~.*@$group( |$)" "$unit" || complain "not refused: @$group"
done

start=$(sed -n 's/^ExecStart=//p' "$unit")
for option in $(grep -oE -- '--[a-z-]+' <<<"$start"); do
    "$certmilld" --help | grep -qE -- "^ *$option( |$)" || complain "certmilld has no $option"
done
name=$(sed -n 's/^LoadCredential=\([^:]*\):.*/\1/p' "$unit")
grep -qF -- "%d/$name" <<<"$start" || complain "the credential $name is not used"
if command -v systemd-analyze >/dev/null; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    sed "s|^ExecStart=[^ ]*|ExecStart=$certmilld|" "$unit" >"$folder/certmilld.service"
    systemd-analyze verify "$folder/certmilld.service" || complain "systemd-analyze verify"
    systemd-analyze security --offline=true "$folder/certmilld.service" 2>/dev/null | tail -n 1
fi
[ "$failures" -eq 0 ] && echo "ok: $unit"
exit $((failures > 0))
