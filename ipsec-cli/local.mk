# ipsec-cli
