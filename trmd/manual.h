/*
 * pagent's rows of manual tunnels, as a source.  They lie in a database of root's, so pagent is
 * asked for them, and told what is done with the next question.  The asking may take as long as
 * pagent does and is for another thread; what it brought is handed over between two steps of the
 * drain, which never waits.
 */
#ifndef TRMD_MANUAL_H
#define TRMD_MANUAL_H

#include "trmd/source.h"

struct trmd_manual;

/* The path of pagent's socket outlives it. */
int trmd_manual_new(const char *socket, struct trmd_manual **manual, struct cs_err *err);
void trmd_manual_free(struct trmd_manual *m); /* NULL is allowed; not while somebody asks */
struct trmd_source trmd_manual_source(struct trmd_manual *m);

/*
 * begin() and end() are for the drain's thread, ask() for any.  begin: false, there are rows that
 * are not done yet, so no more are asked for.
 */
bool trmd_manual_begin(struct trmd_manual *m);
void trmd_manual_ask(struct trmd_manual *m);
void trmd_manual_end(struct trmd_manual *m);
/* Rows are done, of which pagent was not told. */
bool trmd_manual_owes(const struct trmd_manual *m);

/* It may not ask, as long as nobody changes that. */
bool trmd_manual_denied(const struct trmd_manual *m);

#endif
