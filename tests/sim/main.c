/* sim: runs the simulation. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "tests/sim/sim.h"

static void usage(FILE *to)
{
	fputs("usage: sim [--exhaustive] [--scenarios N] [--seed S] [--verbose]\n"
	      "  --exhaustive   every single and double loss, duplication and swap of a "
	      "negotiation's messages\n"
	      "  --scenarios N  N random scenarios\n"
	      "  --takeovers N  N random scenarios of an address that moves between hosts\n"
	      "  --many N       N tunnels taken over at once; a fifth of it, where some peers are "
	      "silent, and where all of them send\n"
	      "  --days N       N days of one host with 50 peers\n"
	      "  --seed S       of the first one, the others follow; a fresh one without it\n"
	      "  --verbose      every datagram and log line (with --scenarios 1: a replay)\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"exhaustive", no_argument, NULL, 'e'},
		{"scenarios", required_argument, NULL, 'n'},
		{"days", required_argument, NULL, 'd'},
		{"takeovers", required_argument, NULL, 't'},
		{"many", required_argument, NULL, 'm'},
		{"seed", required_argument, NULL, 's'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	bool exhaustive = false, verbose = false;
	unsigned n = 0, days = 0, takeovers = 0, many = 0, ran, failed = 0;
	uint64_t seed = 0;
	struct cs_err err;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'e':
			exhaustive = true;
			break;
		case 'n':
			n = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't':
			takeovers = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			many = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			days = (unsigned)strtoul(optarg, NULL, 10);
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
	if (!exhaustive && !n && !days && !takeovers && !many) {
		usage(stderr);
		return 2;
	}
	if (!seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		perror("getrandom");
		return 1;
	}
	seed &= 0xffffffffffff; /* short enough to read out */
	if (ike_crypto_init(false, &err) < 0 || ike_arena_init(64u << 20, &err) < 0) {
		fprintf(stderr, "sim: %s\n", err.text);
		return 1;
	}
	if (exhaustive)
		failed += sim_exhaustive(verbose, &ran);
	if (n)
		failed += sim_random_scenarios(seed, n, verbose);
	if (takeovers)
		failed += sim_takeovers(seed, takeovers, verbose);
	if (many)
		failed += sim_takeover_many(many, 0, false, seed, verbose) +
			  sim_takeover_many(many / 5, many / 10, false, seed, verbose) +
			  sim_takeover_many(many / 5, 0, true, seed, verbose);
	if (days)
		failed += sim_endurance(days, SIM_MOST - 1, seed, verbose);
	return failed != 0;
}
