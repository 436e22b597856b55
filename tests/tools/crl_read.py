#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""crl_read: what asn1crypto makes of a list, held against what every list of ours must be.

crl_read.py CERT FILE COUNT. Exit code 1 with a line on what is wrong.
"""
import subprocess
import sys
import tempfile

from asn1crypto import core, crl, x509


def verify_sm2(cert, tbs, signature):
    """OpenSSL's raw interface, where the identity can be given."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("tbs", tbs), ("sig", signature), ("key", cert.public_key.dump())):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(data)
        subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", f"{folder}/key", "-keyform", "DER",
             "-rawin", "-digest", "sm3", "-in", f"{folder}/tbs", "-sigfile", f"{folder}/sig",
             "-pkeyopt", "distid:1234567812345678"], check=True, stdout=subprocess.DEVNULL)


def check(cert_path, path, count):
    with open(cert_path, "rb") as file:
        cert = x509.Certificate.load(file.read(), strict=True)
    with open(path, "rb") as file:
        whole = file.read()
    parsed = crl.CertificateList.load(whole, strict=True)
    tbs = parsed["tbs_cert_list"]
    entries = tbs["revoked_certificates"]
    serials = [entry["user_certificate"].native for entry in (entries if count > 0 else [])]

    assert tbs["version"].native == "v2"
    assert tbs["issuer"].dump() == cert.subject.dump(), "issuer"
    assert tbs["signature"].dump() == parsed["signature_algorithm"].dump(), "algorithms"
    assert len(serials) == count, "count"
    assert serials == sorted(set(serials)), "order"
    assert parsed.authority_key_identifier_value["key_identifier"].native == cert.key_identifier
    assert parsed.crl_number_value.native > 0x010000
    assert "crl_number" not in parsed.critical_extensions
    if count == 0:
        assert isinstance(entries, core.Void), "revokedCertificates must be absent"
    for entry in [entries[i] for i in range(min(count, 1000))]:
        reason = entry.crl_reason_value
        assert reason is None or reason.native != "unspecified"
        assert not entry.critical_extensions
    if ".delta." in path:
        assert "delta_crl_indicator" in parsed.critical_extensions
        assert parsed.delta_crl_indicator_value.native == 0x0100
        assert entries[count - 1].crl_reason_value.native == "remove_from_crl"
    point = parsed.issuing_distribution_point_value
    if ".empty." not in path:
        assert "issuing_distribution_point" in parsed.critical_extensions
        url = point["distribution_point"].chosen[0].native
        assert url == "http://crl.example.cn/test/1.crl", url
        assert point["only_contains_user_certs"].native
    if cert.public_key["algorithm"]["parameters"].native == "1.2.156.10197.1.301":
        verify_sm2(cert, tbs.dump(), parsed["signature"].native)


try:
    check(sys.argv[1], sys.argv[2], int(sys.argv[3]))
except (AssertionError, ValueError, subprocess.CalledProcessError) as error:
    sys.exit(f"{sys.argv[2]}: {error!r}")
