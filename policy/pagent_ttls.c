/*
 * pagent and AT-TLS policy: its image in the run-time directory, which every process may map, and
 * what the files say of it (FLUSH, PURGE).
 */
#include "policy/pagent.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/paths.h"

static bool path_of(const struct pagent *p, char path[CS_PATH_MAX])
{
	struct cs_err err;

	if (cs_run_path(p->o->stack, POL_TTLS_FILE, path, &err) == 0)
		return true;
	cs_log(CS_NOCTX, CSM_PA_TTLS_FAILED, 0ull, err.text);
	return false;
}

static bool is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static void publish(struct pagent *p, const char *path)
{
	unsigned long long generation = p->policy->generation;
	struct cs_err err;

	if (pol_ttls_publish(p->policy->ttls, p->policy->generation, path, &err) < 0) {
		cs_log(CS_NOCTX, CSM_PA_TTLS_FAILED, generation, err.text);
		return;
	}
	p->ttls_generation = p->policy->generation;
	cs_log(CS_NOCTX, CSM_PA_TTLS, generation, pol_ttls_count(p->policy->ttls));
}

static void take_away(const char *path, const char *why)
{
	if (unlink(path) == 0)
		cs_log(CS_NOCTX, CSM_PA_TTLS_GONE, why);
	else if (errno != ENOENT)
		cs_log(CS_NOCTX, CSM_PA_TTLS_FAILED, 0ull, strerror(errno));
}

void pagent_ttls_refreshed(struct pagent *p, bool good, int rc)
{
	bool first = !p->ttls_begun;
	char path[CS_PATH_MAX];

	p->ttls_begun = true;
	if (!path_of(p, path))
		return;
	/* What store or kernel refuse leaves the policy of before in force. */
	if (first && p->options.ttls_flush && (!good || !p->policy)) {
		take_away(path, good ? "FLUSH, and no policy is in force"
				     : "FLUSH, and the files have errors");
		/* What the store has does not come back with the next bad file. */
		p->ttls_generation = p->policy ? p->policy->generation : 0;
		return;
	}
	if (!p->policy)
		return;
	if (p->policy->generation != p->ttls_generation || (rc == 0 && !is_there(path)))
		publish(p, path);
}

void pagent_ttls_end(struct pagent *p)
{
	char path[CS_PATH_MAX];

	if (p->ttls_begun && p->options.ttls_purge && path_of(p, path))
		take_away(path, "PURGE");
}
