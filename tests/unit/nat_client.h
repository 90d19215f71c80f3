/*
 * A pair (engine_pair.h) whose side 1 is a client behind a NAT (pair_nat.h), and side 0 its server.
 */
#ifndef NAT_CLIENT_H
#define NAT_CLIENT_H

#include "tests/unit/pair_nat.h"

#define SERVER     "192.0.2.1"
#define CLIENT     "198.51.100.2"
#define CLIENT_NAT "203.0.113.99"
#define OTHER_NAT  "203.0.113.77"

/* liveness: LivenessInterval, or NULL. */
struct pair_policy nat_client_policy(bool server, bool tunnel, const char *liveness);
/* The client has begun, and its tunnel is up at both. */
struct pair *nat_client_up(bool tunnel, const char *liveness);
bool addr_is(const struct cs_addr *a, const char *text);

#endif
