#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes wycheproof.tsv beside itself from Project Wycheproof's JSON files.

    make_wycheproof.py FOLDER    # of a copy, e.g. src/third_party/wycheproof_testvectors in
                                 # Debian's source package android-platform-external-boringssl

Taken are the numbers and the verdicts, not the comments. Of RSA, where a case costs a kilobyte, the
large files give one case of each key, comment, verdict and set of flags, and files that repeat
another's malformed cases give what is not invalid.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = '''\
# From Project Wycheproof (https://github.com/google/wycheproof), version 0.8 of 2019, licensed
# under Apache-2.0; made by make_wycheproof.py: file and number of the case, kind:key type, key
# (RSA: modulus:exponent), message, signature, verdict, flags. "=" is what the line above has.
'''
# Salts of other lengths are here too: a signature that is valid with one is to be refused.
WHOLE, DISTINCT, NOT_INVALID = range(3)
FILES = [
    ('ecdsa_secp256r1_sha256', 'ECDSA_SHA256:p256', WHOLE),
    ('ecdsa_secp256r1_sha512', 'ECDSA_SHA512:p256', WHOLE),
    ('ecdsa_secp384r1_sha384', 'ECDSA_SHA384:p384', WHOLE),
    ('ecdsa_secp384r1_sha512', 'ECDSA_SHA512:p384', WHOLE),
    ('eddsa', 'ED25519:ed25519', WHOLE),
    ('rsa_signature_2048_sha256', 'RSA_SHA256:rsa', WHOLE),
    ('rsa_signature_2048_sha384', 'RSA_SHA384:rsa', NOT_INVALID),
    ('rsa_signature_2048_sha512', 'RSA_SHA512:rsa', NOT_INVALID),
    ('rsa_signature_3072_sha384', 'RSA_SHA384:rsa', DISTINCT),
    ('rsa_signature_4096_sha512', 'RSA_SHA512:rsa', DISTINCT),
    ('rsa_signature', 'RSA_SHA256:rsa', NOT_INVALID),
    ('rsa_pss_2048_sha256_mgf1_32', 'PSS_SHA256:rsa', WHOLE),
    ('rsa_pss_2048_sha256_mgf1_0', 'PSS_SHA256:rsa', DISTINCT),
    ('rsa_pss_3072_sha256_mgf1_32', 'PSS_SHA256:rsa', DISTINCT),
    ('rsa_pss_4096_sha256_mgf1_32', 'PSS_SHA256:rsa', DISTINCT),
    ('rsa_pss_4096_sha512_mgf1_32', 'PSS_SHA512:rsa', DISTINCT),
    ('rsa_pss_misc', 'PSS_SHA256:rsa', WHOLE),
    ('rsa_pss_misc', 'PSS_SHA384:rsa', WHOLE),
    ('rsa_pss_misc', 'PSS_SHA512:rsa', WHOLE),
]


def key_of(group):
    if 'n' in group:
        return group['n'].removeprefix('00') + ':' + group['e'].removeprefix('00')
    return group['key'].get('uncompressed') or group['key']['pk']


def is_of_kind(group, kind):
    """Files of several hashes are read once for each that we know."""
    return 'sha' not in group or group['sha'].replace('-', '') == kind.split(':')[0].split('_')[1]


def flags_of(group, case, kind):
    flags = set(case['flags'])
    if kind.startswith('PSS'):
        bits = {'SHA-256': 256, 'SHA-384': 384, 'SHA-512': 512}
        if group['mgfSha'] != group['sha']:
            flags.add('OtherMgfHash')
        if group['sLen'] * 8 != bits[group['sha']]:
            flags.add('OtherSaltLength')
    return ','.join(sorted(flags)) or '-'


def is_elsewhere(case, flags):
    """Moduli our key policy knows nothing of; salts that are wrong there and might be right here."""
    return 'SmallModulus' in flags or \
        'OtherSaltLength' in flags and case['comment'].startswith('s_len changed')


def cases(folder, name, kind, which):
    seen = set()
    with open(os.path.join(folder, name + '_test.json')) as file:
        groups = [g for g in json.load(file)['testGroups'] if is_of_kind(g, kind)]
    for group in groups:
        key = key_of(group)
        for case in group['tests']:
            flags = flags_of(group, case, kind)
            what = (key, case['comment'], case['result'], flags)
            if is_elsewhere(case, flags):
                continue
            if which == NOT_INVALID and case['result'] == 'invalid':
                continue
            if which == DISTINCT and what in seen:
                continue
            seen.add(what)
            yield ['%s %d' % (name, case['tcId']), kind, key, case['msg'] or '-',
                   case['sig'] or '-', case['result'], flags]


def main():
    last = [None] * 7
    with open(os.path.join(HERE, 'wycheproof.tsv'), 'w') as out:
        out.write(HEAD)
        for name, kind, which in FILES:
            for row in cases(sys.argv[1], name, kind, which):
                out.write('\t'.join('=' if i in (1, 2, 3) and row[i] == last[i] else row[i]
                                    for i in range(7)) + '\n')
                last = row


main()
