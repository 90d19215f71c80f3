/*
 * The outbox of iked's database, as its reader sees it (iked/store_schema.c makes it).  iked's
 * writer appends at the same time; a row is removed when its records are safe.
 */
#ifndef TRMD_OUTBOX_H
#define TRMD_OUTBOX_H

#include "trmd/source.h"

struct trmd_outbox;

/*
 * Nothing is opened yet.  Its source fails with CS_ENOTFOUND: there is none (yet), or the file of
 * that name is another one now; CS_EUNSUPPORTED: a later iked's; CS_ESTORE: damaged, no database of
 * iked, or not to be read; CS_EAGAIN: locked.  While rows are read iked's database cannot be tidied
 * up.  The path outlives it.
 */
int trmd_outbox_new(const char *path, struct trmd_outbox **outbox, struct cs_err *err);
void trmd_outbox_free(struct trmd_outbox *o); /* NULL is allowed */
struct trmd_source trmd_outbox_source(struct trmd_outbox *o);

#endif
