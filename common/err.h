/*
 * Errors: a code that programs decide on and a text that people read.
 *
 * A function that can fail returns 0, or a negative enum cs_code; where it takes a struct cs_err
 * it fills it only on failure, and the pointer may be NULL.  Results are set only on success.
 */
#ifndef CS_ERR_H
#define CS_ERR_H

#include <stdarg.h>

enum cs_code {
	CS_OK = 0,
	CS_EINVAL = -1, /* the caller's value is not allowed */
	CS_EPARSE = -2, /* text or bytes from outside do not follow their format */
	CS_ENOTFOUND = -3,
	CS_EEXIST = -4,
	CS_ENOMEM = -5,
	CS_ESYS = -6,     /* a system call failed; the text says which and why */
	CS_EKERNEL = -7,  /* the kernel refused a netlink or nftables request */
	CS_ESTORE = -8,   /* sqlite failed */
	CS_ECRYPTO = -9,  /* a cryptographic library failed or refused */
	CS_EAUTH = -10,   /* a hash, signature or credential does not match */
	CS_EPOLICY = -11, /* policy does not allow it */
	CS_ELIMIT = -12,  /* a documented bound is reached */
	CS_EUNSUPPORTED = -13,
	CS_EAGAIN = -14, /* not now; nothing is wrong */
	CS_EPERM = -15,
};

struct cs_err {
	enum cs_code code;
	char text[256]; /* one sentence without a final stop, never a secret */
};

/* Fills err (when not NULL) and returns code, so that `return cs_fail(err, ...)` reads well. */
int cs_fail(struct cs_err *err, enum cs_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with ": strerror(errno)" appended; code is CS_ESYS. */
int cs_fail_errno(struct cs_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the text that is there already, and returns err's code. */
int cs_err_prefix(struct cs_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A short name of a code, as logs and JSON show it ("not found"). Never NULL. */
const char *cs_code_name(enum cs_code code);

#endif
