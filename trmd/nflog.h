/*
 * The packets that filter rules log, from the kernel: NFLOG (nfnetlink_log), on a libuv loop.  What
 * the kernel could not deliver is counted: NFULA_SEQ counts what it queued, ENOBUFS says that the
 * socket was full.  What it could not even queue, or what was logged when nobody listened, only the
 * counters of the rules know (loss.h).
 */
#ifndef TRMD_NFLOG_H
#define TRMD_NFLOG_H

#include <uv.h>

#include "common/err.h"
#include "trmd/event.h"

struct trmd_nflog_settings {
	uint16_t group;      /* XF_LOG_GROUP */
	uint32_t copy_range; /* bytes of a packet; a rule's own number counts where it is less */
	uint32_t queue;      /* packets that the kernel collects; a rule's own, where it is less */
	uint32_t timeout_ms; /* they wait no longer; hundredths of a second count */
	uint32_t kernel_buffer; /* bytes that they wait in: 128 KiB at most */
	uint32_t socket_buffer; /* bytes of what is sent and not read */
	unsigned at_once;       /* datagrams that are read before the loop has its turn */
};

/* 128 bytes, 32 packets, 1 s, 64 KiB, 8 MiB, 64 datagrams. */
struct trmd_nflog_settings trmd_nflog_defaults(void);

struct trmd_nflog_stats {
	uint64_t packets;   /* handed over */
	uint64_t lost;      /* queued in the kernel and never seen, by their numbers */
	uint64_t overruns;  /* times that the socket was full (ENOBUFS) */
	uint64_t foreign;   /* logged to our group by somebody else's rules */
	uint64_t malformed; /* messages that contradict their format */
	uint64_t errors;    /* reads that failed */
};

struct trmd_nflog_ops {
	/* The event and what it points at are valid until it returns; it may not close. */
	void (*packet)(void *arg, const struct trmd_event *e);
	/* No more will come: the socket is broken. Close and open anew. */
	void (*failed)(void *arg, const struct cs_err *why);
};

/* ---- messages, without a socket ---- */

struct trmd_nflog_reader {
	const struct trmd_nflog_ops *ops;
	void *arg;
	uint32_t next; /* the sequence number that is expected */
	struct trmd_nflog_stats stats;
};

/*
 * One datagram: any number of messages.  received_us stands for the packets' time where the kernel
 * does not tell one.  A message that is wrong is counted, and the rest is read all the same.
 */
void trmd_nflog_datagram(struct trmd_nflog_reader *r, const void *p, size_t len,
			 int64_t received_us);

/* ---- the socket ---- */

struct trmd_nflog;

/*
 * Needs CAP_NET_ADMIN in the network namespace, now and for trmd_nflog_configure().  CS_EPERM
 * without it, or when another program has the group; CS_EKERNEL, CS_ESYS.  Packets may be handed
 * over before it returns, and while trmd_nflog_configure() waits for the kernel's answer.
 */
int trmd_nflog_open(uv_loop_t *loop, const struct trmd_nflog_settings *settings,
		    const struct trmd_nflog_ops *ops, void *arg, struct trmd_nflog **log,
		    struct cs_err *err);
/* Other settings; the group stays. What was in force stays in force when it fails. */
int trmd_nflog_configure(struct trmd_nflog *log, const struct trmd_nflog_settings *settings,
			 struct cs_err *err);
const struct trmd_nflog_stats *trmd_nflog_stats(const struct trmd_nflog *log);
/* Memory goes with the loop's next turn. NULL is allowed. */
void trmd_nflog_close(struct trmd_nflog *log);

#endif
