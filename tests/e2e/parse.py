# SPDX-License-Identifier: Apache-2.0
"""parse: an independent reader (asn1crypto) takes a certificate apart and puts it together again."""
import sys

from asn1crypto import pem, x509


def load(path):
    with open(path, "rb") as file:
        _, _, der = pem.unarmor(file.read())
    return der, x509.Certificate.load(der, strict=True)


der, cert = load(sys.argv[1])
_, issuer = load(sys.argv[2])
tbs = cert["tbs_certificate"]
cert.native  # decodes every field
assert cert.dump(force=True) == der, "another encoding than DER"
assert tbs["version"].native == "v3"
assert tbs["issuer"].dump() == issuer["tbs_certificate"]["subject"].dump()
assert cert.authority_key_identifier == issuer.key_identifier
assert 0 < tbs["serial_number"].native < 1 << 143
assert cert.not_valid_before < cert.not_valid_after <= issuer.not_valid_after
assert not cert.ca
