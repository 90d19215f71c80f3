/* Errors: filling and naming them. */
#include "common/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int cs_fail(struct cs_err *err, enum cs_code code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

int cs_fail_errno(struct cs_err *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t used;

	if (!err)
		return CS_ESYS;
	err->code = CS_ESYS;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
	return CS_ESYS;
}

int cs_err_prefix(struct cs_err *err, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	va_list ap;
	size_t used;

	if (!err)
		return CS_EINVAL;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
	return err->code;
}

const char *cs_code_name(enum cs_code code)
{
	switch (code) {
	case CS_OK:
		return "ok";
	case CS_EINVAL:
		return "invalid";
	case CS_EPARSE:
		return "malformed";
	case CS_ENOTFOUND:
		return "not found";
	case CS_EEXIST:
		return "exists";
	case CS_ENOMEM:
		return "out of memory";
	case CS_ESYS:
		return "system";
	case CS_EKERNEL:
		return "kernel";
	case CS_ESTORE:
		return "store";
	case CS_ECRYPTO:
		return "crypto";
	case CS_EAUTH:
		return "authentication";
	case CS_EPOLICY:
		return "policy";
	case CS_ELIMIT:
		return "limit";
	case CS_EUNSUPPORTED:
		return "unsupported";
	case CS_EAGAIN:
		return "again";
	case CS_EPERM:
		return "not authorized";
	}
	return "unknown";
}
