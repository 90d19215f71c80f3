/*
 * Writes what the fuzzers begin with: seeds DIRECTORY CAPTURES.  DIRECTORY/fuzz_isakmp gets the
 * messages of the captures and one of each shape that is encrypted there, DIRECTORY/fuzz_pki the
 * certificates of pki_check.c, DIRECTORY/fuzz_shared_row SAs of all shapes, DIRECTORY/policy.dict
 * the words of the policy language.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/shared_wire.h"
#include "policy/grammar.h"
#include "tests/fuzz/pki_check.h"
#include "tests/fuzz/wire_check.h"
#include "tests/kat/kat.h"
#include "tests/unit/sa_random.h"

static bool write_file(const char *directory, const char *target, const char *leaf,
		       const void *data, size_t len)
{
	char path[512];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s/%s", directory, target, leaf);
	f = fopen(path, "wb");
	ok = f && fwrite(data, 1, len, f) == len;
	if (f && fclose(f) != 0)
		ok = false;
	if (!ok)
		perror(path);
	return ok;
}

static bool seeds_of_capture(const char *directory, const char *captures, const char *leaf)
{
	struct kat_trace trace;
	struct cs_err err = {0};
	char path[512];
	bool ok = true;

	snprintf(path, sizeof(path), "%s/%s", captures, leaf);
	if (kat_read_pcap(path, &trace, &err) < 0) {
		fprintf(stderr, "seeds: %s\n", err.text);
		return false;
	}
	for (unsigned i = 0; ok && i < trace.n; i++) {
		char name[300];

		snprintf(name, sizeof(name), "%.250s-%u", leaf, i + 1);
		ok = write_file(directory, "fuzz_isakmp", name, trace.messages[i].data,
				trace.messages[i].len);
	}
	kat_trace_free(&trace);
	return ok;
}

static bool seeds_of_captures(const char *directory, const char *captures)
{
	DIR *dir = opendir(captures);
	const struct dirent *entry;
	bool ok = true;

	if (!dir) {
		perror(captures);
		return false;
	}
	while (ok && (entry = readdir(dir)) != NULL) {
		const char *end = strrchr(entry->d_name, '.');

		if (end && strcmp(end, ".pcap") == 0)
			ok = seeds_of_capture(directory, captures, entry->d_name);
	}
	closedir(dir);
	return ok;
}

static bool seeds_made(const char *directory)
{
	static struct wire_message messages[WIRE_MESSAGES];

	wire_policies();
	wire_messages(messages);
	for (unsigned i = 0; i < WIRE_MESSAGES; i++)
		if (!write_file(directory, "fuzz_isakmp", messages[i].name, messages[i].data,
				messages[i].len))
			return false;
	return true;
}

static bool seeds_of_pki(const char *directory)
{
	static uint8_t seed[PKI_SEED_MAX];

	pki_check_setup();
	for (unsigned i = 0; i < PKI_SEEDS; i++) {
		char name[8];

		snprintf(name, sizeof(name), "%u", i);
		if (!write_file(directory, "fuzz_pki", name, seed, pki_check_seed(i, seed)))
			return false;
	}
	return true;
}

static bool seed_of_sa(const char *directory, unsigned i, struct sa_random *r)
{
	char kind = i % 2 ? 'K' : 'Y', name[8], *text, *seed;
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	bool ok;

	if (kind == 'K')
		sa_random_p1(r, &p1);
	else
		sa_random_p2(r, &p2);
	if ((kind == 'K' ? ike_shared_put_p1(&p1, &text, NULL)
			 : ike_shared_put_p2(&p2, &text, NULL)) < 0)
		return false;
	seed = malloc(strlen(text) + 2);
	if (!seed)
		return false;
	seed[0] = kind;
	strcpy(seed + 1, text);
	snprintf(name, sizeof(name), "%u", i);
	ok = write_file(directory, "fuzz_shared_row", name, (uint8_t *)seed, strlen(seed));
	free(text);
	free(seed);
	return ok;
}

static bool seeds_of_shared(const char *directory)
{
	struct ike_shared_message m = {
		.kind = IKE_SH_CLAIM, .serial = 1, .epoch = 2, .flag = true, .host = "a/TCPIP#0"};
	struct sa_random r = {.state = 1};
	uint8_t seed[1 + IKE_SHARED_MESSAGE_MAX] = {0};
	size_t len;

	for (unsigned i = 0; i < 20; i++)
		if (!seed_of_sa(directory, i, &r))
			return false;
	return cs_addr_parse("192.0.2.1", &m.address, NULL) == 0 &&
	       ike_shared_put_message(&m, seed + 1, sizeof(seed) - 1, &len, NULL) == 0 &&
	       write_file(directory, "fuzz_shared_row", "claim", seed, len + 1);
}

/* Words of a row's values stand between blanks or bars. */
static void put_words(FILE *f, const char *words)
{
	while (words && *words) {
		size_t n = strcspn(words, " |,");

		if (n > 1)
			fprintf(f, "\"%.*s\"\n", (int)n, words);
		words += n;
		words += strspn(words, " |,");
	}
}

static bool dictionary(const char *directory)
{
	unsigned n;
	const struct pol_statement *s = pol_statements(&n);
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/policy.dict", directory);
	f = fopen(path, "w");
	if (!f) {
		perror(path);
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		put_words(f, s[i].keyword);
		for (const struct pol_param *p = s[i].params; p && p->keyword; p++) {
			put_words(f, p->keyword);
			put_words(f, p->values);
		}
	}
	return fclose(f) == 0;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: seeds DIRECTORY CAPTURES\n", stderr);
		return 2;
	}
	return !(seeds_made(argv[1]) && seeds_of_captures(argv[1], argv[2]) &&
		 seeds_of_pki(argv[1]) && seeds_of_shared(argv[1]) && dictionary(argv[1]));
}
