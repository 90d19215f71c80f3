/* Our nftables table into the kernel, through libnftables: one transaction. */
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

#include "xfrm/kernel.h"

/* A context that says nothing on our standard output. */
static struct nft_ctx *context(void)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!ctx)
		return NULL;
	if (nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx)) {
		nft_ctx_free(ctx);
		return NULL;
	}
	return ctx;
}

int xf_nft_run(const char *commands, bool check_only, struct cs_err *err)
{
	struct nft_ctx *ctx = context();
	const char *said;
	int rc = 0;

	if (!ctx)
		return cs_fail(err, CS_ENOMEM, "no memory for nftables");
	nft_ctx_set_dry_run(ctx, check_only);
	if (nft_run_cmd_from_buffer(ctx, commands) != 0) {
		said = nft_ctx_get_error_buffer(ctx);
		if (!said || !*said)
			said = strerror(errno);
		rc = cs_fail(err, CS_EKERNEL, "nftables table inet " XF_TABLE ": %.*s",
			     (int)strcspn(said, "\n"), said);
	}
	nft_ctx_free(ctx);
	return rc;
}

int xf_nft_delete(struct cs_err *err)
{
	return xf_nft_run("add table inet " XF_TABLE "\ndelete table inet " XF_TABLE "\n", false,
			  err);
}
