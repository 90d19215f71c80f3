# policy: the store, matching and pagent.
POLICY_STORE_SOURCES =
