#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# daemon_users: other users who ask, and a daemon that becomes another user. As root.
. "$(dirname "$0")/lib.sh"

# Where other users can run them: the build may be in somebody's home.
chmod 755 .
mkdir programs
cp "$(command -v certmill)" "$(command -v certmilld)" programs
nobody=(setpriv --reuid nobody --regid nogroup --clear-groups env "PATH=$work/programs:$PATH")

certmill init i --ca main=p256 --passphrase-file pass >/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.key \
    -subj "/CN=www.example.cn" -out k.csr 2>/dev/null

start i
refused "another user: by the socket's mode" 1 'Permission denied' "${nobody[@]}" \
    certmill health --dir i
chmod 666 i/certmill.sock
refused "another user: by uid, where the mode does not help" 1 DENIED "${nobody[@]}" \
    certmill issue --dir i --profile tls-server --dns www.example.cn k.csr
chmod 600 i/certmill.sock
check "who may, still may" certmill issue --dir i --profile tls-server --dns www.example.cn k.csr
check "SIGTERM: exit 0" stop

# As another user: the folder is that user's; the group is the user's own.
sed -i 's|# user = ""|user = "nobody"|; s|# group = ""|group = "nogroup"|' i/certmill.conf
check "the user is in the configuration" grep -q '^user = "nobody"' i/certmill.conf
chown -R nobody i && chown -R root i/keys
start i
check "root became that user" awk '/^[UG]id:/ { if ($2 == 0 || $3 == 0 || $4 == 0) exit 1 }' \
    "/proc/$daemon/status"
refused "who cannot read what seals its keys" 1 'Permission denied' "${nobody[@]}" cat pass
refused "nor the sealed keys" 1 'Permission denied' "${nobody[@]}" cat i/keys/main.key
keeper=$(cat "/proc/$daemon/task/$daemon/children")
signer=$(cat "/proc/${keeper% }/task/${keeper% }/children")
check "there is a signer" grep -qx certmill-signer "/proc/${signer% }/comm"
for process in $keeper $signer; do
    check "$(cat "/proc/$process/comm"), too, is not root any more" awk \
        '/^Uid:/ { exit $2 == 0 || $3 == 0 || $4 == 0 }' "/proc/$process/status"
done
check "and serves" certmill health --dir i
check "SIGTERM: exit 0" stop
refused "another user becomes nobody else" 1 'may not become user "daemon"' \
    "${nobody[@]}" sh -c 'sed "s/^user.*/user = \"daemon\";/; /^group/d" i/certmill.conf \
        >i/daemon.conf && exec certmilld --config i/daemon.conf'
finish
