/* The frame of SA payloads: proposals, transforms and attributes, read and built. */
#include "iked/sa_payload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iked/isakmp.h"

#define DOI_IPSEC           1
#define SIT_IDENTITY_ONLY   1
#define SPI_MAX             16 /* RFC 2408 section 3.5 */
#define ATTRIBUTE_BASIC     0x8000u
#define GENERIC_LEN         4
#define TRANSFORM_COUNT_OFF 7 /* of a proposal, its generic header included */

/* ---- reading ---- */

/* A payload within the SA payload: takes it off r. own_type chains, 0 ends. */
static int take_part(struct cs_reader *r, unsigned own_type, bool *more, struct cs_reader *inside,
		     struct cs_err *err)
{
	uint8_t next, reserved;
	uint16_t length;
	struct cs_bytes body;

	if (!cs_get_u8(r, &next) || !cs_get_u8(r, &reserved) || !cs_get_u16(r, &length) ||
	    length < GENERIC_LEN || !cs_get_bytes(r, length - GENERIC_LEN, &body))
		return cs_fail(err, CS_EPARSE, "the length of a %s is wrong",
			       isa_payload_name(own_type));
	if (next != ISA_NONE && next != own_type)
		return cs_fail(err, CS_EPARSE, "a %s is followed by payload %u",
			       isa_payload_name(own_type), next);
	*more = next != ISA_NONE;
	*inside = cs_reader_of(body.p, body.len);
	return 0;
}

static int check_attributes(struct cs_reader r, struct cs_err *err)
{
	struct ike_sa_attribute a;

	while (cs_reader_left(&r) > 0)
		if (!ike_sa_next_attribute(&r, &a))
			return cs_fail(err, CS_EPARSE,
				       "an attribute passes the end of its transform");
	return 0;
}

/* All transforms of a proposal; as many as it says. */
static int check_transforms(struct cs_reader r, unsigned expected, struct cs_err *err)
{
	unsigned found = 0;
	bool more = true;

	for (; more; found++) {
		uint8_t number, id;
		struct cs_reader t;
		uint16_t reserved;
		int rc = take_part(&r, ISA_TRANSFORM, &more, &t, err);

		if (rc < 0)
			return rc;
		if (!cs_get_u8(&t, &number) || !cs_get_u8(&t, &id) || !cs_get_u16(&t, &reserved))
			return cs_fail(err, CS_EPARSE, "a transform is cut short");
		rc = check_attributes(t, err);
		if (rc < 0)
			return rc;
	}
	if (cs_reader_left(&r) > 0)
		return cs_fail(err, CS_EPARSE, "%zu bytes follow the last transform",
			       cs_reader_left(&r));
	if (found != expected)
		return cs_fail(err, CS_EPARSE, "a proposal says %u transforms and has %u", expected,
			       found);
	return 0;
}

static int parse_proposal(struct cs_reader r, struct ike_sa_proposal *p, struct cs_err *err)
{
	uint8_t spi_size;

	if (!cs_get_u8(&r, &p->number) || !cs_get_u8(&r, &p->protocol) ||
	    !cs_get_u8(&r, &spi_size) || !cs_get_u8(&r, &p->n_transforms))
		return cs_fail(err, CS_EPARSE, "a proposal is cut short");
	if (spi_size > SPI_MAX || !cs_get_bytes(&r, spi_size, &p->spi))
		return cs_fail(err, CS_EPARSE, "a proposal has an SPI of %u bytes", spi_size);
	if (p->n_transforms == 0)
		return cs_fail(err, CS_EPARSE, "proposal %u has no transform", p->number);
	cs_get_bytes(&r, cs_reader_left(&r), &p->transforms);
	p->bundled = false;
	return check_transforms(cs_reader_of(p->transforms.p, p->transforms.len), p->n_transforms,
				err);
}

int ike_sa_parse(struct cs_bytes body, struct ike_sa_payload *sa, struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(body.p, body.len);
	uint32_t doi, situation;
	unsigned transforms = 0;
	bool more = true;

	sa->n = 0;
	if (!cs_get_u32(&r, &doi) || !cs_get_u32(&r, &situation))
		return cs_fail(err, CS_EPARSE, "the SA payload is cut short");
	if (doi != DOI_IPSEC)
		return cs_fail(err, CS_EUNSUPPORTED, "DOI %u is not supported", doi);
	if (situation != SIT_IDENTITY_ONLY)
		return cs_fail(err, CS_EUNSUPPORTED, "situation %08x is not supported", situation);
	while (more) {
		struct ike_sa_proposal *p = &sa->proposals[sa->n];
		struct cs_reader inside;
		int rc = take_part(&r, ISA_PROPOSAL, &more, &inside, err);

		if (rc == 0)
			rc = parse_proposal(inside, p, err);
		if (rc < 0)
			return rc;
		transforms += p->n_transforms;
		if (transforms > IKE_TRANSFORMS_MAX || (more && sa->n + 1 == IKE_PROPOSALS_MAX))
			return cs_fail(err, CS_ELIMIT, "more than %d proposals or %d transforms",
				       IKE_PROPOSALS_MAX, IKE_TRANSFORMS_MAX);
		if (sa->n > 0 && p[-1].number == p->number)
			p[-1].bundled = p->bundled = true;
		sa->n++;
	}
	if (cs_reader_left(&r) > 0)
		return cs_fail(err, CS_EPARSE, "%zu bytes follow the last proposal",
			       cs_reader_left(&r));
	return 0;
}

bool ike_sa_next_transform(struct cs_reader *r, struct ike_sa_transform *t)
{
	struct cs_reader inside;
	uint16_t reserved;
	bool more;

	if (cs_reader_left(r) == 0 || take_part(r, ISA_TRANSFORM, &more, &inside, NULL) < 0)
		return false;
	return cs_get_u8(&inside, &t->number) && cs_get_u8(&inside, &t->id) &&
	       cs_get_u16(&inside, &reserved) &&
	       cs_get_bytes(&inside, cs_reader_left(&inside), &t->attributes);
}

bool ike_sa_next_attribute(struct cs_reader *r, struct ike_sa_attribute *a)
{
	struct cs_reader start;
	uint16_t type;

	if (!cs_get_u16(r, &type))
		return false;
	start = *r;
	if (!cs_get_u16(r, &a->value))
		return false;
	a->type = (uint16_t)(type & ~ATTRIBUTE_BASIC);
	a->basic = type & ATTRIBUTE_BASIC;
	if (a->basic)
		return cs_get_bytes(&start, 2, &a->data);
	return cs_get_bytes(r, a->value, &a->data);
}

bool ike_sa_number(const struct ike_sa_attribute *a, uint64_t *value)
{
	if (a->data.len == 0 || a->data.len > sizeof(*value))
		return false;
	*value = 0;
	for (size_t i = 0; i < a->data.len; i++)
		*value = *value << 8 | a->data.p[i];
	return true;
}

int ike_sa_parse_answer(struct cs_bytes body, struct ike_sa_payload *sa, struct ike_sa_transform *t,
			struct cs_err *err)
{
	const struct ike_sa_proposal *p = &sa->proposals[0];
	struct cs_reader r;
	int rc = ike_sa_parse(body, sa, err);

	if (rc < 0)
		return rc;
	if (sa->n != 1 || p->n_transforms != 1)
		return cs_fail(
			err, CS_EPARSE,
			"the peer's answer has %u proposals and %u transforms instead of one",
			sa->n, p->n_transforms);
	r = cs_reader_of(p->transforms.p, p->transforms.len);
	if (!ike_sa_next_transform(&r, t))
		return cs_fail(err, CS_EPARSE, "the peer's answer has no transform");
	return 0;
}

/* ---- attributes of one transform ---- */

void ike_sa_unfit(struct ike_sa_scan *s, const char *fmt, ...)
{
	va_list ap;

	if (s->unfit[0])
		return;
	va_start(ap, fmt);
	vsnprintf(s->unfit, sizeof(s->unfit), fmt, ap);
	va_end(ap);
}

uint16_t ike_sa_scan_basic(struct ike_sa_scan *s, const struct ike_sa_attribute *a)
{
	uint32_t bit = a->type < 32 ? 1u << a->type : 0;

	if (s->seen & bit)
		ike_sa_unfit(s, "attribute %u stands twice", a->type);
	s->seen |= bit;
	if (!a->basic) {
		ike_sa_unfit(s, "attribute %u has the variable form", a->type);
		return 0;
	}
	return a->value;
}

void ike_sa_scan_life_type(struct ike_sa_scan *s, const struct ike_sa_attribute *a)
{
	if (!a->basic)
		ike_sa_unfit(s, "the life type has the variable form");
	else if (a->value != IKE_LIFE_SECONDS && a->value != IKE_LIFE_KBYTES)
		ike_sa_unfit(s, "life type %u is not known", a->value);
	else if (s->life_type)
		ike_sa_unfit(s, "a life type has no duration");
	else
		s->life_type = a->value;
}

void ike_sa_scan_duration(struct ike_sa_scan *s, const struct ike_sa_attribute *a)
{
	uint64_t *to = s->life_type == IKE_LIFE_SECONDS ? &s->seconds : &s->kbytes;
	uint64_t value;

	if (!s->life_type) {
		ike_sa_unfit(s, "a duration has no life type");
		return;
	}
	if (!ike_sa_number(a, &value)) {
		ike_sa_unfit(s, "a duration has %zu bytes", a->data.len);
		return;
	}
	if (value == 0)
		ike_sa_unfit(s, "a duration is 0");
	if (*to)
		ike_sa_unfit(s, "a life type stands twice");
	*to = value;
	s->life_type = 0;
}

void ike_sa_scan_end(struct ike_sa_scan *s)
{
	if (s->life_type)
		ike_sa_unfit(s, "a life type has no duration");
}

static bool in_range(const struct pol_life *l, uint64_t value, const char *unit,
		     char text[static IKE_UNFIT_MAX])
{
	if ((l->accepted_min == 0 && l->accepted_max == 0) ||
	    (value >= l->accepted_min && value <= l->accepted_max))
		return true;
	snprintf(text, IKE_UNFIT_MAX, "lifetime %llu %s is outside %u to %u",
		 (unsigned long long)value, unit, l->accepted_min, l->accepted_max);
	return false;
}

/* Without a life in seconds the RFC's default holds; without one in kbytes there is none. */
bool ike_sa_life_fits(const struct pol_life *seconds, const struct pol_life *kbytes,
		      const struct ike_sa_scan *s, char text[static IKE_UNFIT_MAX])
{
	return in_range(seconds, s->seconds ? s->seconds : IKE_DEFAULT_LIFE, "s", text) &&
	       (s->kbytes == 0 || in_range(kbytes, s->kbytes, "KB", text));
}

bool ike_sa_life_answered(const struct pol_life *life, uint64_t value)
{
	if (value == 0 || value == life->proposed)
		return true;
	return (life->proposed == 0 || value < life->proposed) && value >= life->accepted_min;
}

/* ---- building ---- */

void ike_sa_begin(struct ike_sa_builder *b, struct cs_writer *w)
{
	*b = (struct ike_sa_builder){.w = w};
	cs_put_u32(w, DOI_IPSEC);
	cs_put_u32(w, SIT_IDENTITY_ONLY);
}

/* The generic header of a part; the part before it, when there is one, now says that one follows.
 */
static size_t part_begin(struct cs_writer *w, size_t before, unsigned type)
{
	size_t at = w->len;

	if (before)
		cs_patch_u8(w, before, (uint8_t)type);
	cs_put_u8(w, ISA_NONE);
	cs_put_u8(w, 0);
	cs_put_u16(w, 0);
	return at;
}

static void part_end(struct cs_writer *w, size_t at)
{
	if (w->len - at > UINT16_MAX)
		w->overflow = true;
	cs_patch_u16(w, at + 2, (uint16_t)(w->len - at));
}

void ike_sa_proposal_begin(struct ike_sa_builder *b, uint8_t number, uint8_t protocol,
			   const uint32_t *spi)
{
	b->proposal_at = part_begin(b->w, b->proposal_at, ISA_PROPOSAL);
	b->transform_at = 0;
	b->n_proposals++;
	b->n_transforms = 0;
	cs_put_u8(b->w, number);
	cs_put_u8(b->w, protocol);
	cs_put_u8(b->w, spi ? 4 : 0);
	cs_put_u8(b->w, 0);
	if (spi)
		cs_put_u32(b->w, *spi);
}

void ike_sa_proposal_end(struct ike_sa_builder *b)
{
	cs_patch_u8(b->w, b->proposal_at + TRANSFORM_COUNT_OFF, b->n_transforms);
	part_end(b->w, b->proposal_at);
}

void ike_sa_transform_begin(struct ike_sa_builder *b, uint8_t number, uint8_t id)
{
	b->transform_at = part_begin(b->w, b->transform_at, ISA_TRANSFORM);
	if (b->n_transforms == UINT8_MAX)
		b->w->overflow = true;
	b->n_transforms++;
	cs_put_u8(b->w, number);
	cs_put_u8(b->w, id);
	cs_put_u16(b->w, 0);
}

void ike_sa_transform_end(struct ike_sa_builder *b)
{
	part_end(b->w, b->transform_at);
}

void ike_sa_basic(struct ike_sa_builder *b, uint16_t type, uint16_t value)
{
	cs_put_u16(b->w, (uint16_t)(ATTRIBUTE_BASIC | type));
	cs_put_u16(b->w, value);
}

void ike_sa_life(struct ike_sa_builder *b, uint16_t type_attribute, enum ike_life_type type,
		 uint64_t value)
{
	ike_sa_basic(b, type_attribute, (uint16_t)type);
	if (value <= UINT16_MAX) {
		ike_sa_basic(b, (uint16_t)(type_attribute + 1), (uint16_t)value);
		return;
	}
	cs_put_u16(b->w, (uint16_t)(type_attribute + 1));
	cs_put_u16(b->w, value <= UINT32_MAX ? 4 : 8);
	if (value > UINT32_MAX)
		cs_put_u32(b->w, (uint32_t)(value >> 32));
	cs_put_u32(b->w, (uint32_t)value);
}

int ike_sa_end(const struct ike_sa_builder *b, struct cs_err *err)
{
	if (!cs_writer_ok(b->w))
		return cs_fail(err, CS_ELIMIT, "the SA payload does not fit the message");
	return 0;
}

/* ---- lists ---- */

void ike_sa_list_add(struct ike_sa_list *l, const char *item)
{
	size_t used = strlen(l->text);

	if (l->full || strcmp(l->last, item) == 0)
		return;
	snprintf(l->last, sizeof(l->last), "%s", item);
	/* Room is kept for ", ..." behind whatever fits. */
	if (used + strlen(item) + 8 > sizeof(l->text)) {
		l->full = true;
		item = "...";
	}
	snprintf(l->text + used, sizeof(l->text) - used, "%s%s", used ? ", " : "", item);
}

void ike_sa_explain(const struct ike_sa_list *offered, const struct ike_sa_list *ours,
		    const char *near, struct ike_mismatch *why)
{
	snprintf(why->text, sizeof(why->text), "peer offered %s; rule accepts %s%s%s",
		 offered->text[0] ? offered->text : "nothing usable",
		 ours->text[0] ? ours->text : "nothing usable", near[0] ? "; " : "", near);
}
