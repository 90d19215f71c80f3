# iked: the daemon around the engine.
sbin_PROGRAMS += iked/iked
IKED_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(DAEMON_CFLAGS) \
	$(GCRYPT_CFLAGS) $(CAPNG_CFLAGS) $(SECCOMP_CFLAGS) $(LIBPQ_CFLAGS)

# Certificate jobs done in this process; without OpenSSL they are refused.
noinst_LIBRARIES += libcert.a
libcert_a_SOURCES = iked/cert_run.c
CERT_LIBS = libcert.a $(PKI_LIBS)

# What the daemon and its tests share.
noinst_LIBRARIES += libiked.a
libiked_a_SOURCES = \
	iked/cert_client.c iked/cert_client.h iked/cert_serve.c iked/cert_wire.c iked/cert_wire.h \
	iked/clock.c \
	iked/json.c iked/json.h \
	iked/nmi.c iked/nmi_negotiate.c iked/nmi_private.h iked/nmi_wait.c iked/nmi_wait.h \
	iked/pk_pool.c iked/pk_pool.h \
	iked/policy_loader.c \
	iked/sealed.c iked/sealed.h \
	iked/shared.h \
	iked/shared_client.c iked/shared_client.h iked/shared_sas.c \
	iked/shared_pq.c iked/shared_sqlite.c iked/shared_store.h iked/shared_tables.c \
	iked/shared_row.c iked/shared_row.h \
	iked/shared_serve.c iked/shared_serve.h iked/shared_writer.c \
	iked/shared_wire.c iked/shared_wire.h \
	iked/store.c iked/store.h iked/store_cache.c iked/store_damaged.c iked/store_schema.c iked/store_schema.h \
	iked/udp.c
libiked_a_CFLAGS = $(IKED_CFLAGS)
IKED_LIBS = libiked.a $(CERT_LIBS) $(IKE_LIBS) $(POLICY_LIBS) $(XFRM_LIBS) $(COMMON_LIBS) $(SQLITE_LIBS) \
	$(JANSSON_LIBS) $(UV_LIBS) $(LIBPQ_LIBS)

iked_iked_SOURCES = \
	iked/certs.c iked/copies.c iked/copies.h iked/helper.c iked/iked.h iked/main.c iked/lost_esp.c iked/moving.c iked/parent.c iked/parent_helper.c iked/ports.c \
	iked/privilege.c iked/reconcile.c iked/shared_helper.c iked/shared_name.c iked/worker.c
iked_iked_CFLAGS = $(IKED_CFLAGS)
iked_iked_LDADD = $(IKED_LIBS) $(CAPNG_LIBS) $(SECCOMP_LIBS)
dist_man_MANS += man/iked.8

check_PROGRAMS += \
	tests/unit/test_iked_nmi tests/unit/test_pk_pool tests/unit/test_policy_loader \
	tests/unit/test_sealed tests/unit/test_store tests/unit/test_udp
tests_unit_test_udp_SOURCES = tests/unit/test_udp.c iked/ports.c
tests_unit_test_udp_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_udp_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
check_PROGRAMS += tests/unit/test_lost_esp tests/unit/test_ports tests/unit/test_privilege
tests_unit_test_privilege_SOURCES = tests/unit/test_privilege.c iked/helper.c iked/privilege.c
tests_unit_test_privilege_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_privilege_LDADD = $(IKED_LIBS) $(CHECK_LIBS) $(CAPNG_LIBS) $(SECCOMP_LIBS)
tests_unit_test_lost_esp_SOURCES = tests/unit/test_lost_esp.c iked/lost_esp.c iked/ports.c
tests_unit_test_lost_esp_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_lost_esp_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_ports_SOURCES = tests/unit/test_ports.c iked/ports.c
tests_unit_test_ports_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_ports_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_sealed_SOURCES = tests/unit/test_sealed.c
tests_unit_test_sealed_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_sealed_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_loader_SOURCES = \
	tests/unit/test_policy_loader.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_policy_loader_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_policy_loader_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_iked_nmi_SOURCES = \
	tests/unit/test_iked_nmi.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_iked_nmi_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_iked_nmi_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
check_PROGRAMS += tests/unit/test_shared tests/unit/test_shared_row
SHARED_TEST_SOURCES = \
	tests/unit/run_program.c tests/unit/run_program.h tests/unit/shared_host.c tests/unit/shared_host.h \
	tests/unit/shared_race.c tests/unit/shared_race.h
tests_unit_test_shared_SOURCES = tests/unit/test_shared.c iked/shared_name.c $(SHARED_TEST_SOURCES)
tests_unit_test_shared_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=statfs
tests_unit_test_shared_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_shared_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_shared_row_SOURCES = \
	tests/unit/test_shared_row.c tests/unit/sa_random.c tests/unit/sa_random.h
tests_unit_test_shared_row_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_shared_row_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_store_SOURCES = tests/unit/test_store.c
tests_unit_test_store_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_pk_pool_SOURCES = tests/unit/test_pk_pool.c
tests_unit_test_pk_pool_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_pk_pool_LDADD = $(IKED_LIBS) $(CHECK_LIBS)

EXTRA_DIST += tests/unit/postgres.c tests/unit/postgres.h tests/unit/test_shared_pq.c
if HAVE_LIBPQ
check_PROGRAMS += tests/unit/test_shared_pq
tests_unit_test_shared_pq_SOURCES = \
	tests/unit/test_shared_pq.c tests/unit/postgres.c tests/unit/postgres.h $(SHARED_TEST_SOURCES)
tests_unit_test_shared_pq_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_shared_pq_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
endif

EXTRA_DIST += tests/unit/test_cert.c tests/unit/test_rsa.c
if HAVE_OPENSSL
check_PROGRAMS += tests/unit/test_cert tests/unit/test_rsa
tests_unit_test_rsa_SOURCES = \
	tests/unit/test_rsa.c tests/unit/engine_pair.c tests/unit/engine_pair.h $(PKI_TEST_SOURCES)
tests_unit_test_rsa_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_rsa_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_cert_SOURCES = tests/unit/test_cert.c $(PKI_TEST_SOURCES)
tests_unit_test_cert_CFLAGS = $(IKED_CFLAGS) $(CHECK_CFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_cert_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ike_cert_run
tests_unit_test_cert_LDADD = $(IKED_LIBS) $(CHECK_LIBS)
endif
