# engine: the negotiation engine, compiled into libike.a (iked/wire.mk).
IKE_ENGINE_SOURCES = \
	iked/acquire.c \
	iked/adopt.c \
	iked/aggressive.h iked/aggressive_init.c iked/aggressive_resp.c \
	iked/auth.c iked/auth_cert.c \
	iked/auto.c \
	iked/claim.c \
	iked/client.c iked/client.h \
	iked/commands.c \
	iked/dpd.c \
	iked/engine.c iked/engine.h iked/engine_private.h \
	iked/engine_log.c \
	iked/exchange.c iked/exchange.h iked/exchange_fail.c \
	iked/first_message.c \
	iked/fragment.c \
	iked/give_back.c \
	iked/half_open.c \
	iked/hold.c \
	iked/ident.c \
	iked/informational.c \
	iked/jobs.c \
	iked/keep.c iked/keepalive.c \
	iked/marks.c \
	iked/main_mode.c iked/main_mode.h iked/main_mode_init.c iked/main_mode_resp.c \
	iked/mode_config.c \
	iked/nat.c \
	iked/notify.c \
	iked/path.c \
	iked/peer_rule.c \
	iked/phase1.c \
	iked/p2_kernel.c iked/p2_move.c iked/p2_nat.c \
	iked/phase2.c \
	iked/protect.c \
	iked/quick_mode.c iked/quick_mode_init.c iked/quick_mode_resp.c \
	iked/refresh.c \
	iked/clock_set.c iked/restore.c \
	iked/resync.c \
	iked/retransmit.c \
	iked/sa.c iked/sa_p2.c \
	iked/table.c iked/table.h \
	iked/takeover.c iked/takeover.h iked/takeover_end.c \
	iked/takeover_find.c iked/takeover_run.c \
	iked/timer.c iked/timer.h \
	iked/unsettled.c \
	iked/vendor.c iked/vendor.h \
	iked/views.c \
	iked/windows.c
ENGINE_TEST_LIBS = $(IKE_LIBS) $(POLICY_LIBS) $(XFRM_LIBS) $(COMMON_LIBS) $(CHECK_LIBS)

check_PROGRAMS += \
	tests/unit/test_aggressive tests/unit/test_engine tests/unit/test_engine_auto \
	tests/unit/test_engine_clock tests/unit/test_engine_dpd tests/unit/test_engine_killed \
	tests/unit/test_engine_offer \
	tests/unit/test_engine_hostile tests/unit/test_engine_identity \
	tests/unit/test_engine_life tests/unit/test_engine_peers tests/unit/test_engine_refusals \
	tests/unit/test_client \
	tests/unit/test_engine_bundle tests/unit/test_engine_commit tests/unit/test_engine_refresh \
	tests/unit/test_engine_restart tests/unit/test_engine_selector \
	tests/unit/test_fragment tests/unit/test_nat \
	tests/unit/test_natt_p2 tests/unit/test_nat_moves tests/unit/test_nat_clients \
	tests/unit/test_give_back tests/unit/test_table tests/unit/test_takeover \
	tests/unit/test_takeover_nat
# Its NAT-D payloads may be others.
tests_unit_test_nat_SOURCES = \
	tests/unit/test_nat.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_nat_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_nat_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ike_nat_put
tests_unit_test_nat_LDADD = $(ENGINE_TEST_LIBS)
# Its last message of phase 1 may go in clear.
tests_unit_test_aggressive_SOURCES = \
	tests/unit/test_aggressive.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_aggressive_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_aggressive_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ike_seal_end
tests_unit_test_aggressive_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_client_SOURCES = \
	tests/unit/test_client.c tests/unit/engine_pair.c tests/unit/engine_pair.h \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_client_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(CRYPT_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_client_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_fragment_SOURCES = \
	tests/unit/test_fragment.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_fragment_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_fragment_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_SOURCES = \
	tests/unit/test_engine.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_life_SOURCES = \
	tests/unit/test_engine_life.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_life_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_life_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_auto_SOURCES = \
	tests/unit/test_engine_auto.c tests/unit/pair_restart.c tests/unit/pair_restart.h tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_auto_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_auto_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_identity_SOURCES = \
	tests/unit/test_engine_identity.c tests/unit/pair_restart.c tests/unit/pair_restart.h tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_identity_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_identity_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_selector_SOURCES = \
	tests/unit/test_engine_selector.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_selector_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_selector_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_dpd_SOURCES = \
	tests/unit/test_engine_dpd.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_dpd_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_dpd_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_refresh_SOURCES = \
	tests/unit/test_engine_refresh.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_refresh_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_refresh_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_bundle_SOURCES = \
	tests/unit/test_engine_bundle.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_bundle_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_bundle_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_commit_SOURCES = \
	tests/unit/test_engine_commit.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_commit_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_commit_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_restart_SOURCES = \
	tests/unit/test_engine_restart.c tests/unit/pair_restart.c tests/unit/pair_restart.h tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_restart_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_restart_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_give_back_SOURCES = \
	tests/unit/test_give_back.c tests/unit/pair_restart.c tests/unit/pair_restart.h \
	tests/unit/pair_takeover.c tests/unit/pair_takeover.h \
	tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_give_back_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_give_back_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_takeover_nat_SOURCES = \
	tests/unit/test_takeover_nat.c tests/unit/nat_client.c tests/unit/nat_client.h \
	tests/unit/pair_nat.c tests/unit/pair_nat.h \
	tests/unit/pair_takeover.c tests/unit/pair_takeover.h \
	tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_takeover_nat_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_takeover_nat_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_takeover_SOURCES = \
	tests/unit/test_takeover.c tests/unit/pair_takeover.c tests/unit/pair_takeover.h \
	tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_takeover_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_takeover_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_clock_SOURCES = \
	tests/unit/test_engine_clock.c tests/unit/pair_restart.c tests/unit/pair_restart.h tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_clock_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_clock_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_offer_SOURCES = \
	tests/unit/test_engine_offer.c tests/unit/pair_restart.c tests/unit/pair_restart.h tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_offer_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_offer_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_killed_SOURCES = \
	tests/unit/test_engine_killed.c tests/unit/pair_restart.c tests/unit/pair_restart.h tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_killed_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_killed_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_natt_p2_SOURCES = \
	tests/unit/test_natt_p2.c $(PAIR_NAT)
tests_unit_test_natt_p2_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_natt_p2_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=ike_quick_put_ids -Wl,--wrap=ike_ident_get_selector
tests_unit_test_natt_p2_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_nat_moves_SOURCES = \
	tests/unit/test_nat_moves.c tests/unit/nat_client.c tests/unit/nat_client.h $(PAIR_NAT)
tests_unit_test_nat_moves_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_nat_moves_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_nat_clients_SOURCES = \
	tests/unit/test_nat_clients.c $(PAIR_NAT)
tests_unit_test_nat_clients_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_nat_clients_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ike_put_initial_contact
tests_unit_test_nat_clients_LDADD = $(ENGINE_TEST_LIBS)
PAIR_NAT = \
	tests/unit/pair_nat.c tests/unit/pair_nat.h \
	tests/unit/pair_restart.c tests/unit/pair_restart.h tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_peers_SOURCES = \
	tests/unit/test_engine_peers.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_peers_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_peers_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_table_SOURCES = tests/unit/test_table.c
tests_unit_test_table_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_table_LDADD = $(ENGINE_TEST_LIBS)
tests_unit_test_engine_refusals_SOURCES = \
	tests/unit/test_engine_refusals.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_refusals_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_refusals_LDADD = $(ENGINE_TEST_LIBS)
# Its allocations go through the test, which lets the nth one fail, and so do messages to be sealed.
tests_unit_test_engine_hostile_SOURCES = \
	tests/unit/test_engine_hostile.c tests/unit/engine_pair.c tests/unit/engine_pair.h
tests_unit_test_engine_hostile_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_engine_hostile_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray,--wrap=ike_arena_get,--wrap=ike_seal_end
tests_unit_test_engine_hostile_LDADD = $(ENGINE_TEST_LIBS)
