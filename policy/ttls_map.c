/*
 * Reading an AT-TLS image: mapped read-only, checked once, then only pointed into. Part of programs
 * under AT-TLS: nothing here needs more than the C library.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/policy.h"
#include "policy/ttls_image.h"

static const char magic[8] = "CSATTLS";

/* FNV-1a over words of 8 octets: it finds damage, and nobody's intent. */
uint64_t pol_ttls_checksum(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum = (sum ^ word) * 0x100000001b3u;
		sum ^= sum >> 29;
	}
	while (len--)
		sum = (sum ^ *p++) * 0x100000001b3u;
	return sum;
}

/* ---- checking ---- */

struct view {
	const uint8_t *image;
	size_t length;
	struct cs_err *err;
};

static int bad(const struct view *v, const char *what, size_t at)
{
	return cs_fail(v->err, CS_EPARSE, "the AT-TLS image is damaged: %s at offset %zu", what,
		       at);
}

static int check_list(const struct view *v, struct pol_ttls_list list, size_t size, size_t align,
		      size_t at)
{
	if (list.n == 0)
		return list.at == 0 ? 0 : bad(v, "an empty list with an offset", at);
	if (list.at < sizeof(struct pol_ttls_header) || list.at % align != 0)
		return bad(v, "a list that begins where none can", at);
	if (list.at > v->length || list.n > (v->length - list.at) / size)
		return bad(v, "a list that ends outside", at);
	return 0;
}

static int check_text(const struct view *v, uint32_t text, size_t at)
{
	size_t room;

	if (text == 0)
		return 0;
	if (text < sizeof(struct pol_ttls_header) || text >= v->length)
		return bad(v, "a text that begins outside", at);
	room = v->length - text;
	if (room > POL_TTLS_TEXT_MAX)
		room = POL_TTLS_TEXT_MAX;
	return memchr(v->image + text, 0, room) ? 0 : bad(v, "a text without an end", at);
}

static int check_texts(const struct view *v, struct pol_ttls_list list, unsigned each, size_t at)
{
	int rc = check_list(v, list, sizeof(uint32_t) * each, sizeof(uint32_t), at);
	const uint32_t *texts = rc ? NULL : (const void *)(v->image + list.at);

	for (size_t i = 0; rc == 0 && i < (size_t)list.n * each; i++) {
		rc = check_text(v, texts[i], list.at + i * sizeof(*texts));
		if (rc == 0 && texts[i] == 0 && i % each == 0)
			rc = bad(v, "a list with a text that is none", at);
	}
	return rc;
}

static int check_field(const struct view *v, const struct pol_ttls_field *f, size_t at)
{
	const uint8_t *p = v->image + at;
	struct pol_ttls_list list;
	uint32_t text;

	switch (f->kind) {
	case POL_TTLS_BOOL:
	case POL_TTLS_CHOICE:
		return *p <= f->last ? 0 : bad(v, "a choice that is none", at);
	case POL_TTLS_NUMBER:
		return 0;
	case POL_TTLS_TEXT:
		memcpy(&text, p, sizeof(text));
		return check_text(v, text, at);
	case POL_TTLS_TEXTS:
	case POL_TTLS_NAMES:
		memcpy(&list, p, sizeof(list));
		return check_texts(v, list, f->kind == POL_TTLS_NAMES ? 2 : 1, at);
	case POL_TTLS_CODES:
		memcpy(&list, p, sizeof(list));
		return check_list(v, list, sizeof(uint16_t), sizeof(uint16_t), at);
	}
	return bad(v, "a field of no kind", at);
}

static int check_profiles(const struct view *v, const struct pol_ttls_header *h)
{
	int rc = check_list(v, h->profiles, sizeof(struct pol_ttls_profile), POL_TTLS_ALIGN,
			    offsetof(struct pol_ttls_header, profiles));

	for (unsigned i = 0; rc == 0 && i < h->profiles.n; i++) {
		size_t at = h->profiles.at + i * sizeof(struct pol_ttls_profile);
		const struct pol_ttls_profile *p = (const void *)(v->image + at);

		for (unsigned k = 0; rc == 0 && k < pol_ttls_n_fields; k++)
			rc = check_field(v, &pol_ttls_fields[k], at + pol_ttls_fields[k].at);
		if (rc == 0 && (!p->group || (p->enabled && (!p->environment || !p->keyring))))
			rc = bad(v, "a profile without its actions", at);
	}
	return rc;
}

static int check_times(const struct view *v, struct pol_ttls_list list, size_t at)
{
	int rc = check_list(v, list, sizeof(struct pol_ttls_time), POL_TTLS_ALIGN, at);
	const struct pol_ttls_time *t = rc ? NULL : (const void *)(v->image + list.at);

	for (unsigned i = 0; rc == 0 && i < list.n; i++, t++) {
		at = (size_t)((const uint8_t *)t - v->image);
		rc = check_list(v, t->spans, 2 * sizeof(uint16_t), sizeof(uint16_t), at);
		if (rc == 0 && t->zone != POL_ZONE_LOCAL && (t->zone < -1440 || t->zone > 1440))
			rc = bad(v, "a time zone that is none", at);
	}
	return rc;
}

static int check_ranges(const struct view *v, struct pol_ttls_list list, size_t at)
{
	int rc = check_list(v, list, sizeof(struct pol_ttls_range), POL_TTLS_ALIGN, at);
	const struct pol_ttls_range *r = rc ? NULL : (const void *)(v->image + list.at);

	for (unsigned i = 0; rc == 0 && i < list.n; i++)
		if (r[i].family != 4 && r[i].family != 6)
			rc = bad(v, "a range of no family", list.at + i * sizeof(*r));
	return rc;
}

static int check_rule(const struct view *v, const struct pol_ttls_header *h, size_t at)
{
	const struct pol_ttls_rule *r = (const void *)(v->image + at);
	int rc = check_text(v, r->name, at);

	if (rc == 0 && !r->name)
		rc = bad(v, "a rule without a name", at);
	if (rc == 0)
		rc = check_text(v, r->job, at);
	if (rc == 0)
		rc = check_text(v, r->user, at);
	if (rc == 0)
		rc = check_ranges(v, r->local, at);
	if (rc == 0)
		rc = check_ranges(v, r->remote, at);
	if (rc == 0)
		rc = check_list(v, r->local_ports, sizeof(struct pol_ttls_ports), 2, at);
	if (rc == 0)
		rc = check_list(v, r->remote_ports, sizeof(struct pol_ttls_ports), 2, at);
	if (rc == 0)
		rc = check_times(v, r->times, at);
	if (rc == 0 &&
	    (r->profile < h->profiles.at ||
	     (r->profile - h->profiles.at) % sizeof(struct pol_ttls_profile) != 0 ||
	     (r->profile - h->profiles.at) / sizeof(struct pol_ttls_profile) >= h->profiles.n))
		rc = bad(v, "a rule without a profile", at);
	return rc;
}

static int check_rules(const struct view *v, const struct pol_ttls_header *h)
{
	int rc = check_list(v, h->rules, sizeof(struct pol_ttls_rule), POL_TTLS_ALIGN,
			    offsetof(struct pol_ttls_header, rules));
	const struct pol_ttls_rule *r = rc ? NULL : (const void *)(v->image + h->rules.at);

	for (unsigned i = 0; rc == 0 && i < h->rules.n; i++) {
		rc = check_rule(v, h, h->rules.at + i * sizeof(*r));
		if (rc == 0 && i > 0 && r[i].priority > r[i - 1].priority)
			rc = bad(v, "rules that are not in order", h->rules.at + i * sizeof(*r));
	}
	return rc;
}

static uint64_t checksum_of(const uint8_t *image, size_t length)
{
	struct pol_ttls_header h;
	uint64_t sum;

	memcpy(&h, image, sizeof(h));
	h.checksum = 0;
	sum = pol_ttls_checksum(POL_TTLS_SEED, &h, sizeof(h));
	return pol_ttls_checksum(sum, image + sizeof(h), length - sizeof(h));
}

void pol_ttls_seal(uint8_t *image, size_t length, uint64_t generation)
{
	struct pol_ttls_header *h = (void *)image;

	h->generation = generation;
	h->checksum = checksum_of(image, length);
}

int pol_ttls_verify(const uint8_t *image, size_t length, struct cs_err *err)
{
	const struct pol_ttls_header *h = (const void *)image;
	const struct view v = {image, length, err};
	int rc;

	if (length < sizeof(*h) || memcmp(h->magic, magic, sizeof(magic)) != 0)
		return cs_fail(err, CS_EPARSE, "it is no AT-TLS image");
	if (h->order != POL_TTLS_ORDER)
		return cs_fail(err, CS_EPARSE,
			       "the AT-TLS image is of a machine with another byte order");
	if (h->version != POL_TTLS_VERSION)
		return cs_fail(err, CS_EPARSE, "the AT-TLS image has version %u, not %u",
			       h->version, POL_TTLS_VERSION);
	if (h->length != length)
		return cs_fail(err, CS_EPARSE,
			       "the AT-TLS image is damaged: it has %zu octets, not %llu", length,
			       (unsigned long long)h->length);
	if (h->checksum != checksum_of(image, length))
		return cs_fail(err, CS_EPARSE, "the AT-TLS image is damaged: its checksum differs");
	rc = check_profiles(&v, h);
	return rc ? rc : check_rules(&v, h);
}

/* ---- mapping ---- */

/*
 * Who writes the image decides what is encrypted, and how: pagent, which is root, or the user to
 * whom this process belongs, who could have it do anything.
 */
static int check_owner(const struct stat *st, const char *file, struct cs_err *err)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return cs_fail(err, CS_EPERM,
			       "%s: it belongs to user %u, and not to root: it is not used", file,
			       (unsigned)st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return cs_fail(err, CS_EPERM,
			       "%s: others than its owner may write it: it is not used", file);
	return 0;
}

static int map_fd(int fd, const char *file, struct pol_ttls *t, struct cs_err *err)
{
	struct stat st;
	void *image;

	if (fstat(fd, &st) < 0)
		return cs_fail(err, CS_ESYS, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > POL_TTLS_IMAGE_MAX)
		return cs_fail(err, CS_EPARSE, "%s: it is no AT-TLS image", file);
	if (check_owner(&st, file, err) < 0)
		return CS_EPERM;
	image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED)
		return cs_fail(err, CS_ESYS, "%s: %s", file, strerror(errno));
	t->image = image;
	t->length = (size_t)st.st_size;
	t->device = st.st_dev;
	t->inode = st.st_ino;
	return 0;
}

int pol_ttls_map(const char *file, struct pol_ttls **ttls, struct cs_err *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), rc;
	struct pol_ttls *t;

	if (fd < 0)
		return cs_fail(err, errno == ENOENT ? CS_ENOTFOUND : CS_ESYS, "%s: %s", file,
			       strerror(errno));
	t = calloc(1, sizeof(*t));
	rc = t ? map_fd(fd, file, t, err) : cs_fail(err, CS_ENOMEM, "out of memory");
	close(fd);
	if (rc < 0) {
		free(t);
		return rc;
	}
	t->mapped = true;
	rc = pol_ttls_verify(t->image, t->length, err);
	if (rc < 0) {
		cs_err_prefix(err, "%s", file);
		pol_ttls_unmap(t);
		return rc;
	}
	*ttls = t;
	return 0;
}

void pol_ttls_unmap(struct pol_ttls *ttls)
{
	if (!ttls || !ttls->mapped)
		return;
	munmap((void *)(uintptr_t)ttls->image, ttls->length);
	free(ttls);
}

enum pol_ttls_age pol_ttls_age(const struct pol_ttls *ttls, const char *file)
{
	struct stat st;

	if (stat(file, &st) < 0)
		return POL_TTLS_GONE;
	/* The mapping holds the old inode, so that its number cannot be a new file's. */
	return st.st_ino == ttls->inode && st.st_dev == ttls->device ? POL_TTLS_CURRENT
								     : POL_TTLS_REPLACED;
}

/* ---- what is in it ---- */

static const struct pol_ttls_header *header(const struct pol_ttls *ttls)
{
	return (const void *)ttls->image;
}

uint64_t pol_ttls_generation(const struct pol_ttls *ttls)
{
	return header(ttls)->generation;
}

unsigned pol_ttls_count(const struct pol_ttls *ttls)
{
	return header(ttls)->rules.n;
}

const struct pol_ttls_rule *pol_ttls_rule(const struct pol_ttls *ttls, unsigned i)
{
	const struct pol_ttls_rule *rules = pol_ttls_things(ttls, header(ttls)->rules);

	return &rules[i];
}

const struct pol_ttls_profile *pol_ttls_profile(const struct pol_ttls *ttls,
						const struct pol_ttls_rule *rule)
{
	return (const void *)(ttls->image + rule->profile);
}

const char *pol_ttls_text(const struct pol_ttls *ttls, uint32_t at)
{
	return at ? (const char *)ttls->image + at : NULL;
}

const void *pol_ttls_things(const struct pol_ttls *ttls, struct pol_ttls_list list)
{
	return ttls->image + list.at;
}
