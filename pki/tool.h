/* What the files of csipsec-pki share. Private to pki/. */
#ifndef PKI_TOOL_H
#define PKI_TOOL_H

#include <stdarg.h>

#include "common/paths.h"
#include "pki/pki.h"

enum tool_exit {
	TOOL_DONE = 0,
	TOOL_NO = 1,     /* check: it would be refused; list --expires: some do */
	TOOL_USAGE = 2,  /* the command line is wrong */
	TOOL_FAILED = 3, /* not done, standard error says why */
};

#define TOOL_SANS_MAX 64
#define TOOL_CAS_MAX  32

/* The command line. */
struct tool {
	const struct tool_command *command;
	char ring[CS_PATH_MAX]; /* path of the keyring */
	const char *label;      /* the argument behind the command; NULL: none */
	const char *subject, *key, *in, *out, *form, *password_file, *serial, *reason, *id;
	const char *cas[TOOL_CAS_MAX];
	unsigned n_cas;
	struct pki_san sans[TOOL_SANS_MAX];
	unsigned n_sans;
	int days, path_length; /* -1: not given */
	int expires;           /* days, -1: not given */
	enum pki_revocation revocation;
	bool with_key, chain, replace, json;
	int64_t now;
};

struct tool_command {
	const char *name, *what; /* for the help text */
	const char *options;     /* letters of those that it takes, see tool_options.c */
	int label;               /* 1: needed, 0: not taken, -1: may be there */
	enum tool_exit (*run)(struct tool *t);
};
extern const struct tool_command tool_commands[];
extern const unsigned tool_n_commands;
extern const char tool_usage[];

/* 0, or CS_EINVAL with what is wrong; *done: --help or --version was answered. */
int tool_parse(int argc, char **argv, struct tool *t, bool *done, struct cs_err *err);

/* ---- complaints ---- */

void tool_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Complains of what err says, and returns TOOL_FAILED. */
enum tool_exit tool_failed(const struct tool *t, const struct cs_err *err);
void tool_note(void *arg, const char *file, const char *text); /* a pki_note_fn */

/* ---- tool_ring.c: the keyring, to look at and to change ---- */

/* What cannot be used is told on standard error. */
int tool_load(const struct tool *t, struct pki_keyring **ring, struct cs_err *err);

/* A directory that nobody else changes meanwhile; made when it is not there and make is true. */
struct tool_dir {
	int fd;
};
int tool_dir_open(const struct tool *t, bool make, struct tool_dir *dir, struct cs_err *err);
void tool_dir_close(struct tool_dir *dir);
bool tool_dir_has(const struct tool_dir *dir, const char *label, const char *ending);
/* All or nothing, and on disk when it returns. CS_EEXIST unless replace. */
int tool_dir_put(const struct tool_dir *dir, const char *label, const char *ending,
		 struct cs_bytes bytes, bool secret, bool replace, struct cs_err *err);
int tool_dir_get(const struct tool_dir *dir, const char *label, const char *ending,
		 struct cs_bytes *bytes, struct cs_err *err);
/* *removed counts; one that is not there is no error. */
int tool_dir_remove(const struct tool_dir *dir, const char *label, const char *ending,
		    unsigned *removed, struct cs_err *err);
/* Calls fn with the label of each request that waits, in order. */
int tool_dir_requests(const struct tool *t, void (*fn)(void *arg, const char *label), void *arg,
		      struct cs_err *err);

/* A CA of the keyring with its private key: of this label, or NULL for the only one. */
int tool_find_ca(const struct pki_keyring *ring, const char *label, const struct pki_entry **ca,
		 struct cs_err *err);
int tool_find(const struct pki_keyring *ring, const char *label, const struct pki_entry **entry,
	      struct cs_err *err);

/* ---- tool_file.c: other files ---- */

/* A file, or "-" for standard input. */
int tool_read_fd(int fd, struct cs_bytes *bytes, struct cs_err *err);
int tool_read(const char *path, struct cs_bytes *bytes, struct cs_err *err);
/* A file, or "-" for standard output; secret: for its owner alone. Never half of it. */
int tool_write(const char *path, struct cs_bytes bytes, bool secret, bool replace,
	       struct cs_err *err);
/* From --password-file, else from the terminal, twice when it is a new one. pki_bytes_free. */
int tool_password(const struct tool *t, bool fresh, struct cs_bytes *password, struct cs_err *err);
/* Parses --in; asks for a password when one is needed. */
int tool_found(const struct tool *t, struct pki_found *found, struct cs_err *err);

/* ---- the commands ---- */

enum tool_exit tool_ca(struct tool *t), tool_host(struct tool *t), tool_request(struct tool *t),
	tool_sign(struct tool *t), tool_import(struct tool *t), tool_export(struct tool *t),
	tool_list(struct tool *t), tool_delete(struct tool *t), tool_default(struct tool *t),
	tool_revoke(struct tool *t), tool_crl(struct tool *t), tool_check(struct tool *t);

#endif
