/* A client behind a NAT, and its server. */
#include "tests/unit/nat_client.h"

#include <check.h>
#include <string.h>

struct pair_policy nat_client_policy(bool server, bool tunnel, const char *liveness)
{
	return (struct pair_policy){
		.local_net = server ? SERVER : CLIENT,
		.remote_net = !server  ? SERVER
			      : tunnel ? CLIENT
				       : "203.0.113.0/24",
		.any_endpoint = true,
		.a_tunnel_a_host = true,
		.local_id = server ? "Fqdn server.example" : "Fqdn client.example",
		.remote_id = server ? "Fqdn client.example" : "Fqdn server.example",
		.remote_location = server ? "203.0.113.0/24" : SERVER,
		.data_offers = tunnel ? "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1" : NULL,
		.liveness = liveness,
		.more_action = "  AllowNat Yes\n",
	};
}

struct pair *nat_client_up(bool tunnel, const char *liveness)
{
	struct pair_policy server = nat_client_policy(true, tunnel, liveness),
			   client = nat_client_policy(false, tunnel, liveness);
	struct pair *p = pair_new(&server, &client);

	pair_nat_clear(p);
	pair_nat_put(p, 1, CLIENT_NAT, 1000);
	pair_acquire(p, 1);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_msg(pair_installed(&p->side[i]) == 2, "side %u:\n%s", i, p->side[i].log);
	return p;
}

bool addr_is(const struct cs_addr *a, const char *text)
{
	char buf[CS_ADDR_STRLEN];

	return !strcmp(cs_addr_text(a, buf), text);
}
