/*
 * IKE's sockets: wildcard, so that an address that arrives later needs no bind, with packet info,
 * so that an answer leaves from the address that was asked, and past IPsec, so that IKE is never
 * protected by what it is about to negotiate.
 */
#include <errno.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iked/iked.h"

#define RECEIVE_BUFFER (1 << 20) /* what comes while a worker is being replaced waits here */

static int set(int fd, int level, int name, const char *what, int value, struct cs_err *err)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		return cs_fail_errno(err, "cannot set %s", what);
	return 0;
}

/* A policy of the socket itself, which stands before every policy of the system. */
static int bypass(int fd, int family, uint8_t dir, struct cs_err *err)
{
	struct xfrm_userpolicy_info policy = {
		.sel.family = (__u16)family,
		.dir = dir,
		.action = XFRM_POLICY_ALLOW,
	};
	int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int name = family == AF_INET ? IP_XFRM_POLICY : IPV6_XFRM_POLICY;

	if (setsockopt(fd, level, name, &policy, sizeof(policy)) < 0)
		return cs_fail_errno(err, "cannot exempt the port from IPsec");
	return 0;
}

static int set_ipv4(int fd, struct cs_err *err)
{
	int status = set(fd, IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO", 1, err);

	/* Large messages are fragmented: IKE has no other way to split them. */
	if (status == 0)
		status = set(fd, IPPROTO_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER", IP_PMTUDISC_DONT,
			     err);
	return status;
}

static int set_ipv6(int fd, struct cs_err *err)
{
	int status = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", 1, err);

	if (status == 0)
		status = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO", 1, err);
	if (status == 0)
		status = set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER",
			     IPV6_PMTUDISC_DONT, err);
	return status;
}

int iked_port_open(int family, uint16_t port, int *result, struct cs_err *err)
{
	struct xf_marking marking = {XF_MARK_SHIFT_DEFAULT};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const void *sa = family == AF_INET ? (const void *)&v4 : (const void *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int status;

	if (fd < 0 && family == AF_INET6 && errno == EAFNOSUPPORT) {
		*result = -1;
		return 0;
	}
	if (fd < 0)
		return cs_fail_errno(err, "cannot make a socket");
	status = family == AF_INET ? set_ipv4(fd, err) : set_ipv6(fd, err);
	if (status == 0)
		status = set(fd, SOL_SOCKET, SO_MARK, "SO_MARK",
			     (int)xf_mark_value(&marking, XF_MARK_EXEMPT), err);
	if (status == 0)
		status = set(fd, SOL_SOCKET, SO_RCVBUFFORCE, "SO_RCVBUF", RECEIVE_BUFFER, err);
	if (status == 0)
		status = bypass(fd, family, XFRM_POLICY_IN, err);
	if (status == 0)
		status = bypass(fd, family, XFRM_POLICY_OUT, err);
	if (status == 0 && bind(fd, sa, len) < 0) {
		/* IPv6 is in the kernel and switched off for this stack. */
		if (family == AF_INET6 && errno == EADDRNOTAVAIL) {
			close(fd);
			*result = -1;
			return 0;
		}
		status = cs_fail_errno(err, "cannot bind UDP port %u (%s)", port,
				       family == AF_INET ? "IPv4" : "IPv6");
	}
	if (status < 0) {
		close(fd);
		return status;
	}
	*result = fd;
	return 0;
}

int iked_nat_port_open(uint16_t port, int *result, struct cs_err *err)
{
	int status = iked_port_open(AF_INET, port, result, err);

	if (status == 0)
		status = set(*result, IPPROTO_UDP, UDP_ENCAP, "UDP_ENCAP", UDP_ENCAP_ESPINUDP, err);
	if (status < 0 && *result >= 0) {
		close(*result);
		*result = -1;
	}
	return status;
}

int iked_esp_open(int family, int *result, struct cs_err *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	const void *sa = family == AF_INET ? (const void *)&v4 : (const void *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ESP), status = 0;

	*result = -1;
	if (fd < 0)
		return cs_fail_errno(err, "cannot make a socket for ESP");
	if (bind(fd, sa, len) < 0)
		status = cs_fail_errno(err, "cannot bind a socket for ESP");
	else if (family == AF_INET6)
		status = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO", 1, err);
	if (status < 0)
		close(fd);
	else
		*result = fd;
	return status;
}

static bool has_option(int fd, int level, int name, int value)
{
	int got;
	socklen_t len = sizeof(got);

	return getsockopt(fd, level, name, &got, &len) == 0 && got == value;
}

/* An address of the wildcard with this port. */
static bool is_bound(int fd, int family, uint16_t port)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 || ss.ss_family != family)
		return false;
	if (family == AF_INET)
		return v4->sin_port == htons(port) && v4->sin_addr.s_addr == INADDR_ANY;
	return v6->sin6_port == htons(port) &&
	       memcmp(&v6->sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0;
}

/* A unit may have been given another network namespace meanwhile. */
static bool is_of_here(int fd)
{
	uint64_t theirs, ours;
	socklen_t len = sizeof(theirs), len2 = sizeof(ours);
	int here = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool same = here >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &theirs, &len) == 0 &&
		    getsockopt(here, SOL_SOCKET, SO_NETNS_COOKIE, &ours, &len2) == 0 &&
		    theirs == ours;

	if (here >= 0)
		close(here);
	return same;
}

bool iked_port_is(int fd, int family, uint16_t port, bool nat)
{
	struct xf_marking marking = {XF_MARK_SHIFT_DEFAULT};

	return has_option(fd, SOL_SOCKET, SO_TYPE, SOCK_DGRAM) && is_bound(fd, family, port) &&
	       has_option(fd, SOL_SOCKET, SO_MARK, (int)xf_mark_value(&marking, XF_MARK_EXEMPT)) &&
	       (!nat || has_option(fd, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)) &&
	       is_of_here(fd);
}
