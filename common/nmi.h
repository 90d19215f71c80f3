/*
 * The management socket: an AF_UNIX stream per daemon, $CSIPSEC_RUNDIR/STACK/{iked,pagent}.sock,
 * carrying frames of a 32-bit big-endian length and that many bytes of JSON.  docs/nmi.md is the
 * contract: the server greets with {"nmi":1,"program":...,"version":...}; a request is
 * {"request":NAME, ...}; the answer is any number of {"entry":{...}} frames and one last frame
 * {"done":true, ...} or {"error":TEXT,"code":NAME}.  One request at a time on a connection.
 */
#ifndef CS_NMI_H
#define CS_NMI_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "common/err.h"

#define CS_NMI_VERSION   1
#define CS_NMI_FRAME_MAX (1u << 20)

/* ---- server, on the daemon's libuv loop ---- */

struct cs_nmi_server;

/* Bounds of a server.  A client past one is told where possible, closed and counted. */
struct cs_nmi_limits {
	unsigned clients;    /* connections: 64 */
	size_t request;      /* bytes of a request: 64 KiB */
	size_t queued;       /* bytes of answers that the client has not taken: 4 MiB */
	unsigned request_ms; /* from the first byte of a request to its last: 10 s */
	unsigned stall_ms;   /* answers wait and the client takes nothing: 30 s */
	unsigned idle_ms;    /* nothing asked and nothing to answer: 300 s */
};

struct cs_nmi_stats {
	uint64_t accepted, requests, answers, errors;
	uint64_t refused; /* past the number of connections */
	uint64_t malformed, slow, idle;
	uint64_t orphans; /* answers to clients that had gone */
	unsigned clients; /* now */
};

/*
 * Called for each request. The handler answers with any number of cs_nmi_entry and one
 * cs_nmi_done or cs_nmi_error, at once or later (`--wait`); later, it keeps the ticket, because the
 * client may have gone: an answer to a ticket that is gone does nothing.
 */
typedef void cs_nmi_fn(void *arg, struct cs_nmi_server *server, uint64_t ticket, uid_t uid,
		       const json_t *request);

/*
 * Binds path (a socket left behind by a daemon that is gone is replaced, a live one is CS_EEXIST)
 * with mode 0660.  SIGPIPE is set to be ignored if it had its default action.
 */
int cs_nmi_serve(uv_loop_t *loop, const char *path, const char *program, cs_nmi_fn *fn, void *arg,
		 struct cs_nmi_server **server, struct cs_err *err);
/*
 * Take over entry / fields (steal the reference).  A NULL entry, which is what jansson returns when
 * memory or a text fails it, ends the answer with an error; NULL fields are none.
 */
void cs_nmi_entry(struct cs_nmi_server *s, uint64_t ticket, json_t *entry);
void cs_nmi_done(struct cs_nmi_server *s, uint64_t ticket, json_t *fields);
void cs_nmi_error(struct cs_nmi_server *s, uint64_t ticket, enum cs_code code, const char *text);
/*
 * For who answers later: gone is called once when the client goes before it has an answer, so that
 * nothing is kept for nobody.  The first frame of an answer ends this.  gone may not answer.
 */
typedef void cs_nmi_gone_fn(void *arg);
void cs_nmi_on_gone(struct cs_nmi_server *s, uint64_t ticket, cs_nmi_gone_fn *gone, void *arg);
/*
 * For answers of any length: the server asks next for one entry after the other as the client takes
 * them, so that neither memory nor a turn of the loop grows with their number.  next returns 1 with
 * *json an entry, 0 at the end with *json the fields of the done frame or NULL, or a cs_code with
 * err filled; it calls nothing of the server.  release (may be NULL) is called once, whether the
 * answer ended or the client went.
 */
typedef int cs_nmi_next_fn(void *state, json_t **json, struct cs_err *err);
void cs_nmi_stream(struct cs_nmi_server *s, uint64_t ticket, cs_nmi_next_fn *next,
		   void (*release)(void *state), void *state);

/* Who may change something: root, and the user that the daemon runs as.  Others may display. */
bool cs_nmi_may_control(uid_t uid);

void cs_nmi_set_limits(struct cs_nmi_server *s, const struct cs_nmi_limits *limits);
const struct cs_nmi_limits *cs_nmi_limits(const struct cs_nmi_server *s);
const struct cs_nmi_stats *cs_nmi_stats(const struct cs_nmi_server *s);

/* Closes everything; memory goes with the loop's next turn. */
void cs_nmi_stop(struct cs_nmi_server *s);

/* ---- client, blocking ---- */

struct cs_nmi;

/*
 * CS_ENOTFOUND: nobody serves path; CS_EPERM: not for this user; CS_EAGAIN: no greeting in time;
 * CS_EUNSUPPORTED: another version of the interface.
 */
int cs_nmi_connect(const char *path, struct cs_nmi **nmi, struct cs_err *err);
typedef int cs_nmi_entry_fn(void *arg, const json_t *entry);
/*
 * Sends request and calls fn for each entry; *done gets the last frame (caller's reference).
 * timeout_ms covers each wait for a frame; -1 waits for ever. An error frame becomes its code and
 * text. CS_EAGAIN is a time-out. fn may be NULL; non-zero from it ends the call and is returned.
 * After anything but success and an error frame the connection is of no more use.
 */
int cs_nmi_call(struct cs_nmi *nmi, const json_t *request, int timeout_ms, cs_nmi_entry_fn *fn,
		void *arg, json_t **done, struct cs_err *err);
void cs_nmi_close(struct cs_nmi *nmi);

#endif
