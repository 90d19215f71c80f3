/*
 * Every single and every double loss, duplication and swap of the messages of Main or Aggressive
 * Mode and Quick Mode, for each suite, with the initiator on either side; and in Aggressive Mode of
 * the messages of both, when both begin at once.  Afterwards traffic must flow both ways, at once
 * and without a new negotiation by the clock's mercy: within the retransmission time.
 */
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

#define KINDS 3 /* lose, double, swap with the next */
#define BOTH  2 /* who starts: host 0, host 1, or both */
/* milliseconds */
#define WITHIN_1 4000   /* with one trouble: one retransmission */
#define WITHIN_2 120000 /* two losses cost at most 2 + 4 + 8 s, a Quick Mode more */
/*
 * A client's Quick Mode comes before it is let in or has its address, if only by one datagram that
 * overtakes another; when the refusal is what is lost it gives up after 254 s.
 */
#define WITHIN_CLIENT 270000

enum { LOSE, DOUBLE, SWAP };

struct script {
	int trouble[2]; /* message * KINDS + kind, -1: none */
	unsigned seen;  /* distinct first transmissions so far */
	uint64_t sums[64];
	unsigned done; /* bit a trouble */
};

static uint64_t fingerprint(const uint8_t *data, size_t len)
{
	uint64_t h = 1469598103934665603ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ data[i]) * 1099511628211ull;
	return h;
}

/* The number of this message in the order of first transmission, from 0. */
static unsigned number_of(struct script *s, const uint8_t *data, size_t len, bool *first)
{
	uint64_t sum = fingerprint(data, len);
	unsigned i;

	for (i = 0; i < s->seen && i < 64; i++)
		if (s->sums[i] == sum) {
			*first = false;
			return i;
		}
	*first = true;
	if (s->seen < 64)
		s->sums[s->seen] = sum;
	return s->seen++;
}

static bool script_step(struct sim *sim, unsigned host, const struct cs_endpoint *from,
			const struct cs_endpoint *to, const uint8_t *data, size_t len,
			unsigned *copies, uint64_t *delay)
{
	struct script *s = sim->net.script_arg;
	bool first;
	unsigned n = number_of(s, data, len, &first);

	(void)host, (void)from, (void)to;
	for (unsigned t = 0; t < 2; t++) {
		if (s->trouble[t] < 0 || s->done & (1u << t) ||
		    (unsigned)s->trouble[t] / KINDS != n)
			continue;
		s->done |= 1u << t;
		switch (s->trouble[t] % KINDS) {
		case LOSE:
			return false;
		case DOUBLE:
			*copies = 2;
			break;
		case SWAP:
			*delay += 150; /* longer than a round trip with its computations */
			break;
		}
		break;
	}
	return true;
}

static bool run(const struct sim_variant *v, struct pol_policy *const policy[2], int a, int b,
		unsigned starter, char *failure, size_t size)
{
	static struct sim sim;
	struct script script = {.trouble = {a, b}};
	uint64_t within = v->clients ? WITHIN_CLIENT : b < 0 ? WITHIN_1 : WITHIN_2;

	sim_init(&sim, (uint64_t)(a + 1) * 1000 + (uint64_t)(b + 1), false);
	sim.pk_delay = 5;
	sim.commit_delay = 5;
	for (unsigned i = 0; i < 2; i++)
		sim_add_host(&sim, v, policy[i]);
	sim.net.script = script_step;
	sim.net.script_arg = &script;
	for (unsigned i = 0; i < 2; i++)
		if (starter == i || starter == BOTH)
			sim_at(&sim, 1100, i, SIM_TRAFFIC, !i);
	sim_run(&sim, 3000);
	if (!sim_both_ways(&sim, 0, 1, within))
		sim_fail(&sim, "no traffic both ways within %u s", (unsigned)(within / 1000));
	sim_end(&sim);
	snprintf(failure, size, "%s", sim.failure);
	return failure[0] == '\0';
}

static const char *trouble_text(int t, char *buf, size_t size)
{
	static const char *const kinds[] = {"lose", "double", "swap"};

	if (t < 0)
		snprintf(buf, size, "nothing");
	else
		snprintf(buf, size, "%s message %d", kinds[t % KINDS], t / KINDS + 1);
	return buf;
}

/*
 * Main Mode has six messages, Aggressive Mode three, and so has Quick Mode; certificates make two
 * of some large, a client is asked, told and gets an address.
 */
static int troubles_of(const struct sim_variant *v, unsigned starter)
{
	int messages = (v->aggressive ? 6 : 9) + (v->signs ? 2 : 0) + (v->clients ? 4 : 0);

	return KINDS * (starter == BOTH ? 2 * messages : messages);
}

/* All of one suite and starter; the number that failed. */
static unsigned run_all(unsigned variant, struct pol_policy *const policy[2], unsigned starter,
			unsigned *ran)
{
	const struct sim_variant *v = &sim_variants[variant];
	int troubles = troubles_of(v, starter);
	char one[40], two[40], failure[400];
	unsigned failed = 0;

	for (int a = -1; a < troubles; a++) {
		/* Singles are (a, a), no trouble is (-1, -1). */
		for (int b = a; b < (a < 0 ? 0 : troubles); b++) {
			int other = b == a ? -1 : b;

			++*ran;
			if (run(v, policy, a, other, starter, failure, sizeof(failure)))
				continue;
			failed++;
			printf("FAIL suite %u, %s starts, %s and %s: %s\n", variant,
			       starter == BOTH ? "each host"
			       : starter       ? "host 1"
					       : "host 0",
			       trouble_text(a, one, sizeof(one)),
			       trouble_text(other, two, sizeof(two)), failure);
		}
	}
	return failed;
}

/*
 * Both at once in Aggressive Mode alone; of a client and its gateway only the client, and through a
 * NAT only the host behind it.
 */
static unsigned starters_of(const struct sim_variant *v)
{
	if (v->clients || v->nat == SIM_NAT)
		return 0;
	return v->aggressive ? BOTH : 1;
}

unsigned sim_exhaustive(bool verbose, unsigned *ran)
{
	unsigned failed = 0;

	*ran = 0;
	for (unsigned v = 0; v < sim_n_variants; v++) {
		struct pol_policy *policy[2] = {sim_policy(&sim_variants[v], 0, 2, SIM_WHOLE, 0),
						sim_policy(&sim_variants[v], 1, 2, SIM_WHOLE, 0)};
		unsigned starters = starters_of(&sim_variants[v]);

		for (unsigned s = 0; policy[0] && policy[1] && s <= starters; s++)
			failed += run_all(v, policy, s, ran);
		if (verbose)
			printf("suite %u done, %u runs so far\n", v, *ran);
		if (!policy[0] || !policy[1])
			failed++;
		pol_unref(policy[0]);
		pol_unref(policy[1]);
	}
	printf("sim: %u runs of every single and double loss, duplication and swap, %u failed\n",
	       *ran, failed);
	return failed;
}
