/*
 * trmdstat: a line of a log.  It is "TIME HOST TAG: MESSAGE" as syslog daemons write it, with the
 * old time or the ISO one, or the message alone as a daemon in the foreground does.  Only what
 * bears the tag of trmd or iked counts, so that no other program's line is taken for theirs.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "trmd/trmdstat.h"

/* What a message counts as. */
enum kind {
	FILTER,  /* of a packet: column of the filters */
	TUNNEL,  /* column of the tunnels */
	FAILURE, /* of iked: column of the failures */
	OTHER,   /* one of trmd's that nothing is counted of */
};

struct message {
	const char *id;
	const char *text; /* what it begins with */
	enum kind kind;
	unsigned column;
};

static const struct message messages[] = {
	{"EZD0814I", "Packet permitted: ", FILTER, STAT_PERMITTED},
	{"EZD0815I", "Packet denied by policy: ", FILTER, STAT_DENIED},
	{"EZD0821I", "Packet denied, no tunnel: ", FILTER, STAT_NO_TUNNEL},
	{"EZD0822I", "Packet denied, tunnel inactive: ", FILTER, STAT_INACTIVE},
	{"EZD0833I", "Packet denied, tunnel mismatch: ", FILTER, STAT_MISMATCH},
	{"EZD0836I", "Packet permitted: ", FILTER, STAT_ICMP_ERROR},
	{"CSI6101I", "Packet messages suppressed: ", FILTER, STAT_SUPPRESSED},
	{"CSI6102W", "Packet messages lost: ", FILTER, STAT_LOST},
	{"EZD0812I", "Tunnel deleted: ", TUNNEL, STAT_DELETED},
	{"EZD0813I", "Tunnel expired: ", TUNNEL, STAT_EXPIRED},
	{"EZD0818I", "Tunnel added: ", TUNNEL, STAT_ADDED},
	{"EZD0819I", "Tunnel activated: ", TUNNEL, STAT_ACTIVATED},
	{"EZD0820I", "Tunnel deactivated: ", TUNNEL, STAT_DEACTIVATED},
	{"EZD0830I", "Tunnel distribution failed", TUNNEL, STAT_NOT_SHARED},
	{"EZD0831I", "Tunnel takeover preparation failed", TUNNEL, STAT_NOT_TAKEN},
	{"CSI1003E", "IKE version ", FAILURE, 0},
	{"CSI1013E", "IKE version ", FAILURE, 1},
};

struct line {
	int64_t log_us, stack_us; /* STAT_NEVER: it has none */
	bool iked, trmd;
	char stack[CS_STACK_MAX + 1]; /* of the tag, "" */
	const struct message *message;
	const char *text; /* behind the message's beginning */
};

/* ---- before the message ---- */

/* "trmd", "trmd[12]", "trmd.TCPIP2[12]". False: somebody else's. */
static bool tag_of(const char *tag, size_t len, const char *program, struct line *l)
{
	size_t n = strlen(program), stack;

	if (len < n || strncasecmp(tag, program, n) != 0)
		return false;
	tag += n;
	len -= n;
	if (len && tag[len - 1] == ']') {
		while (len && tag[len - 1] != '[')
			len--;
		if (!len)
			return false;
		len--;
	}
	if (!len)
		return true;
	stack = len - 1;
	if (*tag != '.' || !stack || stack > CS_STACK_MAX)
		return false;
	memcpy(l->stack, tag + 1, stack);
	l->stack[stack] = '\0';
	return cs_stack_check(l->stack, NULL) == 0;
}

/* A priority as <30> may come first. */
static const char *behind_priority(const char *p)
{
	const char *at = p;

	if (*at++ != '<')
		return p;
	while (isdigit((unsigned char)*at))
		at++;
	return *at == '>' ? at + 1 : p;
}

/* Where the message begins; NULL: there is no tag of ours. */
static const char *behind_head(const char *p, int64_t now_us, struct line *l)
{
	const char *end, *tag;

	p = behind_priority(p);
	if (!stat_iso(&p, &l->log_us) && !stat_bsd(&p, now_us, &l->log_us)) {
		l->log_us = STAT_NEVER;
		l->iked = l->trmd = true; /* a message alone may be of either */
		return p;
	}
	end = strstr(p, ": ");
	if (*p != ' ' || !end)
		return NULL;
	for (tag = end; tag > p && tag[-1] != ' '; tag--)
		;
	l->trmd = tag_of(tag, (size_t)(end - tag), "trmd", l);
	l->iked = !l->trmd && tag_of(tag, (size_t)(end - tag), "iked", l);
	return l->trmd || l->iked ? end + 2 : NULL;
}

/* "12 CSI1013E Y7: text": the number and the tunnel may be missing. NULL: it is no message. */
static const char *behind_id(const char *p, const char **id)
{
	while (isdigit((unsigned char)*p))
		p++;
	while (*p == ' ')
		p++;
	*id = p;
	for (unsigned i = 0; i < 8; i++, p++) {
		bool good = i >= 3 && i < 7 ? *p >= '0' && *p <= '9' : *p >= 'A' && *p <= 'Z';

		if (!good)
			return NULL;
	}
	return *p == ' ' ? p + 1 : NULL;
}

static const char *behind_tunnel(const char *p)
{
	const char *at = p;

	if (*at != 'K' && *at != 'Y')
		return p;
	for (at++; isdigit((unsigned char)*at); at++)
		;
	return at[0] == ':' && at[1] == ' ' ? at + 2 : p;
}

/* False: it is no message of ours. A known one without a place in the reports has message NULL. */
static bool parse(const char *p, int64_t now_us, struct line *l)
{
	const char *id;

	p = behind_head(p, now_us, l);
	p = p ? behind_id(p, &id) : NULL;
	if (!p)
		return false;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		const struct message *m = &messages[i];
		const char *text = m->kind == FAILURE ? behind_tunnel(p) : p;

		if (memcmp(id, m->id, 8) != 0)
			continue;
		if (!(m->kind == FAILURE ? l->iked : l->trmd) ||
		    strncmp(text, m->text, strlen(m->text)) != 0)
			return false;
		l->message = m;
		l->text = text + strlen(m->text);
		return true;
	}
	return l->trmd && (memcmp(id, "EZ", 2) == 0 || memcmp(id, "CSI6", 4) == 0);
}

/* ---- fields ---- */

/* The word behind " NAME= "; false: it is not there. */
static bool field(const char *text, const char *name, char *value, size_t size)
{
	size_t n = strlen(name), len;
	const char *at = text;

	for (at = text; (at = strstr(at, name)); at += n)
		if (at > text && at[-1] == ' ' && at[n] == '=') {
			at += n + 1;
			at += *at == ' ';
			len = strcspn(at, " ");
			if (!len || len >= size)
				return false;
			memcpy(value, at, len);
			value[len] = '\0';
			return true;
		}
	return false;
}

static bool number(const char *text, const char *name, uint64_t max, uint64_t *value)
{
	char digits[24], *end;

	if (!field(text, name, digits, sizeof(digits)) || !isdigit((unsigned char)digits[0]))
		return false;
	*value = strtoull(digits, &end, 10);
	return !*end && *value <= max;
}

/* "Interface= 192.0.2.1 (I)", with blanks or without; the lines of counts have "dir= I". */
static bool direction(const char *text, char way[static 2])
{
	const char *at = strstr(text, " Interface= ");

	way[1] = '\0';
	if (!at) {
		char word[8];

		if (!field(text, "dir", word, sizeof(word)))
			return false;
		way[0] = word[0];
		return !word[1] && (*word == 'I' || *word == 'O');
	}
	at = strchr(at, '(');
	if (!at)
		return false;
	for (at++; *at == ' '; at++)
		;
	way[0] = *at;
	return *at == 'I' || *at == 'O';
}

static bool address_in(const char *text, const char *name, const struct cs_range *range)
{
	char word[CS_ADDR_STRLEN];
	struct cs_addr addr;

	return field(text, name, word, sizeof(word)) && cs_addr_parse(word, &addr, NULL) == 0 &&
	       cs_range_has(range, &addr);
}

/* ---- what is wanted ---- */

static bool in_time(const struct stat_select *s, int64_t us)
{
	if (s->from_us == STAT_NEVER && s->to_us == STAT_NEVER)
		return true;
	return us != STAT_NEVER && (s->from_us == STAT_NEVER || us >= s->from_us) &&
	       (s->to_us == STAT_NEVER || us <= s->to_us);
}

static bool wants_packet(const struct stat_select *s, const char *text)
{
	char word[IF_NAMESIZE];
	uint64_t port;

	if (s->has_host && !address_in(text, "sipaddr", &s->host) &&
	    !address_in(text, "dipaddr", &s->host))
		return false;
	if (s->has_source && !address_in(text, "sipaddr", &s->source))
		return false;
	if (s->has_destination && !address_in(text, "dipaddr", &s->destination))
		return false;
	if (s->has_ports &&
	    (!number(text, "dport", UINT16_MAX, &port) || port < s->ports[0] || port > s->ports[1]))
		return false;
	return !s->interface[0] ||
	       (field(text, "ifcname", word, sizeof(word)) && strcmp(word, s->interface) == 0);
}

/* Is something of a packet asked for, which other messages do not have? */
static bool about_packets(const struct stat_select *s)
{
	return s->has_host || s->has_source || s->has_destination || s->has_ports ||
	       s->interface[0];
}

static bool wants(const struct stat_select *s, const struct line *l)
{
	if (s->stack[0] && strcasecmp(s->stack, l->stack) != 0)
		return false;
	return in_time(s, l->stack_us != STAT_NEVER ? l->stack_us : l->log_us);
}

/* ---- counting ---- */

static void note(int64_t interval[2], int64_t us)
{
	if (us == STAT_NEVER)
		return;
	if (interval[0] == STAT_NEVER || us < interval[0])
		interval[0] = us;
	if (interval[1] == STAT_NEVER || us > interval[1])
		interval[1] = us;
}

/* 0: counted; 1: not wanted; 2: it lacks a field. */
static int count_filter(struct trmdstat *s, const struct line *l, struct cs_err *err)
{
	unsigned column = l->message->column;
	bool counts = column == STAT_SUPPRESSED || column == STAT_LOST;
	char rule[TRMD_RULE_NAME], way[2];
	uint64_t n = 1;
	struct stat_row *row;

	if (!direction(l->text, way) || (counts && !number(l->text, "count", UINT64_MAX, &n)))
		return 2;
	if (column == STAT_ICMP_ERROR)
		strcpy(rule, "-");
	else if (!field(l->text, "filter rule", rule, sizeof(rule)))
		return 2;
	if (counts ? about_packets(&s->select) : !wants_packet(&s->select, l->text))
		return 1;
	row = stat_row_of(&s->filters, rule, way);
	if (!row)
		return cs_fail(err, CS_ENOMEM, "no memory for the report");
	stat_add(&row->n[column], n);
	return 0;
}

static int count_tunnel(struct trmdstat *s, const struct line *l, struct cs_err *err)
{
	char action[STAT_KEY];
	struct stat_row *row;

	if (!field(l->text, "vpnaction", action, sizeof(action)))
		return 2;
	if (about_packets(&s->select))
		return 1;
	row = stat_row_of(&s->tunnels, action, "");
	if (!row)
		return cs_fail(err, CS_ENOMEM, "no memory for the report");
	row->n[l->message->column]++;
	return 0;
}

/* "1.0 phase 2 negotiation for tunnel Y7 with PEER failed (rule R): CAUSE" */
static int count_failure(struct trmdstat *s, const struct line *l, struct cs_err *err)
{
	const char *with = strstr(l->text, " with "), *rule, *cause;
	char peer[CS_ADDR_STRLEN];
	struct cs_addr addr;
	struct stat_row *row;
	size_t len;

	rule = with ? strstr(with, " failed (rule ") : NULL;
	cause = rule ? strstr(rule, "): ") : NULL;
	if (!cause || !cause[3])
		return 2;
	with += strlen(" with ");
	if (rule < with)
		return 2;
	len = (size_t)(rule - with) < sizeof(peer) ? (size_t)(rule - with) : sizeof(peer) - 1;
	memcpy(peer, with, len);
	peer[len] = '\0';
	if (about_packets(&s->select) &&
	    (!s->select.has_host || cs_addr_parse(peer, &addr, NULL) < 0 ||
	     !cs_range_has(&s->select.host, &addr)))
		return 1;
	row = stat_row_of(&s->failures, cause + 3, peer);
	if (!row)
		return cs_fail(err, CS_ENOMEM, "no memory for the report");
	row->n[l->message->column]++;
	return 0;
}

/* The stack's time begins the message; after "failed" of the original's there is a blank first. */
static void find_time(struct line *l)
{
	const char *p = l->text;

	if (l->message->kind == FAILURE)
		return;
	p += strspn(p, " :");
	if (!stat_iso(&p, &l->stack_us) && !stat_american(&p, &l->stack_us))
		return;
	l->text = p;
}

int stat_line(struct trmdstat *s, char *line, size_t len, struct cs_err *err)
{
	struct line l = {.stack_us = STAT_NEVER};
	int rc;

	for (size_t i = 0; i < len; i++) /* nothing that a terminal obeys goes on from here */
		if ((unsigned char)line[i] < ' ' || (unsigned char)line[i] > '~')
			line[i] = line[i] == '\t' ? ' ' : '?';
	line[len] = '\0';
	if (!parse(line, s->now_us, &l)) {
		s->skipped++;
		return 0;
	}
	if (l.message)
		find_time(&l);
	if (l.message && l.stack_us == STAT_NEVER && l.message->kind != FAILURE) {
		s->skipped++;
		return 0;
	}
	s->scanned++;
	note(s->log_us, l.log_us);
	note(s->stack_us, l.stack_us);
	if (!l.message) {
		s->other++;
		return 0;
	}
	if (!wants(&s->select, &l))
		return 0;
	rc = l.message->kind == FILTER   ? count_filter(s, &l, err)
	     : l.message->kind == TUNNEL ? count_tunnel(s, &l, err)
					 : count_failure(s, &l, err);
	if (rc < 0)
		return rc;
	s->selected += rc == 0;
	if (rc == 2) {
		s->scanned--;
		s->skipped++;
	}
	return 0;
}
