# SPDX-License-Identifier: Apache-2.0
# token: a SoftHSM token "hsm" in the working folder. Sourced after lib.sh; sets module, makes the
# files pin and wrong.pin.
# shellcheck shell=bash
export SOFTHSM2_CONF=$work/softhsm2.conf
mkdir tokens
printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\n' "$work" >softhsm2.conf
module=$(ls /usr/lib/*/softhsm/libsofthsm2.so /usr/lib/softhsm/libsofthsm2.so 2>/dev/null | head -n 1)
(umask 077 && echo 47110815 >pin && echo 00000000 >wrong.pin)
softhsm2-util --init-token --free --label hsm --so-pin 12345678 --pin 47110815 >/dev/null
