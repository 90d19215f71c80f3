/*
 * pagent and the kernel: what this kernel can do, the policy's installation, and its repair when
 * another tool has removed it.
 */
#include "policy/pagent.h"

#include <stdlib.h>
#include <time.h>

#include "common/log.h"

#define CHECK_WAIT_MS     1000u  /* at most one repair in this time */
#define CHECK_WAIT_MAX_MS 60000u /* repairs that fail come less and less often */
#define MINUTE            60

static const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};

/* ---- abilities ---- */

static bool has_family(const struct cs_range *ranges, unsigned n, uint8_t family)
{
	for (unsigned i = 0; i < n; i++)
		if (ranges[i].lo.family == family)
			return true;
	return false;
}

int pagent_kernel_suits(const struct pagent *p, const struct pol_policy *policy, struct cs_err *err)
{
	const struct xf_abilities *a = &p->abilities;
	bool ipsec = false, esp4 = false, esp6 = false;

	if (!policy->ipsec)
		return 0;
	for (unsigned i = 0; i < policy->n_rules; i++) {
		const struct pol_filter_rule *r = &policy->rules[i];

		if (r->verdict != POL_IPSEC)
			continue;
		ipsec = true;
		esp4 = esp4 || has_family(r->src, r->n_src, AF_INET);
		esp6 = esp6 || has_family(r->src, r->n_src, AF_INET6);
	}
	if (a->nft_inet && (!ipsec || (a->xfrm && a->nft_xfrm)) && (!esp4 || a->esp4) &&
	    (!esp6 || a->esp6))
		return 0;
	return cs_fail(err, CS_EUNSUPPORTED, "the policy needs what this kernel lacks: %s",
		       a->missing);
}

/* ---- installing ---- */

/* Are other rules of what is installed active now than at the time that it was made for? */
static bool times_changed(const struct pagent *p)
{
	const struct pol_policy *policy = p->in_table;
	time_t now = time(NULL);

	for (unsigned i = 0; policy && i < policy->n_rules; i++) {
		const struct pol_filter_rule *r = &policy->rules[i];

		if (pol_time_active(r->times, r->n_times, now) !=
		    pol_time_active(r->times, r->n_times, p->in_time))
			return true;
	}
	return false;
}

static void check_later(struct pagent *p, uint64_t wait_ms);

/* Counters of rules that are as they were go on. NULL: what there is of ours goes. */
static int install_over(struct pagent *p, struct pol_policy *policy, struct cs_err *err)
{
	struct pol_policy *before = p->in_table;
	struct pol_diff diff = {0};
	struct xf_carry carry;
	int rc;

	/* A profile that cannot be used is no reason to open what it was to close. */
	if (!policy && p->profile_bad)
		return cs_fail(err, CS_EPOLICY,
			       "the policy has no filters, and those of %s cannot be used",
			       p->o->profile);
	if (!policy)
		return xf_uninstall(p->kernel, err);
	/* What a pagent before this one has left. */
	if (!before && xf_installed(p->kernel, policy, p->tried))
		before = policy;
	if (!before || pol_diff(before, policy, &diff, NULL) < 0)
		return xf_install(p->kernel, policy, p->tried, err);
	carry = (struct xf_carry){.from = diff.same, .n_before = before->n_rules};
	rc = xf_install_over(p->kernel, policy, p->tried, &carry, err);
	pol_diff_free(&diff);
	return rc;
}

/* Takes the manual tunnels as they are numbered for it. */
static int install_with(struct pagent *p, struct pagent_manuals *manuals, bool renumbered,
			struct cs_err *err)
{
	struct pol_policy *policy = pagent_in_force(p);
	char name[PAGENT_NAME_LEN];
	int rc;

	/* One time for all of it: the minute may turn meanwhile, which the next look shall see. */
	p->tried = time(NULL);
	rc = install_over(p, policy, err);
	/* What an operator has set of manual tunnels outlives a policy that is refused. */
	if (rc == 0)
		pagent_manual_keep(p, manuals, renumbered);
	else
		pagent_manual_free(manuals);
	/* One that the kernel refuses has told so, and is tried again with the next look. */
	if (rc == 0)
		pagent_manual_install(p, NULL);
	p->in_kernel = rc == 0;
	if (rc == 0) {
		if (!p->in_table || !policy || p->in_table->generation != policy->generation)
			p->installed = p->tried;
		pol_unref(p->in_table);
		p->in_table = policy ? pol_ref(policy) : NULL;
		p->in_time = p->tried;
		p->check_wait = CHECK_WAIT_MS;
		return 0;
	}
	cs_log(CS_NOCTX, CSM_PA_INSTALL_FAILED, pagent_filters_name(policy, name), err->text,
	       p->check_wait / 1000);
	check_later(p, p->check_wait);
	if (p->check_wait < CHECK_WAIT_MAX_MS)
		p->check_wait = 2 * p->check_wait;
	return rc;
}

static int install(struct pagent *p, struct cs_err *err)
{
	bool renumbered;
	struct pagent_manuals *manuals = pagent_manual_number(p, &renumbered);

	return install_with(p, manuals, renumbered, err);
}

/* As far as we know. */
static bool is_there(const struct pagent *p)
{
	const struct pol_policy *policy = pagent_in_force(p);

	if (!policy || !p->in_table)
		return p->in_kernel && !policy && !p->in_table;
	return p->in_kernel && p->in_table->generation == policy->generation &&
	       xf_installed(p->kernel, policy, p->in_time);
}

int pagent_kernel_install(struct pagent *p, struct cs_err *err)
{
	bool renumbered;
	struct pagent_manuals *manuals = pagent_manual_number(p, &renumbered);
	struct cs_err unasked;

	if (!renumbered && is_there(p) && !times_changed(p)) {
		pagent_manual_free(manuals);
		return 0;
	}
	return install_with(p, manuals, renumbered, err ? err : &unasked);
}

bool pagent_kernel_has(const struct pagent *p, const struct pol_policy *policy)
{
	return (p->in_table && p->in_table->generation == policy->generation) ||
	       xf_installed(p->kernel, policy, p->tried);
}

void pagent_kernel_look(struct pagent *p)
{
	p->in_kernel = p->in_table && xf_installed(p->kernel, p->in_table, p->in_time);
	if (p->in_kernel)
		uv_timer_stop(&p->check);
}

/* ---- repair ---- */

static void on_check(uv_timer_t *timer)
{
	struct pagent *p = timer->data;
	const struct pol_policy *policy = pagent_in_force(p);
	char name[PAGENT_NAME_LEN];
	bool was_there = p->in_kernel;
	struct cs_err err;

	p->last_check = uv_now(&p->loop);
	if (!p->policy && !policy)
		return;
	if (p->policy && was_there)
		pagent_manual_check(p);
	if (is_there(p))
		return;
	if (was_there)
		cs_log(CS_NOCTX, CSM_PA_GONE, pagent_filters_name(policy, name));
	if (install(p, &err) == 0)
		cs_log(CS_NOCTX, CSM_PA_RESTORED, pagent_filters_name(policy, name));
}

static void check_later(struct pagent *p, uint64_t wait_ms)
{
	if (!p->stopping && !uv_is_active((uv_handle_t *)&p->check))
		uv_timer_start(&p->check, on_check, wait_ms, 0);
}

static void on_ruleset(void *arg)
{
	struct pagent *p = arg;
	uint64_t since = uv_now(&p->loop) - p->last_check;

	check_later(p, p->last_check && since < CHECK_WAIT_MS ? CHECK_WAIT_MS - since : 0);
}

static void on_overrun(void *arg)
{
	cs_log(CS_NOCTX, CSM_PA_OVERRUN);
	on_ruleset(arg);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	static const struct xf_event_ops ops = {.ruleset = on_ruleset, .overrun = on_overrun};
	struct pagent *p = poll->data;
	struct cs_err err = {.text = "poll failed"};

	(void)events;
	if (status == 0 && xf_events_read(p->events, &ops, p, &err) >= 0)
		return;
	/* Without events the minute's look must do. */
	cs_log(CS_NOCTX, CSM_PA_EVENTS, err.text);
	uv_poll_stop(poll);
}

/* ---- every minute: time conditions, and a look at what is there ---- */

static void on_minute(uv_timer_t *timer)
{
	struct pagent *p = timer->data;
	struct cs_err err;

	/* By the wall clock: it may have been set. */
	uv_timer_start(timer, on_minute, (uint64_t)(MINUTE - time(NULL) % MINUTE) * 1000, 0);
	if (!p->in_kernel || !p->in_table)
		return;
	/* Nobody tells of single SPD entries that another tool removed. */
	on_ruleset(p);
	if (xf_clients_gone(p->kernel, p->in_table, &err) < 0)
		cs_log(CS_NOCTX, CSM_PA_CLIENTS, err.text);
	if (xf_mtu_follow(&err) < 0)
		cs_log(CS_NOCTX, CSM_PA_MTU, err.text);
	if (times_changed(p)) {
		char name[PAGENT_NAME_LEN];

		cs_log(CS_NOCTX, CSM_PA_TIMES, pagent_filters_name(p->in_table, name));
		install(p, &err);
	}
}

/* ---- opening ---- */

int pagent_kernel_open(struct pagent *p, struct cs_err *err)
{
	int rc = xf_open(&marking, &p->kernel, err);

	if (rc < 0)
		return rc;
	xf_probe(p->kernel, &p->abilities);
	if (p->abilities.missing[0])
		cs_log(CS_NOCTX, CSM_PA_LACKS, p->abilities.missing);
	p->check_wait = CHECK_WAIT_MS;
	uv_timer_init(&p->loop, &p->check);
	uv_timer_init(&p->loop, &p->minute);
	p->check.data = p->minute.data = p;
	uv_timer_start(&p->minute, on_minute, (uint64_t)(MINUTE - time(NULL) % MINUTE) * 1000, 0);
	rc = xf_events_open(&marking, true, &p->events, err);
	if (rc < 0)
		return rc;
	rc = uv_poll_init(&p->loop, &p->poll, xf_events_fd(p->events));
	p->poll.data = p;
	if (rc == 0)
		rc = uv_poll_start(&p->poll, UV_READABLE, on_readable);
	return rc ? cs_fail(err, CS_ESYS, "kernel events: %s", uv_strerror(rc)) : 0;
}

void pagent_kernel_close(struct pagent *p)
{
	xf_events_close(p->events);
	xf_close(p->kernel);
	pol_unref(p->in_table);
	pagent_manual_end(p);
	p->in_table = NULL;
	p->events = NULL;
	p->kernel = NULL;
}
