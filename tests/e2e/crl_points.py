#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""crl_points: the distribution point in every certificate is that of one list, octet for octet.

crl_points.py FOLDER CA CERT... Lists are FOLDER/CA-SHARD.crl. Certificates that are revoked are on
that list and no other.
"""
import glob
import re
import sys

from asn1crypto import crl, pem, x509


def main():
    lists = {}
    for path in glob.glob(f"{sys.argv[1]}/{sys.argv[2]}-*.crl"):
        if not re.search(r"-\d+\.crl$", path):
            continue
        with open(path, "rb") as file:
            parsed = crl.CertificateList.load(file.read(), strict=True)
        point = parsed.issuing_distribution_point_value["distribution_point"]
        lists[point.chosen.dump()] = parsed
    assert len(lists) == 3, "three shards"
    used, revoked = set(), 0
    for path in sys.argv[3:]:
        with open(path, "rb") as file:
            cert = x509.Certificate.load(pem.unarmor(file.read())[2], strict=True)
        (point,) = cert.crl_distribution_points_value
        octets = point["distribution_point"].chosen.dump()
        assert octets in lists, f"{path}: no list has its distribution point"
        used.add(octets)
        for other, parsed in lists.items():
            entries = parsed["tbs_cert_list"]["revoked_certificates"]
            serials = [e["user_certificate"].native for e in entries] if len(entries) else []
            if cert.serial_number in serials:
                assert other == octets, f"{path}: on the list of another shard"
                revoked += 1
    assert len(used) > 1, "all certificates in one shard"
    assert revoked == 1, f"{revoked} revoked"


main()
