/* The worker's side of the certificate helper. */
#include "iked/cert_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iked/cert_wire.h"

#define TRIES_MAX 2 /* helpers that may end while they have a job; it may be the job's fault */

/* A job that has not been answered, with its packet; in the order of submission and deadline. */
struct request {
	struct request *prev, *next;
	struct ike_cert_job *job;
	uint32_t id;
	bool sent;
	unsigned tries; /* how often it was sent */
	uint64_t deadline;
	size_t len;
	uint8_t packet[];
};

/* A helper. libuv wants its handle to outlive us by a turn of the loop. */
struct connection {
	uv_poll_t poll;
	struct ike_cert_client *client; /* NULL: forgotten */
	int fd;
};

struct ike_cert_client {
	uv_loop_t *loop;
	ike_cert_done_fn *fn;
	void *arg;
	struct request *first, *last;
	struct connection *connection; /* NULL: none now */
	uv_timer_t timer;
	uint32_t last_id;
	bool stopped, absent;
	char why[128];   /* absent */
	uint8_t *buffer; /* of IKE_CERT_MESSAGE_MAX */
	struct ike_cert_stats stats;
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* ---- the list ---- */

static void list_remove(struct ike_cert_client *c, struct request *q)
{
	*(q->prev ? &q->prev->next : &c->first) = q->next;
	*(q->next ? &q->next->prev : &c->last) = q->prev;
	c->stats.waiting--;
}

static void list_append(struct ike_cert_client *c, struct request *q)
{
	q->prev = c->last;
	q->next = NULL;
	*(c->last ? &c->last->next : &c->first) = q;
	c->last = q;
	c->stats.waiting++;
}

static void set_timer(struct ike_cert_client *c)
{
	uint64_t now = uv_now(c->loop);

	if (c->stopped)
		return;
	if (!c->first)
		uv_timer_stop(&c->timer);
	else
		uv_timer_start(&c->timer, on_timer,
			       c->first->deadline > now ? c->first->deadline - now : 0, 0);
}

/* Takes the request off the list and gives its job back. The callback may submit. */
static void give_back(struct ike_cert_client *c, struct request *q)
{
	struct ike_cert_job *job = q->job;

	list_remove(c, q);
	free(q);
	c->fn(c->arg, job);
}

static void fail(struct ike_cert_client *c, struct request *q, enum cs_code code, const char *why)
{
	q->job->status = cs_fail(&q->job->err, code, "%s", why);
	c->stats.failed++;
	give_back(c, q);
}

/* Those that wait now, not those that a callback adds. */
static void fail_all(struct ike_cert_client *c, enum cs_code code, const char *why)
{
	for (unsigned n = c->stats.waiting; n && c->first; n--)
		fail(c, c->first, code, why);
}

static void on_timer(uv_timer_t *timer)
{
	struct ike_cert_client *c = timer->data;
	uint64_t now = uv_now(c->loop);

	while (c->first && c->first->deadline <= now) {
		c->stats.timeouts++;
		fail(c, c->first, CS_EAGAIN,
		     c->connection ? "the certificate helper does not answer in time"
				   : "there is no certificate helper now");
	}
	set_timer(c);
}

/* ---- the helper's end ---- */

static void on_closed(uv_handle_t *handle)
{
	struct connection *k = handle->data;

	close(k->fd);
	free(k);
}

/* What it had is for the next one; but who has ended two helpers shall not end a third. */
static void forget(struct ike_cert_client *c)
{
	struct request *q = c->first, *next;

	if (!c->connection)
		return;
	c->connection->client = NULL;
	uv_poll_stop(&c->connection->poll);
	uv_close((uv_handle_t *)&c->connection->poll, on_closed);
	c->connection = NULL;
	c->stats.connected = false;
	for (; q; q = q->next) {
		c->stats.repeated += q->sent && q->tries < TRIES_MAX;
		q->sent = false;
	}
	for (q = c->first; q; q = next) {
		next = q->next;
		if (q->tries < TRIES_MAX)
			continue;
		fail(c, q, CS_ECRYPTO, "the certificate helper ended at it, twice");
		next = c->first; /* the callback may have changed the list */
	}
}

/* ---- sending and receiving ---- */

static void watch(struct ike_cert_client *c, bool writable)
{
	uv_poll_start(&c->connection->poll, UV_READABLE | (writable ? UV_WRITABLE : 0), on_poll);
}

/* As much as the socket takes. */
static void send_waiting(struct ike_cert_client *c)
{
	for (struct request *q = c->first; q; q = q->next) {
		ssize_t n;

		if (q->sent)
			continue;
		n = send(c->connection->fd, q->packet, q->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			watch(c, true);
			return;
		}
		if (n != (ssize_t)q->len)
			break; /* it is ending; reading says so */
		q->sent = true;
		q->tries++;
	}
	watch(c, false);
}

static struct request *find(struct ike_cert_client *c, uint32_t id)
{
	for (struct request *q = c->first; q; q = q->next)
		if (q->sent && q->id == id)
			return q;
	return NULL;
}

/* False when the helper cannot be trusted to make sense any more. */
static bool take_answer(struct ike_cert_client *c, size_t len)
{
	struct request *q;
	uint32_t id;

	if (ike_cert_get_answer_id(c->buffer, len, &id, NULL) < 0)
		return false;
	q = find(c, id);
	if (!q) {
		c->stats.late++;
		return true;
	}
	if (ike_cert_get_answer(c->buffer, len, q->job, NULL) < 0)
		return false;
	c->stats.answered++;
	give_back(c, q);
	return true;
}

static void receive(struct ike_cert_client *c)
{
	struct connection *k = c->connection;

	/* A callback may end the connection, or the client. */
	while (c->connection == k) {
		ssize_t n = recv(k->fd, c->buffer, IKE_CERT_MESSAGE_MAX, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			forget(c);
			return;
		}
		if (n > IKE_CERT_MESSAGE_MAX || !take_answer(c, (size_t)n)) {
			c->stats.malformed++;
			forget(c);
			return;
		}
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct connection *k = poll->data;
	struct ike_cert_client *c = k->client;

	if (!c)
		return;
	if (status < 0 || (events & UV_READABLE))
		receive(c);
	if (c->connection == k && (events & UV_WRITABLE))
		send_waiting(c);
	set_timer(c);
}

/* ---- jobs ---- */

static enum ike_done refuse(struct ike_cert_client *c, struct ike_cert_job *job, enum cs_code code,
			    const char *why)
{
	job->status = cs_fail(&job->err, code, "%s", why);
	c->stats.failed++;
	return IKE_DONE;
}

enum ike_done ike_cert_client_submit(struct ike_cert_client *c, struct ike_cert_job *job)
{
	struct request *q;
	size_t len;

	c->stats.submitted++;
	ike_cert_job_clear(job);
	if (c->stopped)
		return refuse(c, job, CS_EAGAIN, "the daemon is stopping");
	if (c->absent)
		return refuse(c, job, CS_ENOTFOUND, c->why);
	if (c->stats.waiting >= IKE_CERT_WAITING_MAX)
		return refuse(c, job, CS_ELIMIT, "too many certificate jobs are under way");
	job->status = ike_cert_put_request(c->last_id + 1, job, c->buffer, IKE_CERT_MESSAGE_MAX,
					   &len, &job->err);
	if (job->status < 0) {
		c->stats.failed++;
		return IKE_DONE;
	}
	q = calloc(1, sizeof(*q) + len);
	if (!q)
		return refuse(c, job, CS_ENOMEM, "out of memory");
	memcpy(q->packet, c->buffer, len);
	q->len = len;
	q->job = job;
	q->id = ++c->last_id;
	uv_update_time(c->loop);
	q->deadline = uv_now(c->loop) + IKE_CERT_WAIT_MS;
	list_append(c, q);
	if (c->connection)
		send_waiting(c);
	if (c->first == q)
		set_timer(c);
	return IKE_LATER;
}

/* ---- the client ---- */

int ike_cert_client_new(uv_loop_t *loop, ike_cert_done_fn *fn, void *arg,
			struct ike_cert_client **client, struct cs_err *err)
{
	struct ike_cert_client *c = calloc(1, sizeof(*c));

	if (c)
		c->buffer = malloc(IKE_CERT_MESSAGE_MAX);
	if (!c || !c->buffer) {
		free(c);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	c->loop = loop;
	c->fn = fn;
	c->arg = arg;
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
	*client = c;
	return 0;
}

int ike_cert_client_connect(struct ike_cert_client *c, int fd, struct cs_err *err)
{
	struct connection *k = c->stopped ? NULL : calloc(1, sizeof(*k));
	int rc;

	if (!k) {
		close(fd);
		return c->stopped ? cs_fail(err, CS_EAGAIN, "the daemon is stopping")
				  : cs_fail(err, CS_ENOMEM, "out of memory");
	}
	forget(c);
	rc = uv_poll_init(c->loop, &k->poll, fd);
	if (rc < 0) {
		close(fd);
		free(k);
		return cs_fail(err, CS_ESYS, "cannot watch the certificate helper: %s",
			       uv_strerror(rc));
	}
	k->poll.data = k;
	k->client = c;
	k->fd = fd;
	c->connection = k;
	c->absent = false;
	c->stats.connected = true;
	c->stats.helpers++;
	send_waiting(c);
	return 0;
}

void ike_cert_client_absent(struct ike_cert_client *c, const char *why)
{
	snprintf(c->why, sizeof(c->why), "%s", why);
	c->absent = true;
	forget(c);
	fail_all(c, CS_ENOTFOUND, c->why);
	set_timer(c);
}

void ike_cert_client_stop(struct ike_cert_client *c)
{
	if (c->stopped)
		return;
	c->stopped = true;
	forget(c);
	fail_all(c, CS_EAGAIN, "the daemon is stopping");
	uv_timer_stop(&c->timer);
	uv_close((uv_handle_t *)&c->timer, NULL);
}

void ike_cert_client_free(struct ike_cert_client *c)
{
	if (!c)
		return;
	free(c->buffer);
	free(c);
}

void ike_cert_client_stats(const struct ike_cert_client *c, struct ike_cert_stats *stats)
{
	*stats = c->stats;
}
