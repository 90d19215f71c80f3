/*
 * What the system log is told of SAs, in the shape of the original's messages (facility local4).
 * The time in the text is the event's own, UTC; the log's own may differ.
 *
 *   EZD0818I Tunnel added      P2_UP         EZD1776I IKE SA deleted   P1_DOWN
 *   EZD0812I Tunnel deleted    P2_DOWN       EZZ9325I records missing  LOSS
 *   EZD0819I Tunnel activated  MAN_UP        EZD0820I Tunnel deactivated  MAN_DOWN
 *
 * P1_UP and P2_FAILED have none at IBM; iked's own log has them.
 */
#ifndef TRMD_MESSAGE_H
#define TRMD_MESSAGE_H

#include "common/log.h"
#include "trmd/record.h"

/* line: id and text. */
typedef void trmd_say_fn(void *arg, enum cs_severity severity, const char *line);

/* Calls say at most once. */
void trmd_messages(const struct trmd_change *change, trmd_say_fn *say, void *arg);

/* Where to: the system log's local4, or standard error. */
struct trmd_log {
	bool foreground;
	const char *tag; /* "trmd.TCPIP": several stacks may share a log */
};
/* arg is a struct trmd_log. */
trmd_say_fn trmd_say_syslog;

#endif
