/* Known-answer check: recomputes a recorded negotiation and compares. */
#ifndef TESTS_KAT_H
#define TESTS_KAT_H

#include <jansson.h>

#include "common/addr.h"
#include "common/buf.h"
#include "iked/isakmp.h"

#define KAT_MESSAGES_MAX 64

/* An ISAKMP message off the wire, reassembled if it was sent in fragments. */
struct kat_message {
	struct cs_endpoint src, dst;
	uint8_t *data; /* allocated */
	size_t len;
};

struct kat_trace {
	unsigned n;
	struct kat_message messages[KAT_MESSAGES_MAX];
};

/* Reads a pcap file: ISAKMP messages on UDP 500 and 4500, repeats left out. */
int kat_read_pcap(const char *path, struct kat_trace *trace, struct cs_err *err);
void kat_trace_free(struct kat_trace *trace);

struct kat_report {
	const char *name;
	unsigned ok, bad, na;
};
void kat_ok(struct kat_report *r, bool good, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void kat_na(struct kat_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The SIG payload of m over this hash, by the certificate that came along; id: the ID payload's
 * body. name: 'I' or 'R'. */
void kat_check_signature(struct kat_report *r, const struct isa_message *m, struct cs_bytes id,
			 struct cs_bytes hash, char name);

/* Recomputes one capture. */
void kat_check(struct kat_report *r, const json_t *doc, const struct kat_trace *trace);

#endif
