"""The algorithm suites that the cases are run with, in strongSwan's words and in z/OS's."""

from collections import namedtuple

# group and other are DH groups; other is the one that differs, for PFS.
Suite = namedtuple("Suite", "name ike_encrypt ike_hash group other esp_encrypt esp_auth swan_esp")

SUITES = {s.name: s for s in (
    Suite("aes256-sha256-modp2048", "AES_CBC KeyLength 256", "SHA2_256", 14, 5,
          "AES_CBC KeyLength 256", "ESP HMAC_SHA2_256_128", "aes256-sha256"),
    Suite("aes128-sha1-modp1024", "AES_CBC KeyLength 128", "SHA1", 2, 14,
          "AES_CBC KeyLength 128", "ESP HMAC_SHA1", "aes128-sha1"),
    Suite("3des-sha1-modp1536", "3DES", "SHA1", 5, 2, "3DES", "ESP HMAC_SHA1", "3des-sha1"),
    Suite("aes256-sha384-ecp384", "AES_CBC KeyLength 256", "SHA2_384", 20, 19,
          "AES_CBC KeyLength 256", "ESP HMAC_SHA2_384_192", "aes256-sha384"),
)}

def _esp(words, encrypt, auth):
    """The usual phase 1, and these algorithms in phase 2."""
    usual = SUITES["aes256-sha256-modp2048"]
    return usual._replace(esp_encrypt=encrypt, esp_auth=auth, swan_esp=words)


# One of each that is not in SUITES: by its phase 2, the last by its phase 1.
ALGORITHMS = {
    "aes128gcm16": _esp("aes128gcm16", "AES_GCM_16 KeyLength 128", "ESP Null"),
    "aes256gcm16": _esp("aes256gcm16", "AES_GCM_16 KeyLength 256", "ESP Null"),
    "aes256-sha1": _esp("aes256-sha1", "AES_CBC KeyLength 256", "ESP HMAC_SHA1"),
    "aes128-sha384": _esp("aes128-sha384", "AES_CBC KeyLength 128", "ESP HMAC_SHA2_384_192"),
    "aes256-sha512": _esp("aes256-sha512", "AES_CBC KeyLength 256", "ESP HMAC_SHA2_512_256"),
    "aes128-aesxcbc": _esp("aes128-aesxcbc", "AES_CBC KeyLength 128", "ESP AES128_XCBC_96"),
    "3des-sha256": _esp("3des-sha256", "3DES", "ESP HMAC_SHA2_256_128"),
    "null-sha1": _esp("null-sha1", "DoNot", "ESP HMAC_SHA1"),
    "null-sha256": _esp("null-sha256", "DoNot", "ESP HMAC_SHA2_256_128"),
    "ecp521": Suite("aes256-sha512-ecp521", "AES_CBC KeyLength 256", "SHA2_512", 21, 14,
                    "AES_CBC KeyLength 256", "ESP HMAC_SHA2_512_256", "aes256-sha512"),
}

SWAN_GROUP = {2: "modp1024", 5: "modp1536", 14: "modp2048", 19: "ecp256", 20: "ecp384", 21: "ecp521"}


class Pfs:
    """Which group Quick Mode begins with and which ones are accepted; 0 is none."""

    def __init__(self, kind, suite):
        self.kind = kind
        self.initiate = {"none": 0, "same": suite.group, "other": suite.other}[kind]
        self.accept = [suite.group, suite.other] if kind == "other" else [self.initiate]
