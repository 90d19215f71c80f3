/* AT-TLS policy: what the files that compile it share. Private to policy/. */
#ifndef POL_COMPILE_TTLS_H
#define POL_COMPILE_TTLS_H

#include "policy/compile.h"
#include "policy/ttls_codes.h"
#include "policy/ttls_image.h"

struct pol_codes {
	uint16_t *v;
	unsigned n;
	bool coded; /* with n 0: nothing of it is to be had, or Any */
};

/*
 * The algorithms of all lines of keyword (V3CipherSuites: of V3CipherSuites4Char, too), each once.
 * tell: what is wrong is found; else it is passed over.
 */
void pol_ttls_codes(struct pol_build *b, struct pol_node *node, const char *keyword, bool tell,
		    struct pol_codes *codes);

/* The statement that the line keyword, or keyword with Ref behind it, stands for; NULL: none. */
struct pol_node *pol_ttls_part(const struct pol_node *node, const char *keyword);

/* ---- values: a connection's statements, the innermost first ---- */

struct pol_ttls_sources {
	struct pol_node *v[12];
	unsigned n;
};

/* Any of the three may be NULL. */
struct pol_ttls_sources pol_ttls_sources(const struct pol_node *group,
					 const struct pol_node *environment,
					 const struct pol_node *connection);
/* The statement that codes keyword, or NULL. */
struct pol_node *pol_ttls_coder(const struct pol_ttls_sources *s, const char *keyword);
/* The value's text; where it is not coded, the default's, or NULL. *param: its row. */
const char *pol_ttls_value(const struct pol_ttls_sources *s, const char *keyword,
			   const struct pol_param **param);
bool pol_ttls_is(const struct pol_ttls_sources *s, const char *keyword, const char *word);

/* ---- the image while it is made ---- */

struct pol_blob {
	uint8_t *p;
	size_t len, room;
	bool failed; /* memory is short, or the image would be too long */
};

/* Appends at an offset of this alignment, which it returns; 0: failed. */
uint32_t pol_blob_put(struct pol_blob *blob, const void *data, size_t size, size_t align);
uint32_t pol_blob_text(struct pol_blob *blob, const char *text, size_t len);
/* An empty list for n 0. */
struct pol_ttls_list pol_blob_list(struct pol_blob *blob, const void *data, unsigned n, size_t size,
				   size_t align);

/* What actions come to that code nothing. */
void pol_ttls_defaults(struct pol_build *b, struct pol_blob *blob,
		       struct pol_ttls_profile *profile);
/*
 * Fills what the actions come to into a profile that has the defaults; finds at rule what does not
 * go together.
 */
void pol_ttls_fill(struct pol_build *b, struct pol_blob *blob, struct pol_node *rule,
		   struct pol_ttls_profile *profile);

#endif
