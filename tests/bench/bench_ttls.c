/*
 * AT-TLS policy: how long an image takes to make, publish and map, and lookups a second in it, for
 * the first and the last of n rules, for one in the middle, and for a connection that none matches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/policy.h"

#define LOOKUPS 20000u

/* Of this process, so that others on the machine do not count. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void write_policy(FILE *f, unsigned n)
{
	fputs("TTLSGroupAction g\n{\nTTLSEnabled On\n}\n"
	      "TTLSEnvironmentAction e\n{\nHandshakeRole Server\nTTLSKeyringParms\n{\n"
	      "Keyring u/RING\n}\nTTLSCipherParms\n{\nV3CipherSuites4Char 13021301C030C02F\n}\n}\n",
	      f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
			"TTLSRule rule%06u\n{\nLocalPortRange %u\nRemoteAddr 10.%u.%u.0/24\n"
			"Jobname JOB%u*\nDirection Inbound\nPriority %u\nTTLSGroupActionRef g\n"
			"TTLSEnvironmentActionRef e\n}\n",
			i, 1024 + i % 60000, i >> 8 & 255, i & 255, i % 1000, 2000000 - i);
	fclose(f);
}

/* Nanoseconds a lookup of the connection that rule i of write_policy is for. */
static double lookup(const struct pol_ttls *ttls, unsigned i, bool hit)
{
	char job[16];
	struct pol_ttls_connection c = {.local = {AF_INET, {192, 0, 2, 1}},
					.remote = {AF_INET, {10, (uint8_t)(i >> 8), (uint8_t)i, 9}},
					.local_port = (uint16_t)(1024 + i % 60000),
					.remote_port = 40000,
					.job = job,
					.user = "user"};
	time_t when = time(NULL);
	unsigned found = 0;
	double begin = now();

	snprintf(job, sizeof(job), hit ? "JOB%u1" : "OTHER", i % 1000);
	for (unsigned k = 0; k < LOOKUPS; k++)
		found += pol_ttls_match(ttls, &c, when) != NULL;
	if (found != (hit ? LOOKUPS : 0)) {
		fputs("the wrong rule was found\n", stderr);
		exit(EXIT_FAILURE);
	}
	return (now() - begin) * 1e9 / LOOKUPS;
}

static void run(const char *dir, unsigned n)
{
	char path[128], image[128];
	struct pol_policy *policy = NULL;
	struct pol_ttls *ttls = NULL;
	double begin, compiled, published, mapped;
	struct cs_err err;
	FILE *f;

	snprintf(path, sizeof(path), "%s/policy", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	f = fopen(path, "w");
	if (!f)
		exit(EXIT_FAILURE);
	write_policy(f, n);
	begin = now();
	if (pol_compile(path, "TCPIP", NULL, NULL, &policy, &err) < 0)
		goto failed;
	compiled = now();
	if (pol_ttls_publish(policy->ttls, 1, image, &err) < 0)
		goto failed;
	published = now();
	if (pol_ttls_map(image, &ttls, &err) < 0)
		goto failed;
	mapped = now();
	printf("%6u rules: compiled in %.1f ms, published in %.1f ms, mapped and checked in "
	       "%.3f ms; ns a lookup: first %.0f, middle %.0f, last %.0f, none %.0f\n",
	       n, (compiled - begin) * 1e3, (published - compiled) * 1e3,
	       (mapped - published) * 1e3, lookup(ttls, 0, true), lookup(ttls, n / 2, true),
	       lookup(ttls, n - 1, true), lookup(ttls, n - 1, false));
	pol_ttls_unmap(ttls);
	pol_unref(policy);
	unlink(path);
	unlink(image);
	return;
failed:
	fprintf(stderr, "%s\n", err.text);
	exit(EXIT_FAILURE);
}

int main(void)
{
	static const unsigned sizes[] = {10, 100, 1000, 10000};
	char dir[] = "/tmp/bench_ttls.XXXXXX";

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run(dir, sizes[i]);
	rmdir(dir);
	return EXIT_SUCCESS;
}
