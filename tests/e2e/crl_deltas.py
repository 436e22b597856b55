#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""crl_deltas: certificates and complete lists name the delta lists of their shard.

crl_deltas.py FOLDER CA CERT...   Lists are FOLDER/CA-SHARD.crl, delta lists FOLDER/CA-SHARD-delta.crl.
crl_deltas.py --none LIST CERT    Neither names any.
"""
import glob
import sys

from asn1crypto import crl, pem, x509


def load_list(path):
    with open(path, "rb") as file:
        return crl.CertificateList.load(file.read(), strict=True)


def load_cert(path):
    with open(path, "rb") as file:
        return x509.Certificate.load(pem.unarmor(file.read())[2], strict=True)


def point_of(points):
    """The one distribution point's name, encoded, and nothing else in it."""
    (point,) = points
    assert point["reasons"].native is None and point["crl_issuer"].native is None
    return point["distribution_point"].chosen.dump()


def url_of(points):
    (point,) = points
    (name,) = point["distribution_point"].chosen
    return name.native


def check_none():
    assert load_list(sys.argv[2]).freshest_crl_value is None
    assert load_cert(sys.argv[3]).freshest_crl_value is None


def check_all(folder, name, certs):
    by_point = {}
    for path in glob.glob(f"{folder}/{name}-?.crl"):
        shard = path[-5]
        complete, delta = load_list(path), load_list(f"{folder}/{name}-{shard}-delta.crl")
        assert "freshest_crl" not in complete.critical_extensions
        assert delta.freshest_crl_value is None, "a delta list names none"
        assert url_of(complete.freshest_crl_value).endswith(f"/{name}-{shard}-delta.crl")
        scope = complete.issuing_distribution_point_value["distribution_point"].chosen.dump()
        other = delta.issuing_distribution_point_value["distribution_point"].chosen.dump()
        assert other == scope, "another scope (RFC 5280, section 6.3.3)"
        by_point[scope] = point_of(complete.freshest_crl_value)
    assert len(set(by_point.values())) == 3, "three shards"
    for path in certs:
        cert = load_cert(path)
        assert "freshest_crl" not in cert.critical_extensions
        scope = point_of(cert.crl_distribution_points_value)
        assert point_of(cert.freshest_crl_value) == by_point[scope], f"{path}: of another shard"


if sys.argv[1] == "--none":
    check_none()
else:
    check_all(sys.argv[1], sys.argv[2], sys.argv[3:])
