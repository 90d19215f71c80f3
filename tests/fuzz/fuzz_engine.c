/*
 * fuzz_engine: mutated datagrams through whole engines, in the middle of negotiations.  Before each
 * genuine message its receiver gets mutated ones: most of an encrypted message have their payloads
 * changed before the HASH is computed and the message is encrypted, with the sender's own keys, so
 * that they arrive valid up to their content.  Nothing in the engine knows of it: the linker wraps
 * ike_seal_end().  ASan and UBSan watch; memory must come back to where it was.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "iked/engine_private.h"
#include "tests/fuzz/mutate.h"

#define SEALED     32 /* mutated and then sealed, before each genuine sealed message */
#define RAW        2  /* mutated as they are on the wire, before every genuine message */
#define RAW_PROVED 8  /* the same of those in clear that have a HASH, which is made right again */
#define ROUND_MS   90000
#define TRAFFIC    32 /* packets and other doings in a round */
#define TROUBLE    8
#define FLOW_EVERY 10  /* rounds after which traffic must still come through */
#define SETTLED_BY 100 /* rounds after which nothing new is made once for all */

/* Of the newer sanitizer runtimes; absent in other builds. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

struct variant {
	uint8_t data[IKE_DATAGRAM_MAX];
	size_t len;
};

static struct sim sim;
static struct variant sealed[SEALED];
static unsigned n_sealed;
static unsigned long injected, injected_sealed;
static struct sim_rng rng;
static bool hostile;

size_t __real_ike_seal_end(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
			   uint32_t mid, enum ike_seal kind, const struct ike_nonce *ni,
			   const struct ike_nonce *nr, uint8_t *iv, struct cs_err *err);
size_t __wrap_ike_seal_end(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
			   uint32_t mid, enum ike_seal kind, const struct ike_nonce *ni,
			   const struct ike_nonce *nr, uint8_t *iv, struct cs_err *err);

/* The HASH of phase 1 that is right for the ID payload as it now is, or was sent before. */
static void rehash(const struct ike_p1 *p1, uint8_t *out, size_t len)
{
	struct isa_header h = {.next = out[16]};
	struct isa_message m;
	const struct isa_payload *id, *hash;
	struct cs_bytes body = {p1->ex->id, p1->ex->id_len};
	uint8_t value[IKE_HASH_MAX];

	if (isa_chain_parse(&h, out + ISA_HEADER_LEN, len - ISA_HEADER_LEN, true, &m, NULL) < 0)
		return;
	id = isa_find(&m, ISA_ID, 0);
	hash = isa_find(&m, ISA_HASH, 0);
	if (id)
		body = id->body;
	if (hash && hash->body.len == p1->suite.hash->len &&
	    ike_auth_hash(p1, p1->initiator, body, value, NULL) == 0)
		memcpy(out + (hash->body.p - out), value, p1->suite.hash->len);
}

static void seal_variant(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder b,
			 uint32_t mid, enum ike_seal kind, const struct ike_nonce *ni,
			 const struct ike_nonce *nr, const uint8_t *iv)
{
	size_t start = kind == IKE_SEAL_PLAIN ? ISA_HEADER_LEN
					      : ISA_HEADER_LEN + 4 + (size_t)p1->suite.hash->len;
	uint8_t *first = kind == IKE_SEAL_PLAIN ? &e->out[16] : &e->out[ISA_HEADER_LEN];
	uint8_t iv_copy[IKE_BLOCK_MAX];
	size_t len = b.w.len - start;
	struct variant *v = &sealed[n_sealed];

	memcpy(iv_copy, iv, sizeof(iv_copy));
	if (len || kind == IKE_SEAL_PLAIN || sim_chance(&rng, 500))
		fuzz_mutate_chain(&rng, first, e->out + start, &len, IKE_DATAGRAM_MAX - 64 - start);
	b.w.len = start + len;
	if (kind == IKE_SEAL_PLAIN && p1->ex && sim_chance(&rng, 800))
		rehash(p1, e->out, b.w.len);
	v->len = __real_ike_seal_end(e, p1, &b, mid, kind, ni, nr, iv_copy, NULL);
	if (!v->len)
		return;
	memcpy(v->data, e->out, v->len);
	if (sim_chance(&rng, 100)) /* a message of another exchange, or of none */
		v->data[20 + sim_below(&rng, 4)] ^= (uint8_t)sim_random(&rng);
	if (sim_chance(&rng, 100))
		v->data[19] ^= ISA_FLAG_COMMIT;
	n_sealed++;
}

size_t __wrap_ike_seal_end(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
			   uint32_t mid, enum ike_seal kind, const struct ike_nonce *ni,
			   const struct ike_nonce *nr, uint8_t *iv, struct cs_err *err)
{
	uint8_t genuine[IKE_DATAGRAM_MAX];

	n_sealed = 0;
	if (hostile && cs_writer_ok(&b->w)) {
		memcpy(genuine, e->out, b->w.len);
		for (unsigned i = 0; i < SEALED; i++) {
			seal_variant(e, p1, *b, mid, kind, ni, nr, iv);
			memcpy(e->out, genuine, b->w.len);
		}
	}
	return __real_ike_seal_end(e, p1, b, mid, kind, ni, nr, iv, err);
}

/* The sender's exchange, if the message has a HASH that it could make anew. */
static const struct ike_p1 *prover(const struct sim *s, unsigned host, const uint8_t *data)
{
	const struct ike_engine *e = s->hosts[host].engine;
	struct ike_sid *sid = e ? ike_sid_by_cookies(e, data, data + ISA_COOKIE_LEN) : NULL;
	const struct ike_p1 *p1 =
		sid && sid->kind == IKE_SID_P1 ? IKE_OF(sid, struct ike_p1, sid) : NULL;

	return p1 && data[18] == ISA_AGGRESSIVE && p1->ex && p1->ex->keyed ? p1 : NULL;
}

static void mutate_clear(const struct ike_p1 *p1, uint8_t *raw, size_t *len, size_t cap)
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];
	size_t chain = *len - ISA_HEADER_LEN;

	fuzz_mutate_chain(&rng, &raw[16], raw + ISA_HEADER_LEN, &chain, cap - ISA_HEADER_LEN);
	*len = ISA_HEADER_LEN + chain;
	raw[26] = (uint8_t)(*len >> 8);
	raw[27] = (uint8_t)*len;
	if (p1 && sim_chance(&rng, 800))
		rehash(p1, raw, *len);
	/* Of another exchange, so that it does not stand in the way of the genuine one. */
	if (raw[18] == ISA_AGGRESSIVE && !memcmp(raw + ISA_COOKIE_LEN, no_cookie, ISA_COOKIE_LEN) &&
	    sim_chance(&rng, 900))
		raw[1 + sim_below(&rng, 7)] ^= (uint8_t)(1 + sim_below(&rng, 255));
}

/* Mutated fragments of it; sometimes it arrives in fragments itself, and true is returned. */
static bool inject_fragments(struct sim *s, const struct cs_endpoint *from,
			     const struct cs_endpoint *to, const uint8_t *data, size_t len)
{
	static uint8_t raw[SIM_FRAGMENT_MAX];
	unsigned of = 1 + sim_below(&rng, 4);
	bool genuine = sim_chance(&rng, 300);
	size_t n, raw_len;

	for (unsigned i = 1; i <= of; i++) {
		n = sim_fragment(data, len, i, of, raw);
		if (!n || len > SIM_FRAGMENT_MAX / 2)
			return false;
		if (genuine)
			sim_inject(s, from, to, raw, n, 9);
		raw_len = n;
		mutate_clear(NULL, raw, &raw_len, sizeof(raw) - 64);
		sim_inject(s, from, to, raw, raw_len, 1 + sim_below(&rng, 8));
		injected++;
	}
	return genuine;
}

/* Fragments, each fine, of a message that is larger than any may be. */
static void inject_too_large(struct sim *s, const struct cs_endpoint *from,
			     const struct cs_endpoint *to, const uint8_t *data, size_t len)
{
	static uint8_t large[IKE_DATAGRAM_MAX + 8000], out[SIM_FRAGMENT_MAX];
	size_t total = IKE_DATAGRAM_MAX - 100 + sim_below(&rng, 8000), n;

	memcpy(large, data, len);
	for (unsigned i = 0; i < 4; i++)
		large[24 + i] = (uint8_t)(total >> (24 - 8 * i));
	for (unsigned i = 1; i <= 4 && (n = sim_fragment(large, total, i, 4, out)); i++) {
		sim_inject(s, from, to, out, n, i);
		injected++;
	}
}

/* A client has one attempt, so often enough the genuine answer must be there before. */
static uint64_t delay_of(const uint8_t *data)
{
	bool behind = data[18] == ISA_TRANSACTION && sim_chance(&rng, 500);

	return (behind ? 6 : 1) + sim_below(&rng, 8);
}

/* Runs for every genuine datagram: its mutations go first. */
static bool inject_before(struct sim *s, unsigned host, const struct cs_endpoint *from,
			  const struct cs_endpoint *to, const uint8_t *data, size_t len,
			  unsigned *copies, uint64_t *delay)
{
	bool clear = len > ISA_HEADER_LEN && !(data[19] & ISA_FLAG_ENCRYPTED);
	const struct ike_p1 *p1;
	uint8_t raw[IKE_DATAGRAM_MAX];

	(void)copies;
	*delay = 5;
	if (!hostile || len > sizeof(raw) - 64)
		return true;
	for (unsigned i = 0; i < n_sealed; i++)
		sim_inject(s, from, to, sealed[i].data, sealed[i].len, delay_of(data));
	injected_sealed += n_sealed;
	injected += n_sealed;
	n_sealed = 0;
	p1 = clear ? prover(s, host, data) : NULL;
	for (unsigned i = 0; i < (p1 ? RAW_PROVED : RAW); i++) {
		size_t raw_len = len;

		memcpy(raw, data, len);
		if (clear && sim_chance(&rng, 700))
			mutate_clear(p1, raw, &raw_len, sizeof(raw) - 64);
		else
			fuzz_mutate_bytes(&rng, raw, &raw_len, sizeof(raw));
		sim_inject(s, from, to, raw, raw_len, 1 + sim_below(&rng, 8));
		injected++;
	}
	if (sim_chance(&rng, 5))
		inject_too_large(s, from, to, data, len);
	return !sim_chance(&rng, 300) || !inject_fragments(s, from, to, data, len);
}

struct contender {
	const struct sim_variant *variant;
	struct pol_policy *policy[2]; /* of either host */
};

/* What people do meanwhile; the network is good, but kernel and store may not be. */
static void plan(void)
{
	static const enum sim_action actions[] = {SIM_DROP_P1, SIM_DROP_P2, SIM_REFRESH_P1,
						  SIM_REFRESH_P2};

	sim.pk_delay = sim_chance(&rng, 500) ? 3 : 0;
	sim.commit_delay = sim_chance(&rng, 500) ? 3 : 0;
	sim.no_address = 500;
	for (unsigned i = 0; i < 2; i++)
		sim.hosts[i].commits = sim_chance(&rng, 300);
	if (sim_chance(&rng, 200)) {
		sim.net.bad_until = 1000 + ROUND_MS;
		sim.commit_fail_permille = sim_below(&rng, 200);
		for (unsigned i = 0; i < 2; i++)
			sim.hosts[i].kernel.refuse_permille = sim_below(&rng, 200);
	}
	for (unsigned i = 0; i < TRAFFIC + TROUBLE; i++) {
		unsigned host = sim_below(&rng, 2);

		sim_at(&sim, 1000 + sim_below(&rng, ROUND_MS), host,
		       i < TRAFFIC ? SIM_TRAFFIC : actions[sim_below(&rng, 4)], !host);
	}
}

/* One pair of engines under attack for a while; false when an invariant broke. */
static bool round_of(const struct contender *const who[2], uint64_t seed, bool flow, bool verbose)
{
	sim_init(&sim, seed, verbose);
	sim.hostile_peers = true;
	sim.net.script = inject_before;
	sim.max_half_open = sim_chance(&rng, 200) ? 4 : 0;
	n_sealed = 0;
	hostile = true;
	for (unsigned i = 0; i < 2; i++)
		sim_add_host(&sim, who[i]->variant, who[i]->policy[i]);
	plan();
	sim_run(&sim, 1000 + ROUND_MS);
	hostile = false;
	if (flow && !sim.failure[0]) { /* what a valid but hostile message broke has an end, too */
		for (unsigned minute = 0; minute < 25; minute++) {
			sim_packet(&sim, 0, 1);
			sim_packet(&sim, 1, 0);
			sim_run(&sim, sim.now + 60000);
		}
		sim.no_address = 0;
		sim_run(&sim, sim.now + 31 * 60000);
		if (!sim_both_ways(&sim, 0, 1, 15 * 60000))
			sim_fail(&sim, "no traffic after the attack");
	}
	sim_end(&sim);
	if (sim.failure[0])
		printf("FAIL seed %llu %s\n", (unsigned long long)seed, sim.failure);
	return sim.failure[0] == '\0';
}

/* The round of a seed; now and then with two hosts that do not fit each other. */
static bool run_seed(const struct contender *all, uint64_t seed, bool flow, bool verbose)
{
	const struct contender *first = &all[seed % sim_n_variants], *other;

	rng.state = seed;
	other = &all[sim_below(&rng, sim_n_variants)];
	if (flow || other->variant->ipv6 != first->variant->ipv6 || !sim_chance(&rng, 100))
		other = first;
	return round_of((const struct contender *const[]){first, other}, seed, flow, verbose);
}

/* For all variants; NULL with a line on stderr. */
static struct contender *make_contenders(void)
{
	struct contender *all = calloc(sim_n_variants, sizeof(*all));

	for (unsigned v = 0; all && v < sim_n_variants; v++) {
		all[v].variant = &sim_variants[v];
		for (unsigned i = 0; i < 2; i++)
			if (!(all[v].policy[i] = sim_policy(&sim_variants[v], i, 2, SIM_WHOLE, 0)))
				return NULL;
	}
	return all;
}

static void free_contenders(struct contender *all)
{
	for (unsigned v = 0; v < sim_n_variants; v++)
		for (unsigned i = 0; i < 2; i++)
			pol_unref(all[v].policy[i]);
	free(all);
}

static size_t memory(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
						       : 0;
}

static void usage(FILE *to)
{
	fputs("usage: fuzz_engine [--datagrams N] [--seed S] [--verbose]\n"
	      "  --datagrams N  stop after N mutated datagrams (1000000)\n"
	      "  --seed S       of the first round, the others follow; a fresh one without it\n"
	      "  --verbose      every datagram and log line\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"datagrams", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 's'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	unsigned long wanted = 1000000, rounds = 0, failed = 0;
	struct contender *all;
	uint64_t seed = 0;
	size_t settled = 0;
	bool verbose = false;
	struct cs_err err;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			wanted = strtoul(optarg, NULL, 10);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 10);
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (!seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		perror("getrandom");
		return 1;
	}
	seed &= 0xffffffffffff;
	if (ike_crypto_init(false, &err) < 0 || ike_arena_init(64u << 20, &err) < 0) {
		fprintf(stderr, "fuzz_engine: %s\n", err.text);
		return 1;
	}
	all = make_contenders();
	if (!all)
		return 1;
	printf("fuzz: seed %llu\n", (unsigned long long)seed);
	for (; injected < wanted; rounds++) {
		failed += !run_seed(all, seed + rounds, rounds % FLOW_EVERY == 0, verbose);
		if (rounds == SETTLED_BY)
			settled = memory();
	}
	if (settled && memory() > settled) {
		printf("FAIL memory grew from %zu to %zu bytes in %lu rounds\n", settled, memory(),
		       rounds);
		failed++;
	}
	free_contenders(all);
	printf("fuzz: %lu mutated datagrams, %lu of them sealed with valid keys, in %lu rounds, "
	       "%lu failed\n",
	       injected, injected_sealed, rounds, failed);
	return failed != 0;
}
