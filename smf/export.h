/* Records as JSON lines, CSV, CEF or text. Private to smf/. */
#ifndef SMF_EXPORT_H
#define SMF_EXPORT_H

#include "smf/smf.h"

enum smf_format { SMF_TEXT, SMF_JSON, SMF_CSV, SMF_CEF, SMF_FORMATS };

struct smf_export;

struct smf_export_options {
	enum smf_format format;
	enum smf_page page;
	int64_t ahead_us;  /* the header's time is so much ahead of UTC */
	unsigned subtypes; /* bit 0: 73; what CSV has columns for */
};

/* Writes to fd, which stays the caller's. */
int smf_export_open(int fd, const struct smf_export_options *o, struct smf_export **x,
		    struct cs_err *err);
/* Some is kept back until a flush; CS_ESYS: it cannot be written. */
int smf_export_record(struct smf_export *x, const struct smf_record *r, struct cs_err *err);
int smf_export_flush(struct smf_export *x, struct cs_err *err);
void smf_export_close(struct smf_export *x);

#endif
