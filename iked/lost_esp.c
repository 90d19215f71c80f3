/*
 * ESP by SAs that this host does not have.  While an address is taken over, its peers go on sending
 * by the SAs that its last owner had, and the kernel drops that without a word.  A raw socket sees
 * it, and so who is waiting.  It is bound to where packets go only as long as somebody wants to
 * know, since it costs a copy of each.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "iked/iked.h"

#define PACKETS_A_TURN 256
#define HEADERS        (60 + 4) /* of IPv4 with its options, and the SPI */

struct side {
	uv_poll_t poll;
	int fd, family;
	bool there;
	struct iked_lost_esp *lost;
};

struct iked_lost_esp {
	struct side sides[2];
	iked_lost_esp_fn *fn;
	void *arg;
	unsigned open; /* handles */
};

/* A raw IPv4 socket gives the packet with its IP header, one of IPv6 what is behind it. */
static bool spi_of(int family, const uint8_t *packet, size_t len, uint32_t *spi)
{
	size_t at = 0;
	struct cs_reader r;

	if (family == AF_INET) {
		if (len < 20)
			return false;
		at = 4u * (packet[0] & 15u);
	}
	if (at > len)
		return false;
	r = cs_reader_of(packet + at, len - at);
	return cs_get_u32(&r, spi);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct side *side = poll->data;
	uint8_t packet[HEADERS];

	(void)status;
	(void)events;
	for (unsigned i = 0; i < PACKETS_A_TURN; i++) {
		ssize_t n = recv(side->fd, packet, sizeof(packet), MSG_DONTWAIT);
		uint32_t spi;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		if (spi_of(side->family, packet, (size_t)n, &spi))
			side->lost->fn(side->lost->arg, spi);
	}
}

static bool has_option(int fd, int name, int value)
{
	int got;
	socklen_t len = sizeof(got);

	return getsockopt(fd, SOL_SOCKET, name, &got, &len) == 0 && got == value;
}

/* Where the parent could make none, what stands in its place is something else of this process. */
static bool is_esp(int fd, int family)
{
	return has_option(fd, SO_TYPE, SOCK_RAW) && has_option(fd, SO_PROTOCOL, IPPROTO_ESP) &&
	       has_option(fd, SO_DOMAIN, family);
}

void iked_lost_esp_none(void)
{
	if (is_esp(IKED_FD_ESP4, AF_INET))
		close(IKED_FD_ESP4);
	if (is_esp(IKED_FD_ESP6, AF_INET6))
		close(IKED_FD_ESP6);
}

int iked_lost_esp_new(uv_loop_t *loop, iked_lost_esp_fn *fn, void *arg, struct iked_lost_esp **lost,
		      struct cs_err *err)
{
	struct iked_lost_esp *l = calloc(1, sizeof(*l));

	if (!l)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	l->fn = fn;
	l->arg = arg;
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &l->sides[i];

		side->lost = l;
		side->fd = i ? IKED_FD_ESP6 : IKED_FD_ESP4;
		side->family = i ? AF_INET6 : AF_INET;
		if (!is_esp(side->fd, side->family) ||
		    uv_poll_init(loop, &side->poll, side->fd) < 0)
			continue;
		side->poll.data = side;
		side->there = true;
		l->open++;
	}
	*lost = l;
	return 0;
}

void iked_lost_esp_listen(struct iked_lost_esp *l, bool on)
{
	const struct sockaddr_in v4 = {.sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(on ? INADDR_ANY : INADDR_LOOPBACK)};
	const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
					.sin6_addr = on ? in6addr_any : in6addr_loopback};

	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &l->sides[i];
		const void *sa = i ? (const void *)&v6 : (const void *)&v4;

		/* The kernel lets a raw socket be bound anew. */
		if (!side->there || bind(side->fd, sa, i ? sizeof(v6) : sizeof(v4)) < 0)
			continue;
		if (on)
			uv_poll_start(&side->poll, UV_READABLE, on_readable);
		else
			uv_poll_stop(&side->poll);
	}
}

static void closed(uv_handle_t *handle)
{
	struct side *side = handle->data;

	if (--side->lost->open == 0)
		free(side->lost);
}

void iked_lost_esp_stop(struct iked_lost_esp *l)
{
	if (!l)
		return;
	if (!l->open) {
		free(l);
		return;
	}
	iked_lost_esp_listen(l, false);
	for (unsigned i = 0; i < 2; i++)
		if (l->sides[i].there)
			uv_close((uv_handle_t *)&l->sides[i].poll, closed);
}
