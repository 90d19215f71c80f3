/*
 * libFuzzer: policy texts through the whole compiler, and what comes of it through the matching
 * functions; the same text as iked's configuration file.  A text with errors must say so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy/policy.h"
#include "tests/fuzz/holds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const time_t now = 1700000000;

static void count_error(void *arg, const struct pol_diag *diag)
{
	unsigned *errors = arg;

	HOLDS(diag->text && diag->text[0] && diag->file && diag->statement && diag->attribute);
	*errors += diag->severity == POL_ERROR;
}

static void match(const struct pol_policy *policy)
{
	struct pol_packet packet = {
		.outbound = true,
		.proto = 6,
		.ports_known = true,
		.src_port = 1025,
		.dst_port = 23,
		.type = -1,
		.code = -1,
	};
	struct cs_addr local, remote;

	HOLDS(cs_addr_parse("10.1.0.1", &local, NULL) == 0 &&
	      cs_addr_parse("10.2.0.1", &remote, NULL) == 0);
	packet.src = local;
	packet.dst = remote;
	pol_filter_match(policy, &packet, now, NULL, NULL);
	packet.outbound = false;
	packet.routed = true;
	pol_filter_match(policy, &packet, now, NULL, NULL);
	pol_ke_rule_find(policy, &local, &remote, NULL);
	for (unsigned i = 0; i < policy->n_rules; i++)
		HOLDS(pol_rule_by_name(policy, policy->rules[i].name) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pol_policy *policy = NULL;
	struct pol_ike_config config;
	struct cs_err err = {0};
	unsigned errors = 0;
	char path[64];
	int rc, fd = memfd_create("policy", MFD_CLOEXEC);

	HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = pol_compile(path, "TCPIP", count_error, &errors, &policy, &err);
	if (rc == 0) {
		HOLDS(policy != NULL && errors == 0);
		match(policy);
	} else {
		HOLDS(policy == NULL && err.text[0]);
	}
	pol_unref(policy);
	errors = 0;
	err.text[0] = '\0';
	rc = pol_ike_config(path, false, count_error, &errors, &config, &err);
	HOLDS(rc == 0 ? errors == 0 : err.text[0] != 0);
	close(fd);
	return 0;
}
