#include "tests/unit/shared_host.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "iked/iked.h"
#include "tests/unit/run_program.h"

static struct host *hosts;
static uint64_t longest;

uint64_t ms_now(void)
{
	return uv_hrtime() / 1000000u;
}

void hosts_turn(void)
{
	for (struct host *h = hosts; h; h = h->next) {
		uint64_t began = ms_now();

		uv_run(&h->loop, UV_RUN_NOWAIT);
		if (ms_now() - began > longest)
			longest = ms_now() - began;
	}
	uv_sleep(1);
}

uint64_t hosts_longest_ms(void)
{
	return longest;
}

void hosts_run(unsigned ms)
{
	for (uint64_t until = ms_now() + ms; ms_now() < until;)
		hosts_turn();
}

/* ---- SAs ---- */

static void sample(const struct host *h, uint32_t tunnel, uint32_t generation,
		   struct ike_p1_info *p1, struct ike_p2_info *p2)
{
	static int64_t now; /* of all of this process, so that an SA put again is the same */

	if (!now)
		now = time(NULL);
	*p1 = (struct ike_p1_info){
		.tunnel = 1000 + tunnel,
		.generation = generation,
		.state = IKE_P1_DONE,
		.mode = POL_MODE_MAIN,
		.rule = "Branch",
		.action = "Gold",
		.suite = {.cipher = cs_cipher_by_keyword("AES_CBC", 256),
			  .hash = cs_hash_by_keyword("SHA2_256"),
			  .group = cs_group_by_number(14),
			  .auth = POL_AUTH_PSK},
		.established = now,
		.expires = now + 86400,
	};
	p1->local.addr = h->address;
	cs_addr_parse("198.51.100.7", &p1->remote.addr, NULL);
	*p2 = (struct ike_p2_info){
		.tunnel = tunnel,
		.parent = 1000 + tunnel,
		.generation = generation,
		.state = IKE_P2_DONE,
		.activation = IKE_ACT_ONDEMAND,
		.rule = "Rule",
		.action = "Silver",
		.local_rule = "",
		.suite = {.protocol = POL_ESP,
			  .cipher = cs_cipher_by_keyword("AES_CBC", 256),
			  .integ = cs_integ_by_keyword("HMAC_SHA2_256_128"),
			  .encap = POL_TUNNEL},
		.local = h->address,
		.remote = p1->remote.addr,
		.installed = now,
		.expires = now + 28800,
	};
	p2->selector.local = cs_range_single(&p2->local);
	p2->selector.remote = cs_range_single(&p2->remote);
}

/* Both phases of a tunnel. */
static void record(struct host *h, uint32_t tunnel, uint32_t generation, bool up)
{
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	struct ike_record rec = {.p1 = &p1, .reason = ""};

	sample(h, tunnel, generation, &p1, &p2);
	rec.kind = up ? IKE_REC_P1_UP : IKE_REC_P1_DOWN;
	ike_shared_record(h->s, &rec);
	rec.kind = up ? IKE_REC_P2_UP : IKE_REC_P2_DOWN;
	rec.p2 = &p2;
	ike_shared_record(h->s, &rec);
}

void host_up(struct host *h, uint32_t tunnel, uint32_t generation)
{
	struct host_sa *room = NULL;

	for (unsigned i = 0; i < HOST_SAS && !room; i++)
		if (!h->up[i].tunnel)
			room = &h->up[i];
	ck_assert_ptr_nonnull(room);
	*room = (struct host_sa){tunnel, generation};
	record(h, tunnel, generation, true);
}

void host_down(struct host *h, uint32_t tunnel, uint32_t generation)
{
	for (unsigned i = 0; i < HOST_SAS; i++)
		if (h->up[i].tunnel == tunnel && h->up[i].generation == generation)
			h->up[i].tunnel = 0;
	record(h, tunnel, generation, false);
}

static void record_many(struct host *h)
{
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	struct ike_record rec = {.kind = IKE_REC_P2_UP, .p1 = &p1, .p2 = &p2, .reason = ""};

	for (uint32_t i = 1; i <= h->many; i++) {
		sample(h, i, 1, &p1, &p2);
		ike_shared_record(h->s, &rec);
	}
}

void host_many(struct host *h, uint32_t many)
{
	h->many = many;
	record_many(h);
}

void host_used(struct host *h, uint32_t tunnel, uint32_t generation, int64_t used)
{
	struct ike_p1_info p1;
	struct ike_p2_info p2;

	sample(h, tunnel, generation, &p1, &p2);
	ike_shared_used(h->s, &p2, used);
}

/* ---- events ---- */

static void on_sa(void *arg, const struct cs_addr *address, const struct ike_shared_sa *sa)
{
	struct host *h = arg;
	struct host_row *r = &h->rows[h->n_rows];

	ck_assert(cs_addr_equal(address, &h->address));
	ck_assert((sa->p1 != NULL) != (sa->p2 != NULL));
	if (h->n_rows == HOST_ROWS)
		return;
	r->kind = sa->p1 ? 'K' : 'Y';
	r->tunnel = sa->p1 ? sa->p1->tunnel : sa->p2->tunnel;
	r->generation = sa->p1 ? sa->p1->generation : sa->p2->generation;
	snprintf(r->host, sizeof(r->host), "%s", sa->host);
	r->own = sa->own;
	r->used = sa->used;
	r->ref = sa->ref;
	h->n_rows++;
}

static void on_read(void *arg, const struct cs_addr *address, int status, const struct cs_err *err)
{
	struct host *h = arg;

	(void)address;
	h->reads++;
	h->read_status = status;
	snprintf(h->read_why, sizeof(h->read_why), "%s", status ? err->text : "");
}

static void on_claim(void *arg, const struct ike_shared_claim *claim)
{
	struct host *h = arg;

	h->claims++;
	h->claim = *claim;
}

static void on_reread(void *arg, const struct cs_addr *address)
{
	struct host *h = arg;

	ck_assert(cs_addr_equal(address, &h->address));
	h->rereads++;
}

static void on_vacant(void *arg, const struct cs_addr *address, const char *owner)
{
	struct host *h = arg;

	ck_assert(cs_addr_equal(address, &h->address));
	h->vacants++;
	strcpy(h->vacant_owner, owner);
}

static void on_want_all(void *arg, const struct cs_addr *address)
{
	struct host *h = arg;

	ck_assert(cs_addr_equal(address, &h->address));
	h->wants++;
	for (unsigned i = 0; i < HOST_SAS; i++)
		if (h->up[i].tunnel)
			record(h, h->up[i].tunnel, h->up[i].generation, true);
	record_many(h);
}

static void on_unshared(void *arg, char kind, uint32_t tunnel, const char *why)
{
	struct host *h = arg;

	if (kind != 'Y')
		return; /* its K is told, too */
	if (h->n_unshared < HOST_TELLS)
		h->unshared[h->n_unshared] = tunnel;
	h->n_unshared++;
	snprintf(h->why, sizeof(h->why), "%s", why);
}

static void on_reachable(void *arg, const char *why)
{
	struct host *h = arg;

	h->reachables++;
	h->there = why == NULL;
	snprintf(h->away, sizeof(h->away), "%s", why ? why : "");
}

static void on_differs(void *arg, const char *host)
{
	struct host *h = arg;

	h->differs++;
	snprintf(h->differs_host, sizeof(h->differs_host), "%s", host);
}

/* ---- beginning and end ---- */

static const struct ike_shared_events events = {
	.sa = on_sa,
	.read = on_read,
	.reread = on_reread,
	.claim = on_claim,
	.vacant = on_vacant,
	.want_all = on_want_all,
	.unshared = on_unshared,
	.reachable = on_reachable,
	.policy_differs = on_differs,
};

void host_start(struct host *h, const char *name, const char *uri, const char *address)
{
	struct cs_err err = {0};

	memset(h, 0, sizeof(*h));
	h->name = name;
	h->uri = uri;
	ck_assert_int_eq(cs_addr_parse(address, &h->address, NULL), 0);
	ck_assert_int_eq(uv_loop_init(&h->loop), 0);
	ck_assert_msg(ike_shared_new(&h->loop, &events, h, &h->s, &err) == 0, "%s", err.text);
	h->next = hosts;
	hosts = h;
}

/* In the child. */
static void serve(const struct host *h, int fd)
{
	struct ike_shared_options o = {h->uri, h->name};
	struct cs_err err = {0};
	int status = ike_shared_serve(fd, &o, &err);

	if (status < 0)
		fprintf(stderr, "helper of %s: %s\n", h->name, err.text);
	if (status == CS_EUNSUPPORTED) /* as the process does that iked starts */
		ike_shared_never(fd);
	_exit(-status);
}

static void run_iked(const char *config, int fd)
{
	const char *path = program("iked/iked");

	dup2(fd, IKED_FD_HELPER);
	/* Who may not be looked into cannot be searched for leaks. */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	execl(path, "iked", "--shared", "-f", "-c", config, "--user", "nobody", NULL);
	_exit(99);
}

/* config NULL: without a program of its own. */
static void begin(struct host *h, const char *config)
{
	struct cs_err err = {0};
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	h->helper = fork();
	ck_assert_int_ge(h->helper, 0);
	if (h->helper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Ends of other hosts' pairs would keep their helpers alive. */
		for (int fd = 3; fd < 1024; fd++)
			if (fd != pair[1])
				close(fd);
		if (config)
			run_iked(config, pair[1]);
		serve(h, pair[1]);
	}
	close(pair[1]);
	ck_assert_int_eq(ike_shared_connect(h->s, pair[0], &err), 0);
}

void host_helper(struct host *h)
{
	begin(h, NULL);
}

void host_helper_of(struct host *h, const char *config)
{
	begin(h, config);
}

void host_kill_helper(struct host *h)
{
	kill(h->helper, SIGKILL);
	waitpid(h->helper, NULL, 0);
	h->helper = 0;
}

void host_arrive(struct host *h)
{
	ike_shared_arrive(h->s, &h->address);
}

void host_leave(struct host *h)
{
	ike_shared_leave(h->s, &h->address);
}

void host_forget(struct host *h)
{
	h->n_rows = h->reads = h->claims = h->wants = h->n_unshared = h->reachables = h->differs =
		h->vacants = h->rereads = 0;
	longest = 0;
}

struct ike_shared_stats host_stats(const struct host *h)
{
	struct ike_shared_stats stats;

	ike_shared_stats(h->s, &stats);
	return stats;
}

void host_stop(struct host *h)
{
	int status = 0;

	ike_shared_stop(h->s);
	uv_run(&h->loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&h->loop), 0);
	ike_shared_free(h->s);
	if (h->helper) {
		waitpid(h->helper, &status, 0);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
			      "the helper of %s ended with %x", h->name, (unsigned)status);
	}
	for (struct host **p = &hosts; *p; p = &(*p)->next)
		if (*p == h) {
			*p = h->next;
			break;
		}
}
