/*
 * The management socket: an AF_UNIX stream per daemon, $CSIPSEC_RUNDIR/STACK/{iked,pagent}.sock,
 * carrying frames of a 32-bit big-endian length and that many bytes of JSON.  docs/nmi.md is the
 * contract: the server greets with {"nmi":1,"program":...,"version":...}; a request is
 * {"request":NAME, ...}; the answer is any number of {"entry":{...}} frames and one last frame
 * {"done":true, ...} or {"error":TEXT,"code":NAME}.
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
struct cs_nmi_client; /* one connection with at most one request under way */

/*
 * Called for each request. The handler answers with any number of cs_nmi_entry and one
 * cs_nmi_done or cs_nmi_error, at once or later (`--wait`); later, it keeps the ticket, because the
 * client may have gone: an answer to a ticket that is gone does nothing.
 */
typedef void cs_nmi_fn(void *arg, struct cs_nmi_server *server, uint64_t ticket, uid_t uid,
		       const json_t *request);

int cs_nmi_serve(uv_loop_t *loop, const char *path, const char *program, cs_nmi_fn *fn, void *arg,
		 struct cs_nmi_server **server, struct cs_err *err);
/* Takes over entry / fields (steals the reference). */
void cs_nmi_entry(struct cs_nmi_server *s, uint64_t ticket, json_t *entry);
void cs_nmi_done(struct cs_nmi_server *s, uint64_t ticket, json_t *fields);
void cs_nmi_error(struct cs_nmi_server *s, uint64_t ticket, enum cs_code code, const char *text);
void cs_nmi_stop(
	struct cs_nmi_server *s); /* closes everything; memory goes with the loop's next turn */

/* ---- client, blocking ---- */

struct cs_nmi;

int cs_nmi_connect(const char *path, struct cs_nmi **nmi, struct cs_err *err);
typedef int cs_nmi_entry_fn(void *arg, const json_t *entry);
/*
 * Sends request and calls fn for each entry; *done gets the last frame (caller's reference).
 * timeout_ms covers each wait for a frame; -1 waits for ever.
 */
int cs_nmi_call(struct cs_nmi *nmi, const json_t *request, int timeout_ms, cs_nmi_entry_fn *fn,
		void *arg, json_t **done, struct cs_err *err);
void cs_nmi_close(struct cs_nmi *nmi);

#endif
