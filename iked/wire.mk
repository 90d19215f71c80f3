# wire: ISAKMP's codec, proposals and IKE's cryptography, below the engine; and libike.a as a whole.
noinst_LIBRARIES += libike.a
IKE_WIRE_SOURCES = \
	iked/arena.c iked/crypto.h \
	iked/crypto_hash.c iked/keymat.c \
	iked/dh.c iked/dh.h iked/dh_groups.c iked/dh_gcrypt.c \
	iked/isakmp.c iked/isakmp.h iked/isakmp_rules.c \
	iked/proposal.h iked/proposal_p1.c iked/proposal_p2.c \
	iked/sa_payload.c iked/sa_payload.h
if HAVE_OPENSSL
IKE_WIRE_SOURCES += iked/dh_openssl.c
endif
libike_a_SOURCES = $(IKE_WIRE_SOURCES) $(IKE_ENGINE_SOURCES)
libike_a_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS) $(OPENSSL_CFLAGS)
IKE_LIBS = libike.a $(GCRYPT_LIBS) $(OPENSSL_LIBS)
