/*
 * bench_engine: complete Main Mode and Quick Mode negotiations per CPU-second of two engines in one
 * process, beside the cost of their bare Diffie-Hellman operations in the same run, and the memory
 * that a phase 1 and phase 2 pair takes.  The kernel and the store are empty operations here.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/ends.h"

static struct end hub, peer;

static void negotiate(struct end *from, struct end *to)
{
	unsigned want_from = from->up + 1, want_to = to->up + 1;

	end_begin(from, to);
	end_network();
	if (from->up != want_from || to->up != want_to) {
		fprintf(stderr, "bench_engine: the negotiation did not complete\n");
		exit(1);
	}
}

/* ---- measuring ---- */

static double cpu_ms(void)
{
	return end_cpu_ms(CLOCK_PROCESS_CPUTIME_ID);
}

/* CPU milliseconds of the two key pairs and two secrets that one negotiation needs. */
static double bare_dh(const struct end_suite *s, unsigned n)
{
	const struct cs_group *g = cs_group_by_keyword(s->group);
	uint8_t secret[IKE_SECRET_MAX];
	double begin = cpu_ms();

	for (unsigned i = 0; i < n; i++) {
		struct ike_dh *a = NULL, *b = NULL;

		if (ike_dh_keypair(g, &a, NULL) < 0 || ike_dh_keypair(g, &b, NULL) < 0 ||
		    ike_dh_secret(a, ike_dh_public(b), secret, NULL) < 0 ||
		    ike_dh_secret(b, ike_dh_public(a), secret, NULL) < 0)
			exit(1);
		ike_dh_free(a);
		ike_dh_free(b);
	}
	return (cpu_ms() - begin) / n;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define ROUNDS 7

static void speed(const struct end_suite *s, unsigned n)
{
	double bare[ROUNDS], full[ROUNDS], share[ROUNDS];

	end_start(&hub, s, HUB, "10.0.0.0/8");
	end_start(&peer, s, "10.0.0.1", HUB);
	negotiate(&peer, &hub); /* warm */
	end_forget(&peer);
	end_forget(&hub);
	for (unsigned r = 0; r < ROUNDS; r++) {
		double begin;

		bare[r] = bare_dh(s, n);
		begin = cpu_ms();
		for (unsigned i = 0; i < n; i++) {
			negotiate(&peer, &hub);
			end_forget(&peer);
			end_forget(&hub);
			end_now.mono += 300000; /* repeats of old messages are answered for 254 s */
			end_now.wall += 300;
			ike_engine_tick(hub.engine, end_now);
			ike_engine_tick(peer.engine, end_now);
		}
		full[r] = (cpu_ms() - begin) / n;
		share[r] = bare[r] / full[r];
	}
	end_stop(&peer);
	end_stop(&hub);
	qsort(bare, ROUNDS, sizeof(double), by_value);
	qsort(full, ROUNDS, sizeof(double), by_value);
	qsort(share, ROUNDS, sizeof(double), by_value);
	printf("%-24s %8.0f pairs/CPU-s  %6.3f ms both sides  bare DH %6.3f ms  %3.0f %% of the "
	       "limit\n",
	       s->name, 1000 / full[ROUNDS / 2], full[ROUNDS / 2], bare[ROUNDS / 2],
	       100 * share[ROUNDS / 2]);
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd + ike_arena_used();
}

/* The hub holds n pairs; each peer is one engine that is gone when its pair is up. */
static void memory(unsigned n, bool hub_initiates)
{
	const struct end_suite *s = &end_suites[1];
	size_t before, fresh, settled;

	end_start(&hub, s, HUB, "10.0.0.0/8");
	before = in_use();
	for (unsigned i = 0; i < n; i++) {
		char addr[CS_ADDR_STRLEN];

		snprintf(addr, sizeof(addr), "10.1.%u.%u", i >> 8, i & 255);
		end_start(&peer, s, addr, HUB);
		if (hub_initiates)
			negotiate(&hub, &peer);
		else
			negotiate(&peer, &hub);
		end_stop(&peer);
	}
	fresh = in_use() - before;
	end_now.mono += 300000;
	end_now.wall += 300;
	end_cut = true; /* it asks whether its peers are there */
	ike_engine_tick(hub.engine, end_now);
	end_cut = false;
	settled = in_use() - before;
	printf("%u pairs as %s: %zu bytes a pair at once, %zu after 300 s\n", n,
	       hub_initiates ? "initiator" : "responder", fresh / n, settled / n);
	end_stop(&hub);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
	unsigned pairs = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10000;
	bool bare = argc > 1 && strcmp(argv[1], "--bare") == 0;
	struct cs_err err;

	if ((!bare && !n) || pairs > 60000) {
		fputs("usage: bench_engine [NEGOTIATIONS A ROUND [PAIRS HELD]]\n"
		      "       bench_engine --bare    what key agreement alone costs\n",
		      stderr);
		return 2;
	}
	if (ike_crypto_init(false, &err) < 0 || ike_arena_init(256u << 20, &err) < 0) {
		fprintf(stderr, "bench_engine: %s\n", err.text);
		return 1;
	}
	for (unsigned i = 0; i < 2 && bare; i++)
		printf("%s %.3f\n", end_suites[i].group, bare_dh(&end_suites[i], 200));
	if (bare)
		return 0;
	for (unsigned i = 0; i < 2; i++)
		speed(&end_suites[i], n);
	memory(pairs, false);
	memory(pairs, true);
	return 0;
}
