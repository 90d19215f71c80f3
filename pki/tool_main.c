/* csipsec-pki: what RACDCERT does for the keyring of iked. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "pki/tool.h"

const struct tool_command tool_commands[] = {
	{"ca", "make a CA", "sydpcR", 1, tool_ca},
	{"host", "make a host certificate, signed by a CA of the keyring", "sydcnR", 1, tool_host},
	{"request", "make a key and a request for another CA", "synoR", 1, tool_request},
	{"sign", "sign somebody's request", "dcioR", -1, tool_sign},
	{"import", "take a certificate, a reply to a request, a CRL or a PKCS#12 file", "iPR", 1,
	 tool_import},
	{"export", "write a certificate", "ofPKCR", 1, tool_export},
	{"list", "show what the keyring has", "jE", -1, tool_list},
	{"delete", "delete a certificate with its private key, a request or a CRL", "", 1,
	 tool_delete},
	{"default", "make it the default certificate", "", 1, tool_default},
	{"revoke", "put a certificate on the CRL of its CA", "cSrd", -1, tool_revoke},
	{"crl", "make a fresh CRL", "doR", 1, tool_crl},
	{"check", "judge a certificate as iked would", "ciIvA", -1, tool_check},
};
const unsigned tool_n_commands = sizeof(tool_commands) / sizeof(tool_commands[0]);

void tool_complain(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	/* A name may come from a file that somebody sent. */
	for (char *p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	fprintf(stderr, "csipsec-pki: %s\n", text);
}

enum tool_exit tool_failed(const struct tool *t, const struct cs_err *err)
{
	tool_complain("%s%s%s: %s", t->command->name, t->label ? " " : "", t->label ? t->label : "",
		      err->text);
	return TOOL_FAILED;
}

void tool_note(void *arg, const char *file, const char *text)
{
	const struct tool *t = arg;

	tool_complain("%s/%s: %s", t->ring, file, text);
}

int main(int argc, char **argv)
{
	struct tool t = {
		.days = -1,
		.path_length = -1,
		.expires = -1,
		.revocation = PKI_REVOCATION_LOOSE, /* as RevocationChecking */
	};
	struct cs_err err = {0};
	enum tool_exit status = TOOL_DONE;
	bool done = false;

	umask(022); /* files get the modes that they need, whatever it was */
	t.now = time(NULL);
	if (tool_parse(argc, argv, &t, &done, &err) < 0) {
		tool_complain("%s", err.text);
		fputs("Try 'csipsec-pki --help'.\n", stderr);
		return TOOL_USAGE;
	}
	if (!done) {
		pki_secure_memory(NULL);
		status = t.command->run(&t);
	}
	if (fclose(stdout) != 0 && status != TOOL_FAILED) {
		tool_complain("the output could not be written");
		status = TOOL_FAILED;
	}
	return (int)status;
}
