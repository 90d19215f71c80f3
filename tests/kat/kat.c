/*
 * kat DIRECTORY...: recomputes recorded negotiations of real peers and compares.  A capture is
 * NAME.pcap with NAME.json beside it (tests/captures/README.md).  One line a check: "ok", "BAD", or
 * "n/a" with the reason why it cannot be checked.  Exit status 1 when anything is wrong.
 */
#include "kat.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/crypto.h"

static void line(const char *verdict, const struct kat_report *r, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static void line(const char *verdict, const struct kat_report *r, const char *fmt, va_list ap)
{
	printf("%s %s ", verdict, r->name);
	vprintf(fmt, ap);
	putchar('\n');
}

void kat_ok(struct kat_report *r, bool good, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(good ? "ok" : "BAD", r, fmt, ap);
	va_end(ap);
	if (good)
		r->ok++;
	else
		r->bad++;
}

void kat_na(struct kat_report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("n/a", r, fmt, ap);
	va_end(ap);
	r->na++;
}

static void check_capture(const char *directory, const char *name, struct kat_report *r)
{
	char path[4096];
	struct kat_trace trace;
	struct cs_err err = {0};
	json_error_t jerr;
	json_t *doc;

	r->name = name;
	snprintf(path, sizeof(path), "%s/%s.json", directory, name);
	doc = json_load_file(path, 0, &jerr);
	if (!doc) {
		kat_ok(r, false, "JSON: line %d: %s", jerr.line, jerr.text);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s.pcap", directory, name);
	if (kat_read_pcap(path, &trace, &err) < 0) {
		kat_ok(r, false, "packets: %s", err.text);
	} else {
		kat_check(r, doc, &trace);
		kat_trace_free(&trace);
	}
	json_decref(doc);
}

static int is_json(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 5 && strcmp(e->d_name + n - 5, ".json") == 0;
}

/* The number of captures, or -1. */
static int check_directory(const char *directory, struct kat_report *total)
{
	struct dirent **list;
	int n = scandir(directory, &list, is_json, alphasort);

	if (n < 0) {
		perror(directory);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		struct kat_report r = {0};

		list[i]->d_name[strlen(list[i]->d_name) - 5] = '\0';
		check_capture(directory, list[i]->d_name, &r);
		total->ok += r.ok;
		total->bad += r.bad;
		total->na += r.na;
		free(list[i]);
	}
	free(list);
	return n;
}

int main(int argc, char **argv)
{
	const char *shipped[] = {TESTDATA "/captures"};
	const char *const *directories = argc > 1 ? (const char *const *)(argv + 1) : shipped;
	int n_directories = argc > 1 ? argc - 1 : 1, captures = 0;
	struct kat_report total = {0};
	struct cs_err err = {0};

	if (ike_crypto_init(false, &err) < 0) {
		fprintf(stderr, "kat: %s\n", err.text);
		return 2;
	}
	for (int i = 0; i < n_directories; i++) {
		int n = check_directory(directories[i], &total);

		if (n < 0)
			return 2;
		captures += n;
	}
	printf("%d captures: %u ok, %u wrong, %u not checkable\n", captures, total.ok, total.bad,
	       total.na);
	if (captures == 0)
		fprintf(stderr, "kat: no captures found\n");
	return total.bad > 0 || captures == 0;
}
