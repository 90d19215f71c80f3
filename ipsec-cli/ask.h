/*
 * What displays and actions of the ipsec command share: the daemon's socket, the heading, and the
 * exit codes.
 */
#ifndef IPSEC_ASK_H
#define IPSEC_ASK_H

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "common/nmi.h"
#include "ipsec-cli/command.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_EMPTY = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_AUTHORIZED = 3,
	EXIT_NOT_REACHABLE = 4,
	EXIT_TARGET_FAILED = 5,
	EXIT_NEGOTIATION = 6,
};

#define ANSWER_MS 10000 /* a daemon answers within this, unless it was told to wait */

void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Opens the socket of the daemon that answers for cmd. The stack may be written in other case than
 * its directory: cmd->stack is set to the directory's. Not 0: an exit code; the user has been told.
 */
int ask_open(struct command *cmd, struct cs_nmi **nmi);
/* The exit code of a connection or a whole request that failed; tells the user. */
int ask_failed(const struct command *cmd, const struct cs_err *err);

/*
 * The TunnelIDs that iked has, by reqid as decimal text. Empty when iked does not answer, which is
 * no complaint: who asks has another answer. NULL without memory.
 */
json_t *ask_tunnel_ids(const struct command *cmd);

/* Lines 1 and 2 of the heading; line 2 without the format for actions. */
void print_heading(const struct command *cmd, const char *primary, const char *function,
		   time_t now);
/* The same as the heading object of --json. NULL without memory. */
json_t *json_heading(const struct command *cmd, const char *primary, const char *function,
		     time_t now);
/* Prints one document of heading and entries (takes over both). Not 0: an exit code. */
int print_document(json_t *heading, json_t *entries);

int run_display(struct command *cmd);
int run_action(struct command *cmd);

#endif
