/* LocalSecurityEndpoint, RemoteSecurityEndpoint and RemoteIdentity. */
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile.h"
#include "policy/dn.h"

#define KEY_ID_MAX 900

/* ---- bytes written as Ascii, Ebcdic or Hex ---- */

static bool to_ebcdic(struct pol_word word, uint8_t *out, const char **wrong)
{
	iconv_t cd = iconv_open("IBM1047", "UTF-8");
	char *in = (char *)(uintptr_t)word.p, *to = (char *)out;
	size_t left = word.len, room = word.len, rc;

	if (cd == (iconv_t)-1) {
		*wrong = "this system's iconv does not know IBM-1047";
		return false;
	}
	rc = iconv(cd, &in, &left, &to, &room);
	iconv_close(cd);
	if (rc == (size_t)-1 || left || room) {
		*wrong = "it has characters that are not in ASCII";
		return false;
	}
	return true;
}

bool pol_make_bytes(struct pol_build *b, const char *text, size_t max, struct cs_bytes *bytes,
		    const char **wrong)
{
	struct pol_word form = pol_word_next(&text), word = pol_word_next(&text);
	size_t len = word.len;
	uint8_t *out;

	if (word.len == 0) {
		*wrong = "the value is missing behind Ascii, Ebcdic or Hex";
		return false;
	}
	if (pol_word_is(form, "Hex")) {
		len = word.len / 2;
		for (size_t i = 0; i < word.len; i++)
			if (!strchr("0123456789abcdefABCDEF", word.p[i])) {
				*wrong = "it has other characters than hexadecimal digits";
				return false;
			}
		if (word.len % 2) {
			*wrong = "it has an odd number of hexadecimal digits";
			return false;
		}
	}
	if (len > max) {
		*wrong = "it is too long";
		return false;
	}
	out = pol_get(b, len + 1, 1);
	if (!out)
		return false;
	if (pol_word_is(form, "Ascii")) {
		memcpy(out, word.p, len);
	} else if (pol_word_is(form, "Ebcdic")) {
		if (!to_ebcdic(word, out, wrong))
			return false;
	} else {
		for (size_t i = 0; i < len; i++) {
			char digits[3] = {word.p[2 * i], word.p[2 * i + 1], '\0'};

			out[i] = (uint8_t)strtoul(digits, NULL, 16);
		}
	}
	bytes->p = out;
	bytes->len = len;
	return true;
}

/* ---- identities; each check returns NULL or what is wrong ---- */

static const char *check_address(struct pol_identity *id, struct pol_word word, bool local,
				 struct cs_err *err)
{
	char text[CS_RANGE_STRLEN];
	struct cs_range range;

	if (!pol_word_copy(word, text, sizeof(text)))
		return "the value is too long for an IP address, prefix or range";
	if (cs_range_parse(text, &range, err))
		return err->text;
	if (cs_range_is_single(&range) && cs_addr_is_any(&range.lo))
		range = cs_range_all(range.lo.family);
	if (local && !cs_range_is_single(&range))
		return "a local identity must be exact";
	id->type = range.lo.family == AF_INET ? POL_ID_IPV4_ADDR : POL_ID_IPV6_ADDR;
	id->addr = range;
	return NULL;
}

/* A host name, of a remote endpoint also "*" and "*.name". */
static const char *check_host(const char *name, size_t len, bool local)
{
	if (len == 0)
		return "the host name is empty";
	if (memchr(name, '*', len) && local)
		return "a local identity must be exact";
	if (len > 1 && name[0] == '*' && name[1] != '.')
		return "'*' stands alone or before '.'";
	if (len > 1 && memchr(name + 1, '*', len - 1))
		return "'*' stands at the begin alone";
	if (memchr(name, '@', len))
		return "a host name has no '@'";
	return NULL;
}

static const char *check_user(struct pol_word word, bool local)
{
	const char *sign = memchr(word.p, '@', word.len);
	size_t user;

	if (!sign)
		return "the value is not user@host";
	user = (size_t)(sign - word.p);
	if (user == 0)
		return "the user's name is empty";
	if (memchr(word.p, '*', user)) {
		if (local)
			return "a local identity must be exact";
		if (user > 1)
			return "'*' stands for the whole user name";
	}
	return check_host(sign + 1, word.len - user - 1, local);
}

/* A distinguished name; its DER, too, when it is exact. err holds the text of what is wrong. */
static const char *check_dn(struct pol_build *b, struct pol_identity *id, const char *text,
			    bool local, struct cs_err *err)
{
	uint8_t *der = NULL, *copy;
	bool exact = false;
	size_t len = 0;

	if (pol_dn_check(text, &exact, err))
		return err->text;
	if (!exact)
		return local ? "a local identity must be exact" : NULL;
	if (pol_dn_encode(text, &der, &len, err))
		return err->text;
	copy = pol_get(b, len, 1);
	if (copy) {
		memcpy(copy, der, len);
		id->data = (struct cs_bytes){copy, len};
	}
	free(der);
	return NULL;
}

static const char *check_identity(struct pol_build *b, struct pol_identity *id, int type,
				  const char *value, bool local, struct cs_err *err)
{
	const char *text = value, *wrong = NULL;
	struct pol_word word = pol_word_next(&text);
	bool more = pol_word_next(&text).len > 0;

	switch (type) {
	case 0:
		return check_address(id, word, local, err);
	case 1:
		id->type = POL_ID_FQDN;
		return more ? "a host name has no blank" : check_host(word.p, word.len, local);
	case 2:
		id->type = POL_ID_USER_FQDN;
		return more ? "user@host has no blank" : check_user(word, local);
	case 3:
		id->type = POL_ID_DER_ASN1_DN;
		return check_dn(b, id, value, local, err);
	default:
		id->type = POL_ID_KEY_ID;
		if (pol_choice("Ascii|Ebcdic|Hex", value, NULL) < 0)
			return "KeyID needs Ascii, Ebcdic or Hex behind it";
		if (!pol_make_bytes(b, value, KEY_ID_MAX, &id->data, &wrong))
			return wrong ? wrong : "out of memory";
		return NULL;
	}
}

/* The Identity of node itself. */
static void own_identity(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
			 struct pol_identity *id)
{
	bool local = strcmp(node->statement->keyword, "LocalSecurityEndpoint") == 0;
	int type = pol_choice_of(node, "Identity");
	const char *value = item->value, *wrong;
	struct pol_word word;
	struct cs_err err;

	if (type < 0)
		return; /* told by validation */
	pol_word_next(&value);
	value += strspn(value, " \t");
	if (!*value) {
		pol_misvalue(b, node, item, POL_ALL_OF_IT, "the value is missing behind its type");
		return;
	}
	wrong = check_identity(b, id, type, value, local, &err);
	if (wrong) {
		pol_misvalue(b, node, item, (struct pol_word){value, strlen(value)}, "%s", wrong);
		return;
	}
	word = (struct pol_word){value, strlen(value)};
	if (id->type != POL_ID_DER_ASN1_DN && id->type != POL_ID_KEY_ID)
		word = pol_word_next(&value); /* the rest of the line says nothing */
	id->text = pol_pool_text(b->pool, word.p, word.len);
	if (!id->text)
		b->diags->no_memory = true;
}

static void make_identity(struct pol_build *b, struct pol_node *node, struct pol_identity *id)
{
	const struct pol_item *item = pol_item_of(node, "Identity");
	const struct pol_item *ref = pol_item_of(node, "RemoteIdentityRef");
	const struct pol_identity *other;

	if (item) {
		own_identity(b, node, item, id);
	} else if (ref) {
		other = ref->target ? pol_make_identity(b, ref->target) : NULL;
		if (other)
			*id = *other;
		else
			pol_inherit(b, node, ref);
	}
}

const void *pol_make_identity(struct pol_build *b, struct pol_node *node)
{
	struct pol_identity *id;

	if (node->tried)
		return node->made;
	node->tried = true;
	id = pol_get(b, 1, sizeof(*id));
	if (!id)
		return NULL;
	make_identity(b, node, id);
	return pol_done(b, node, id);
}

/* ---- endpoints ---- */

static void make_locations(struct pol_build *b, struct pol_node *node, struct pol_sec_endpoint *e)
{
	static const char *const keywords[] = {"LocationRef", "LocationSetRef", "LocationGroupRef"};
	const struct pol_item *item = pol_item_of(node, "Location");
	const struct pol_ranges *ranges;

	for (int i = 0; !item && i < 3; i++)
		item = pol_item_of(node, keywords[i]);
	if (item && item->param->kind == POL_K_REF) {
		ranges = item->target ? pol_make_ranges(b, item->target) : NULL;
		if (!ranges) {
			pol_inherit(b, node, item);
			return;
		}
		e->locations = ranges->v;
		e->n_locations = ranges->n;
	} else {
		e->locations = pol_get(b, 1, sizeof(*e->locations));
		if (!e->locations ||
		    !pol_range_of(pol_text_of(node, "Location"), e->locations, NULL))
			return; /* told by validation */
		e->n_locations = 1;
	}
	for (unsigned i = 0; i < e->n_locations; i++)
		if (pol_is_embedded(&e->locations[i])) {
			pol_wrong(b, node, item, NULL,
				  "an IPv4-mapped or IPv4-compatible address cannot be a location");
			return;
		}
}

static void add_labels(struct pol_build *b, struct pol_node *node, struct pol_sec_endpoint *e)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		char *label;

		if (strcmp(item->param->keyword, "CaLabel") != 0)
			continue;
		if (strlen(item->value) > 32) {
			pol_wrong(b, node, item, NULL, "the label is longer than 32 characters");
			continue;
		}
		label = pol_pool_text(b->pool, item->value, strlen(item->value));
		if (label)
			e->ca_labels =
				pol_append(b, e->ca_labels, &e->n_ca_labels, &label, sizeof(label));
		else
			b->diags->no_memory = true;
	}
}

const void *pol_make_endpoint(struct pol_build *b, struct pol_node *node)
{
	struct pol_sec_endpoint *e;

	if (node->tried)
		return node->made;
	node->tried = true;
	e = pol_get(b, 1, sizeof(*e));
	if (!e)
		return NULL;
	make_identity(b, node, &e->identity);
	make_locations(b, node, e);
	add_labels(b, node, e);
	return pol_done(b, node, e);
}
