#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""crl_read: a published list as asn1crypto sees it, its signature verified by openssl's tools.

crl_read.py CERT FILE COUNT. Exit code 1 with a line on what is wrong.
"""
import subprocess
import sys
import tempfile

from asn1crypto import core, crl, x509


def verify(cert, tbs, signature, algorithm):
    options = {
        "1.2.156.10197.1.501": ["-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678"],
        "1.2.840.113549.1.1.10": ["-rawin", "-digest", "sha256", "-pkeyopt",
                                  "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:32"],
        "1.2.840.10045.4.3.3": ["-rawin", "-digest", "sha384"],
        "1.3.101.112": ["-rawin"],
    }.get(algorithm, ["-rawin", "-digest", "sha256"])
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("tbs", tbs), ("sig", signature), ("key", cert.public_key.dump())):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(data)
        subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", f"{folder}/key", "-keyform",
             "DER", "-in", f"{folder}/tbs", "-sigfile", f"{folder}/sig"] + options, check=True,
            stdout=subprocess.DEVNULL)


def main():
    with open(sys.argv[1], "rb") as file:
        cert = x509.Certificate.load(file.read(), strict=True)
    with open(sys.argv[2], "rb") as file:
        parsed = crl.CertificateList.load(file.read(), strict=True)
    count = int(sys.argv[3])
    tbs = parsed["tbs_cert_list"]
    entries = tbs["revoked_certificates"]
    assert isinstance(entries, core.Void) == (count == 0), "revokedCertificates"
    serials = [entry["user_certificate"].native for entry in (entries if count > 0 else [])]
    assert len(serials) == count, f"{len(serials)} entries"
    assert serials == sorted(set(serials)), "order"
    assert tbs["issuer"].dump() == cert.subject.dump(), "issuer"
    assert parsed.authority_key_identifier_value["key_identifier"].native == cert.key_identifier
    assert parsed.crl_number_value.native > 0
    assert "issuing_distribution_point" in parsed.critical_extensions
    verify(cert, tbs.dump(), parsed["signature"].native,
           parsed["signature_algorithm"]["algorithm"].dotted)


main()
